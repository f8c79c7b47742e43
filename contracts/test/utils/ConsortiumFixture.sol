// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {IConsortiumERC20} from "../../src/interfaces/IConsortiumERC20.sol";
import {IConsortiumNative} from "../../src/interfaces/IConsortiumNative.sol";
import {TermsFixture} from "./TermsFixture.sol";

/// @title A deployed consortium, its members, and what they do
/// @dev Times are absolute everywhere: the optimizer may reuse an earlier `block.timestamp` after a warp.
abstract contract ConsortiumFixture is TermsFixture {
    uint256 internal constant START = 1_700_000_000;
    bytes32 internal constant EVIDENCE = keccak256("evidence");
    bytes32 internal constant REASON = keccak256("reason");

    bytes32 internal constant CONTRIBUTION_TYPEHASH = keccak256(
        "Contribution(bytes32 termsHash,uint32 round,address member,uint64 data,uint64 generated,uint64 compute,bytes32 evidenceHash)"
    );

    bytes32 internal constant TRANSFERS_TYPEHASH = keccak256(
        "Transfers(bytes32 termsHash,uint32 round,bytes32 transfersHash,bytes32 evidenceHash)"
    );

    /// @dev When the last round was opened; times of the tests count from here.
    uint256 internal opened;

    function setUp() public virtual {
        vm.warp(START);
        attester = vm.addr(ATTESTER_KEY);
        members = accounts(4);
        consortium = deploy(records(members), triangle(members.length), agreed());
    }

    // What people do. Every argument of a call is computed before `prank`, which counts view calls too.

    /// @dev Gives `account` another `amount` of the asset to deposit.
    function endow(address account, uint256 amount) internal {
        if (address(token) == address(0)) {
            vm.deal(account, account.balance + amount);
            return;
        }
        token.mint(account, amount);
        vm.prank(account);
        token.approve(address(consortium), amount);
    }

    function holdings(address account) internal view returns (uint256) {
        return address(token) == address(0) ? account.balance : token.balanceOf(account);
    }

    /// @dev The call that deposits `amount`, and the ether that goes with it.
    function depositCall(
        uint256 index,
        bytes32 termsHash,
        uint256 amount
    ) internal view returns (bytes memory data, uint256 value) {
        return
            address(token) == address(0)
                ? (abi.encodeCall(IConsortiumNative.depositSubmit, (index, termsHash)), amount)
                : (abi.encodeCall(IConsortiumERC20.depositSubmit, (index, termsHash, amount)), 0);
    }

    function deposit(uint256 index, uint256 amount) internal {
        (bytes memory data, uint256 value) = depositCall(index, consortium.termsHash(), amount);
        address account = members[index];
        endow(account, amount);
        vm.prank(account);
        (bool success, ) = address(consortium).call{value: value}(data);
        vm.assertTrue(success, "deposit");
    }

    /// @dev Every member deposits `rounds` times its liability.
    function depositAll(uint256 rounds) internal {
        for (uint256 i; i < members.length; ++i) {
            deposit(i, rounds * liability(i));
        }
    }

    function open() internal {
        opened = block.timestamp;
        vm.prank(attester);
        consortium.roundOpen();
    }

    function contributionOf(uint256 index) internal view returns (IConsortium.Contribution memory) {
        IConsortium.Member memory terms = termsOf(members[index], index);
        return IConsortium.Contribution(terms.dataCap - uint64(7 * index), uint64((5 * index + 1) % 60), uint64(index));
    }

    function attest(uint256 index, IConsortium.Contribution memory contribution) internal view returns (bytes memory) {
        return
            signature(
                ATTESTER_KEY,
                consortium.contributionDigest(
                    index,
                    contribution.data,
                    contribution.generated,
                    contribution.compute,
                    EVIDENCE
                )
            );
    }

    function structHash(
        bytes32 termsHash,
        uint32 number,
        address account,
        IConsortium.Contribution memory given
    ) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    CONTRIBUTION_TYPEHASH,
                    termsHash,
                    number,
                    account,
                    given.data,
                    given.generated,
                    given.compute,
                    EVIDENCE
                )
            );
    }

    function transfersStructHash(
        bytes32 termsHash,
        uint32 number,
        int256[] memory transfers,
        bytes32 evidence
    ) internal pure returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(transfers));
        return keccak256(abi.encode(TRANSFERS_TYPEHASH, termsHash, number, hash, evidence));
    }

    /// @dev EIP-712 digest of a struct hash under the consortium's domain.
    function digestOf(bytes32 hash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("CoCoGen"),
                keccak256("1"),
                block.chainid,
                address(consortium)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, hash));
    }

    function signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function submit(uint256 index) internal {
        submit(index, contributionOf(index));
    }

    function submit(uint256 index, IConsortium.Contribution memory contribution) internal {
        submitAs(members[index], index, contribution, EVIDENCE, attest(index, contribution));
    }

    function submitAs(
        address sender,
        uint256 index,
        IConsortium.Contribution memory contribution,
        bytes32 evidence,
        bytes memory attesterSignature
    ) internal {
        vm.prank(sender);
        consortium.contributionSubmit(
            index,
            contribution.data,
            contribution.generated,
            contribution.compute,
            evidence,
            attesterSignature
        );
    }

    function submitAll() internal {
        for (uint256 i; i < members.length; ++i) {
            submit(i);
        }
    }

    /// @dev From idle to recorded with everybody's contribution.
    function reachRecorded() internal {
        depositAll(2);
        open();
        submitAll();
        consortium.profileRecord();
    }

    function reachCalculated() internal {
        reachRecorded();
        vm.warp(uint256(consortium.round().deadline) + 1);
        consortium.payoffCalculate();
    }

    /// @dev Vector mode: everybody in `contributors` pays its liability less its index; the last of them gets it all.
    function transfersOf(uint256 contributors) internal view returns (int256[] memory transfers) {
        uint256[] memory worst = expectedLiabilities();
        transfers = new int256[](worst.length);
        uint256 last;
        for (uint256 i; i < worst.length; ++i) {
            if ((contributors >> i) & 1 == 1) last = i;
        }
        for (uint256 i; i < last; ++i) {
            if ((contributors >> i) & 1 == 0) continue;
            transfers[i] = -int256(worst[i] - i);
            transfers[last] -= transfers[i];
        }
    }

    function hashOf(int256[] memory transfers) internal pure returns (bytes32) {
        return keccak256(abi.encode(transfers));
    }

    function attest(int256[] memory transfers) internal view returns (bytes memory) {
        return signature(ATTESTER_KEY, consortium.transfersDigest(hashOf(transfers), EVIDENCE));
    }

    function submit(int256[] memory transfers) internal {
        bytes memory attesterSignature = attest(transfers);
        consortium.transfersSubmit(transfers, EVIDENCE, attesterSignature);
    }

    function raise(uint256 index) internal {
        vm.prank(members[index]);
        consortium.disputeRaise(index, REASON);
    }

    function rule(IConsortium.Ruling ruling) internal {
        vm.prank(ARBITER);
        consortium.disputeResolve(uint8(ruling));
    }

    function expectPhase(IConsortium.Phase phase) internal view {
        vm.assertEq(uint256(consortium.round().phase), uint256(phase), "phase");
    }
}
