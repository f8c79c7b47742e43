// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";

/// @title An attester that is a contract (EIP-1271), well behaved or not
contract ContractAttester {
    enum Answer {
        Approve,
        Refuse,
        Revert,
        Nothing,
        WriteState
    }

    Answer public answer;
    bytes32 public approved;
    uint256 private written;

    function set(Answer answer_, bytes32 digest) external {
        (answer, approved) = (answer_, digest);
    }

    function roundOpen(IConsortium consortium) external {
        consortium.roundOpen();
    }

    function isValidSignature(bytes32 digest, bytes calldata) external returns (bytes4 result) {
        if (answer == Answer.Revert) revert("no");
        if (answer == Answer.WriteState) ++written;
        if (answer == Answer.Nothing) {
            assembly {
                return(0, 0)
            }
        }
        return answer == Answer.Approve && digest == approved ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @title A member that is a contract and uses the moment in which it is paid
/// @dev What it tries is set from outside. It refuses the payment if told to.
contract HostileMember {
    address public target;
    bytes[] public attacks;
    bool public refuses;

    /// @dev Attacks tried, and how many of them the target let pass.
    uint256 public tried;
    uint256 public passed;

    function configure(address target_, bool refuses_, bytes[] calldata attacks_) external {
        (target, refuses) = (target_, refuses_);
        delete attacks;
        for (uint256 i; i < attacks_.length; ++i) {
            attacks.push(attacks_[i]);
        }
    }

    /// @dev Calls the target as this member; reverts with the target's reason.
    function act(bytes calldata data, uint256 value) external {
        (bool success, bytes memory reason) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    receive() external payable {
        if (refuses) revert("refused");
        for (uint256 i; i < attacks.length; ++i) {
            ++tried;
            (bool success, ) = target.call(attacks[i]);
            if (success) ++passed;
        }
    }
}
