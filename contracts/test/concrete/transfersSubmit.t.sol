// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract PairwiseTransfersTest is ConsortiumFixture {
    function test_RevertGiven_PairwiseTerms() external {
        reachRecorded();
        int256[] memory transfers = new int256[](4);
        bytes32 hash = transfersStructHash(consortium.termsHash(), 1, transfers, EVIDENCE);
        bytes memory attesterSignature = signature(ATTESTER_KEY, digestOf(hash));
        bytes memory reason = abi.encodeWithSelector(Errors.WrongMode.selector, 0, 1);
        vm.expectRevert(reason);
        consortium.transfersSubmit(transfers, EVIDENCE, attesterSignature);
        vm.expectRevert(reason);
        consortium.transfersDigest(hash, EVIDENCE);
    }
}

contract TransfersSubmitTest is ConsortiumFixture {
    /// @dev End of the window for the transfers of a round in which everybody contributes at once.
    uint256 private constant DEADLINE = START + 1 days;

    function setUp() public override {
        vector = true;
        super.setUp();
        depositAll(2);
        deposit(0, 1 ether);
        open();
    }

    function test_RevertGiven_NoProfileIsRecorded() external {
        expectWrongPhase(IConsortium.Phase.Open);
        record();
        submit(transfersOf(15));
        raise(0);
        expectWrongPhase(IConsortium.Phase.Disputed);
        rule(IConsortium.Ruling.Settle);
        consortium.payoffCalculate();
        expectWrongPhase(IConsortium.Phase.Calculated);
        consortium.payoffTransfer();
        expectWrongPhase(IConsortium.Phase.Idle);
    }

    function test_RevertGiven_TheTransfersAreIn() external {
        record();
        submit(transfersOf(15));
        expectFailure(transfersOf(15), abi.encodeWithSelector(Errors.TransfersAlreadySubmitted.selector, 1));
        expectFailure(new int256[](4), abi.encodeWithSelector(Errors.TransfersAlreadySubmitted.selector, 1));
    }

    function test_TheWindowIncludesItsDeadline() external {
        record();
        vm.assertEq(consortium.round().deadline, DEADLINE, "a submit window");
        vm.warp(DEADLINE);
        submit(transfersOf(15));
        vm.assertTrue(consortium.round().transfersSubmitted, "in time");
    }

    function test_RevertGiven_TheDeadlineIsOver() external {
        record();
        vm.warp(DEADLINE + 1);
        expectFailure(transfersOf(15), abi.encodeWithSelector(Errors.TooLate.selector, DEADLINE + 1, DEADLINE));
    }

    function test_RevertWhen_ThereIsNotOneTransferForEveryMember() external {
        record();
        expectFailure(new int256[](0), abi.encodeWithSelector(Errors.TransfersLengthInvalid.selector, 0, 4));
        expectFailure(new int256[](3), abi.encodeWithSelector(Errors.TransfersLengthInvalid.selector, 3, 4));
        expectFailure(new int256[](5), abi.encodeWithSelector(Errors.TransfersLengthInvalid.selector, 5, 4));
    }

    function test_RevertWhen_ThereIsNoEvidence() external {
        record();
        int256[] memory transfers = transfersOf(15);
        bytes memory signed = signature(ATTESTER_KEY, consortium.transfersDigest(hashOf(transfers), 0));
        vm.expectRevert(abi.encodeWithSelector(Errors.TransfersEvidenceMissing.selector, 1));
        consortium.transfersSubmit(transfers, 0, signed);
    }

    function test_RevertWhen_ATransferTakesMoreThanTheLiability() external {
        record();
        int256 least = -int256(liability(1));
        int256[] memory transfers = new int256[](4);
        (transfers[1], transfers[2]) = (least - 1, 1 - least);
        expectOutOfRange(transfers, 1, least);
        (transfers[1], transfers[2]) = (type(int256).min, type(int256).max);
        expectOutOfRange(transfers, 1, least);
        (transfers[1], transfers[2]) = (least, -least);
        submit(transfers);
        vm.assertTrue(consortium.round().transfersSubmitted, "exactly the liability");
    }

    function test_RevertWhen_ATransferGivesMoreThanThereCanBe() external {
        record();
        int256 least = -int256(liability(0));
        int256[] memory transfers = new int256[](4);
        (transfers[0], transfers[1]) = (2 ** 127, -(2 ** 127));
        expectOutOfRange(transfers, 0, least);
        transfers[0] = type(int256).max;
        expectOutOfRange(transfers, 0, least);
        // The largest that is looked at cannot be balanced: all liabilities together are smaller.
        (transfers[0], transfers[1]) = (2 ** 127 - 1, 0);
        expectFailure(transfers, abi.encodeWithSelector(Errors.TransfersUnbalanced.selector, int256(2 ** 127 - 1)));
        (transfers[1], transfers[2], transfers[3]) = (2 ** 127 - 1, 2 ** 127 - 1, 2 ** 127 - 1);
        expectFailure(transfers, abi.encodeWithSelector(Errors.TransfersUnbalanced.selector, 4 * int256(2 ** 127 - 1)));
    }

    function test_RevertWhen_ATransferTouchesWhoHasNotContributed() external {
        for (uint256 i = 1; i < 4; ++i) {
            submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        int256[] memory transfers = new int256[](4);
        for (int256 given = -1; given < 2; given += 2) {
            (transfers[0], transfers[1]) = (given, -given);
            bytes memory reason = abi.encodeWithSelector(
                Errors.TransferOutOfRange.selector,
                0,
                given,
                int256(0),
                int256(0)
            );
            expectFailure(transfers, reason);
        }
        submit(transfersOf(14));
        vm.warp(START + 10 days);
        consortium.payoffCalculate();
        vm.assertEq(consortium.payoffOf(0), 0, "payoff of the absent");
    }

    function test_RevertWhen_TheTransfersAreUnbalanced() external {
        record();
        int256[] memory transfers = transfersOf(15);
        transfers[1] += 1;
        expectFailure(transfers, abi.encodeWithSelector(Errors.TransfersUnbalanced.selector, int256(1)));
        transfers[1] -= 1;
        transfers[3] -= 1;
        expectFailure(transfers, abi.encodeWithSelector(Errors.TransfersUnbalanced.selector, int256(-1)));
    }

    function test_RevertWhen_TheSignatureIsForSomethingElse() external {
        record();
        bytes32 termsHash = consortium.termsHash();
        int256[] memory transfers = transfersOf(15);
        int256[] memory others = transfersOf(15);
        (others[0], others[1]) = (others[0] + 1, others[1] - 1);
        expectInvalid(transfers, EVIDENCE, attest(others));
        expectInvalid(transfers, keccak256("other evidence"), attest(transfers));
        expectInvalid(transfers, EVIDENCE, signatureOf(ATTESTER_KEY, keccak256("other terms"), 1, transfers));
        expectInvalid(transfers, EVIDENCE, signatureOf(ATTESTER_KEY, termsHash, 2, transfers));
        expectInvalid(transfers, EVIDENCE, signatureOf(1, termsHash, 1, transfers));
        expectInvalid(transfers, EVIDENCE, "");
        bytes memory genuine = attest(transfers);
        vm.chainId(1234);
        expectInvalid(transfers, EVIDENCE, genuine);
    }

    function test_RevertWhen_TheSignatureIsFromAnotherRound() external {
        record();
        bytes memory old = attest(transfersOf(15));
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        vm.warp(START + 60 days);
        open();
        record();
        expectInvalid(transfersOf(15), EVIDENCE, old);
    }

    function test_RevertWhen_TheSignatureIsForAnotherContract() external {
        record();
        bytes memory genuine = attest(transfersOf(15));
        consortium = deploy(records(members), "", agreed());
        depositAll(1);
        open();
        record();
        expectInvalid(transfersOf(15), EVIDENCE, genuine);
    }

    function test_ItTakesTheTransfersAndStartsTheDisputeWindow() external {
        record();
        int256[] memory transfers = transfersOf(15);
        bytes32 ledger = consortium.ledger();
        uint256 time = START + 500;
        vm.warp(time);
        bytes memory signed = signatureOf(ATTESTER_KEY, consortium.termsHash(), 1, transfers);
        vm.expectEmit(address(consortium));
        emit IConsortium.TransfersSubmitted(1, hashOf(transfers), transfers, EVIDENCE, signed, time + 2 days);
        vm.prank(address(0xbeef));
        consortium.transfersSubmit(transfers, EVIDENCE, signed);
        IConsortium.Round memory round = consortium.round();
        vm.assertTrue(round.transfersSubmitted, "transfers submitted");
        vm.assertEq(round.deadline, time + 2 days, "deadline");
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), 0, "not yet a payoff");
        }
        expectPhase(IConsortium.Phase.Recorded);
    }

    function test_OnlyTransfersCanBeDisputed() external {
        record();
        vm.expectRevert(abi.encodeWithSelector(Errors.TransfersMissing.selector, 1));
        raise(0);
        submit(transfersOf(15));
        vm.warp(START + 2 days);
        raise(0);
        expectPhase(IConsortium.Phase.Disputed);
    }

    function test_ThePayoffsAreTheTransfers() external {
        record();
        int256[] memory transfers = transfersOf(15);
        submit(transfers);
        uint256 deadline = START + 2 days;
        for (uint256 time = deadline - 1; time <= deadline; ++time) {
            vm.warp(time);
            vm.expectRevert(abi.encodeWithSelector(Errors.TooEarly.selector, time, deadline + 1));
            consortium.payoffCalculate();
        }
        vm.warp(deadline + 1);
        bytes32 ledger = keccak256(abi.encode(consortium.ledger(), uint256(1), hashOf(transfers)));
        vm.expectEmit(address(consortium));
        emit IConsortium.PayoffCalculated(1, hashOf(transfers), transfers);
        consortium.payoffCalculate();
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        int256[] memory expected = new int256[](4);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), transfers[i], "payoff");
            vm.assertTrue(transfers[i] != 0, "everybody pays or receives");
            expected[i] = int256(consortium.balanceOf(i)) + transfers[i];
        }
        // Member 1 keeps its liability exactly after paying all but a wei of it; a wei less is below.
        withdraw(1, uint256(expected[1]) - liability(1));
        withdraw(2, uint256(expected[2]) - liability(2) + 1);
        consortium.payoffTransfer();
        vm.assertEq(int256(consortium.balanceOf(3)), expected[3], "balance");
        vm.assertEq(consortium.balanceOf(1), liability(1), "exactly the liability");
        vm.assertEq(consortium.solvent(), 11, "solvent");
        expectPhase(IConsortium.Phase.Idle);
    }

    function test_ASettledDisputePaysTheTransfers() external {
        record();
        int256[] memory transfers = transfersOf(15);
        submit(transfers);
        raise(0);
        rule(IConsortium.Ruling.SettleAndForfeit);
        expectFailure(transfers, abi.encodeWithSelector(Errors.TransfersAlreadySubmitted.selector, 1));
        consortium.payoffCalculate();
        vm.assertEq(consortium.payoffOf(3), transfers[3], "payoff");
    }

    function test_TransfersThatWereVoidedAreNeverPaid() external {
        record();
        submit(transfersOf(15));
        raise(0);
        rule(IConsortium.Ruling.Void);
        uint256[] memory before = balances();
        vm.assertTrue(consortium.round().transfersSubmitted, "kept until the next round opens");

        // Next, member 0 does not contribute, and nobody is to pay or receive.
        vm.warp(START + 30 days);
        open();
        vm.assertTrue(!consortium.round().transfersSubmitted, "forgotten");
        for (uint256 i = 1; i < 4; ++i) {
            submit(i);
        }
        vm.warp(START + 40 days);
        consortium.profileRecord();
        submit(new int256[](4));
        vm.warp(START + 50 days);
        consortium.payoffCalculate();
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), 0, "payoff");
        }
        consortium.payoffTransfer();
        vm.assertEq(balances(), before, "balances");
    }

    function test_WithoutTransfersTheRoundIsVoided() external {
        record();
        uint256[] memory before = balances();
        bytes32 ledger = consortium.ledger();
        vm.warp(DEADLINE);
        vm.expectRevert(abi.encodeWithSelector(Errors.TooEarly.selector, DEADLINE, DEADLINE + 1));
        consortium.payoffCalculate();
        vm.warp(DEADLINE + 1);
        vm.expectEmit(address(consortium));
        emit IConsortium.RoundVoided(1, "transfers");
        vm.prank(address(0xbeef));
        consortium.payoffCalculate();
        vm.assertEq(consortium.round().idleSince, DEADLINE + 1, "idle since");
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        vm.assertEq(balances(), before, "balances");
        expectPhase(IConsortium.Phase.Idle);
    }

    function test_TransfersOfAVoidedRoundDoNotCountForTheNext() external {
        record();
        submit(transfersOf(15));
        raise(0);
        rule(IConsortium.Ruling.Void);
        vm.warp(START + 30 days);
        open();
        record();
        vm.warp(START + 40 days);
        vm.expectEmit(address(consortium));
        emit IConsortium.RoundVoided(2, "transfers");
        consortium.payoffCalculate();
    }

    function testFuzz_AnyBalancedTransfersWithinTheLiabilitiesSettle(uint256 seed, uint256 present) external {
        uint256 contributors;
        for (uint256 i; i < 4; ++i) {
            // At least three contribute, as the quorum wants.
            if (i == present % 5) continue;
            contributors |= 1 << i;
            submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        int256[] memory transfers = new int256[](4);
        uint256 last = present % 5 == 3 ? 2 : 3;
        for (uint256 i; i < last; ++i) {
            if ((contributors >> i) & 1 == 0) continue;
            transfers[i] = -int256(bound(uint256(keccak256(abi.encode(seed, i))), 0, liability(i)));
            transfers[last] -= transfers[i];
        }
        uint256[] memory before = balances();
        submit(transfers);
        vm.warp(START + 10 days);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(int256(consortium.balanceOf(i)), int256(before[i]) + transfers[i], "balance");
        }
    }

    function record() private {
        submitAll();
        consortium.profileRecord();
    }

    function withdraw(uint256 index, uint256 amount) private {
        vm.prank(members[index]);
        consortium.withdraw(index, amount, payable(members[index]));
    }

    function balances() private view returns (uint256[] memory list) {
        list = new uint256[](members.length);
        for (uint256 i; i < list.length; ++i) {
            list[i] = consortium.balanceOf(i);
        }
    }

    function signatureOf(
        uint256 key,
        bytes32 termsHash,
        uint32 number,
        int256[] memory transfers
    ) private view returns (bytes memory) {
        return signature(key, digestOf(transfersStructHash(termsHash, number, transfers, EVIDENCE)));
    }

    function expectWrongPhase(IConsortium.Phase actual) private {
        bytes memory reason = abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Recorded);
        expectFailure(transfersOf(15), reason);
    }

    function expectOutOfRange(int256[] memory transfers, uint256 index, int256 least) private {
        int256 most = 2 ** 127 - 1;
        bytes4 selector = Errors.TransferOutOfRange.selector;
        expectFailure(transfers, abi.encodeWithSelector(selector, index, transfers[index], least, most));
    }

    function expectInvalid(int256[] memory transfers, bytes32 evidence, bytes memory signed) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.InvalidSignature.selector, attester));
        consortium.transfersSubmit(transfers, evidence, signed);
    }

    /// @dev Transfers that the attester has signed must fail for `reason`.
    function expectFailure(int256[] memory transfers, bytes memory reason) private {
        bytes memory signed = attest(transfers);
        vm.expectRevert(reason);
        consortium.transfersSubmit(transfers, EVIDENCE, signed);
    }
}
