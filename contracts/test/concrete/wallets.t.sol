// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {IConsortiumNative} from "../../src/interfaces/IConsortiumNative.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {SafeWallet} from "../mocks/SafeWallet.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

/// @dev Three wallets of three owners each, two of whom must sign: the attester, the arbiter and a member.
abstract contract WalletFixture is ConsortiumFixture {
    SafeWallet internal attesting;
    SafeWallet internal ruling;
    SafeWallet internal joining;
    uint256 internal joiner;

    /// @dev Keys of the owners by their addresses' order.
    uint256[] internal keys;

    function setUp() public virtual override {
        vm.warp(START);
        keys = [uint256(0x51), 0x52, 0x53];
        for (uint256 i; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (vm.addr(keys[i]) > vm.addr(keys[j])) (keys[i], keys[j]) = (keys[j], keys[i]);
            }
        }
        (attesting, ruling, joining) = (createWallet(), createWallet(), createWallet());
        attester = address(attesting);
        address[] memory list = accounts(4);
        list[3] = address(joining);
        sort(list);
        members = list;
        while (members[joiner] != address(joining)) {
            ++joiner;
        }
        consortium = deploy(records(members), triangle(4), agreed());
        for (uint256 i; i < 4; ++i) {
            if (i != joiner) deposit(i, 2 * liability(i));
        }
        uint256 amount = 3 * liability(joiner) + 1 ether;
        vm.deal(address(joining), amount);
        act(joining, amount, abi.encodeCall(IConsortiumNative.depositSubmit, (joiner, consortium.termsHash())));
        act(attesting, 0, abi.encodeCall(IConsortium.roundOpen, ()));
    }

    function agreed() internal view virtual override returns (IConsortium.Terms memory terms) {
        terms = super.agreed();
        terms.arbiter = address(ruling);
    }

    function createWallet() internal returns (SafeWallet) {
        address[] memory owners = new address[](3);
        for (uint256 i; i < 3; ++i) {
            owners[i] = vm.addr(keys[i]);
        }
        return new SafeWallet(owners, 2);
    }

    /// @dev A call of the wallet that two of its owners have signed.
    function act(SafeWallet wallet, uint256 value, bytes memory data) internal {
        bytes32 hash = wallet.getTransactionHash(address(consortium), value, data, wallet.nonce());
        execute(wallet, value, data, bytes.concat(signature(keys[0], hash), signature(keys[2], hash)));
    }

    function execute(SafeWallet wallet, uint256 value, bytes memory data, bytes memory signatures) internal {
        wallet.execTransaction(
            address(consortium),
            value,
            data,
            0,
            0,
            0,
            0,
            address(0),
            payable(address(0)),
            signatures
        );
    }

    /// @dev Two owners' approval of `digest` for the attester.
    function approval(bytes32 digest) internal view returns (bytes memory) {
        bytes32 hash = attesting.getMessageHash(digest);
        return bytes.concat(signature(keys[1], hash), signature(keys[2], hash));
    }

    function digestFor(uint256 index) internal view returns (bytes32) {
        return digestOf(structHash(consortium.termsHash(), 1, members[index], contributionOf(index)));
    }

    function submitEverybody() internal {
        for (uint256 i; i < 4; ++i) {
            IConsortium.Contribution memory given = contributionOf(i);
            bytes memory approved = approval(digestFor(i));
            if (i != joiner) {
                submitAs(members[i], i, given, EVIDENCE, approved);
                continue;
            }
            bytes memory data = abi.encodeCall(
                IConsortium.contributionSubmit,
                (i, given.data, given.generated, given.compute, EVIDENCE, approved)
            );
            act(joining, 0, data);
        }
        consortium.profileRecord();
    }
}

contract WalletsTest is WalletFixture {
    function test_WalletsGoThroughAWholeDisputedRound() external {
        submitEverybody();
        vm.assertEq(consortium.round().submitted, 15, "submitted");
        act(joining, 0, abi.encodeCall(IConsortium.disputeRaise, (joiner, REASON)));
        vm.assertEq(consortium.round().disputant, joiner, "disputant");
        uint256 before = consortium.balanceOf(joiner);
        act(ruling, 0, abi.encodeCall(IConsortium.disputeResolve, (2)));
        vm.assertEq(consortium.balanceOf(joiner), before - 3 * (uint256(1 ether) / 3), "forfeited");
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        uint256 balance = consortium.balanceOf(joiner);
        act(joining, 0, abi.encodeCall(IConsortium.withdraw, (joiner, balance, payable(address(joining)))));
        vm.assertEq(address(joining).balance, balance, "paid");
        act(joining, 0, abi.encodeCall(IConsortium.exitRequest, (joiner)));
        vm.assertEq(consortium.exiting(), 1 << joiner, "exiting");
    }

    function test_RevertWhen_TheAttestersOwnersHaveNotSignedProperly() external {
        bytes32 hash = attesting.getMessageHash(digestFor(0));
        bytes memory first = signature(keys[0], hash);
        bytes memory second = signature(keys[1], hash);
        expectInvalid("");
        expectInvalid(first);
        expectInvalid(bytes.concat(second, first));
        expectInvalid(bytes.concat(first, first));
        expectInvalid(bytes.concat(first, signature(0xbad, hash)));
        expectInvalid(bytes.concat(signature(keys[0], digestFor(0)), signature(keys[1], digestFor(0))));
        expectInvalid(approval(digestFor(1)));
        // The same owners, another wallet.
        hash = ruling.getMessageHash(digestFor(0));
        expectInvalid(bytes.concat(signature(keys[0], hash), signature(keys[1], hash)));
        submitAs(members[0], 0, contributionOf(0), EVIDENCE, bytes.concat(first, second));
        vm.assertEq(consortium.round().submitted, 1, "submitted");
    }

    function test_OneOwnerAloneMovesNothing() external {
        submitEverybody();
        bytes memory data = abi.encodeCall(IConsortium.disputeRaise, (joiner, REASON));
        bytes32 hash = joining.getTransactionHash(address(consortium), 0, data, joining.nonce());
        vm.expectRevert("GS020");
        execute(joining, 0, data, signature(keys[0], hash));
        vm.expectRevert("GS026");
        execute(joining, 0, data, bytes.concat(signature(keys[1], hash), signature(keys[0], hash)));
        address owner = vm.addr(keys[0]);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotMember.selector, joiner, owner));
        vm.prank(owner);
        consortium.disputeRaise(joiner, REASON);
        act(joining, 0, data);

        data = abi.encodeCall(IConsortium.disputeResolve, (1));
        hash = ruling.getTransactionHash(address(consortium), 0, data, ruling.nonce());
        vm.expectRevert("GS020");
        execute(ruling, 0, data, signature(keys[0], hash));
        vm.expectRevert(abi.encodeWithSelector(Errors.NotArbiter.selector, owner));
        vm.prank(owner);
        consortium.disputeResolve(1);
        expectPhase(IConsortium.Phase.Disputed);
        act(ruling, 0, data);
        expectPhase(IConsortium.Phase.Idle);
    }

    function test_ARefusedCallRevertsThroughTheWallet() external {
        bytes memory data = abi.encodeCall(IConsortium.disputeRaise, (joiner, REASON));
        bytes32 hash = joining.getTransactionHash(address(consortium), 0, data, joining.nonce());
        vm.expectRevert("GS013");
        execute(joining, 0, data, bytes.concat(signature(keys[0], hash), signature(keys[1], hash)));
        expectPhase(IConsortium.Phase.Open);
    }

    function expectInvalid(bytes memory attesterSignature) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.InvalidSignature.selector, attester));
        submitAs(members[0], 0, contributionOf(0), EVIDENCE, attesterSignature);
    }
}

contract VectorWalletsTest is WalletFixture {
    function setUp() public override {
        vector = true;
        super.setUp();
    }

    function test_TransfersAreTakenAsTheOwnersSignThem() external {
        submitEverybody();
        int256[] memory transfers = transfersOf(15);
        bytes32 digest = digestOf(transfersStructHash(consortium.termsHash(), 1, transfers, EVIDENCE));
        bytes memory one = signature(keys[0], attesting.getMessageHash(digest));
        vm.expectRevert(abi.encodeWithSelector(Errors.InvalidSignature.selector, attester));
        consortium.transfersSubmit(transfers, EVIDENCE, one);
        consortium.transfersSubmit(transfers, EVIDENCE, approval(digest));
        vm.warp(START + 10 days);
        consortium.payoffCalculate();
        vm.assertEq(consortium.payoffOf(0), transfers[0], "payoff");
    }
}
