// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumCore} from "../ConsortiumCore.sol";
import {IConsortiumNative} from "../interfaces/IConsortiumNative.sol";
import {Errors} from "../libraries/Errors.sol";

/// @title Ether as the asset
/// @notice Ether that arrives by force, without a deposit, belongs to nobody and stays.
abstract contract NativeAsset is IConsortiumNative, ConsortiumCore {
    /// @inheritdoc IConsortiumNative
    function depositSubmit(uint256 index, bytes32 termsHash_) external payable {
        _deposit(index, termsHash_, msg.value);
    }

    function _checkToken(address token) internal pure override {
        require(token == address(0), Errors.UnsupportedToken(token));
    }

    /// @dev Nothing to do: the ether came with the call.
    // solhint-disable-next-line no-empty-blocks
    function _pull(uint256) internal pure override {}

    function _push(address payable to, uint256 amount) internal override {
        bool success;
        // Not `to.call`: that would copy whatever the recipient returns, at our expense.
        assembly ("memory-safe") {
            success := call(gas(), to, amount, 0, 0, 0, 0)
        }
        require(success, Errors.TransferFailed(to, amount));
    }
}
