// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ContractAttester} from "../mocks/Wallets.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract ContributionSubmitTest is ConsortiumFixture {
    /// @dev Order of secp256k1's group: s and this minus s sign the same.
    uint256 private constant GROUP_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    IConsortium.Contribution private contribution;

    function setUp() public override {
        super.setUp();
        for (uint256 i; i < 3; ++i) {
            deposit(i, 3 * liability(i));
        }
        open();
        contribution = contributionOf(0);
    }

    function test_RevertWhen_ThereIsNoSuchMember() external {
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4));
        consortium.contributionSubmit(4, 1, 1, 1, EVIDENCE, "");
    }

    function test_RevertGiven_NoRoundIsOpen() external {
        submitAllPresent();
        consortium.profileRecord();
        expectFailure(members[0], 0, wrongPhase(IConsortium.Phase.Recorded));
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        expectFailure(members[0], 0, wrongPhase(IConsortium.Phase.Calculated));
        consortium.payoffTransfer();
        expectFailure(members[0], 0, wrongPhase(IConsortium.Phase.Idle));
    }

    function test_RevertGiven_TheDeadlineIsOver() external {
        uint256 deadline = START + 1 days;
        vm.warp(deadline - 1);
        submit(0);
        vm.warp(deadline);
        submit(1);
        vm.warp(deadline + 1);
        expectFailure(members[2], 2, abi.encodeWithSelector(Errors.TooLate.selector, deadline + 1, deadline));
    }

    function test_RevertGiven_TheMemberIsNoParticipant() external {
        deposit(3, liability(3));
        expectFailure(members[3], 3, abi.encodeWithSelector(Errors.NotParticipant.selector, 3, 1));
    }

    function test_RevertWhen_AStrangerSubmitsInTheFirstHalf() external {
        vm.warp(START + 12 hours - 1);
        expectFailure(members[1], 0, abi.encodeWithSelector(Errors.NotMember.selector, 0, members[1]));
    }

    function test_AnyoneRelaysFromTheSecondHalfOn() external {
        vm.warp(START + 12 hours);
        bytes memory attesterSignature = attest(0, contribution);
        expectSubmission(0, contribution, attesterSignature);
        submitAs(address(0xbeef), 0, contribution, EVIDENCE, attesterSignature);
        vm.assertEq(consortium.round().submitted, 1, "submitted");
    }

    function test_AnOddWindowIsHalvedDownwards() external {
        IConsortium.Terms memory terms = agreed();
        terms.submitWindow = 3601;
        consortium = deploy(records(members), triangle(4), terms);
        depositAll(1);
        open();
        vm.warp(START + 1799);
        expectFailure(members[1], 0, abi.encodeWithSelector(Errors.NotMember.selector, 0, members[1]));
        vm.warp(START + 1800);
        bytes memory attesterSignature = attest(0, contribution);
        submitAs(members[1], 0, contribution, EVIDENCE, attesterSignature);
        vm.assertEq(consortium.round().submitted, 1, "submitted");
    }

    function test_RevertGiven_TheMemberHasContributed() external {
        submit(0);
        expectFailure(members[0], 0, abi.encodeWithSelector(Errors.AlreadySubmitted.selector, 0, 1));
        // A stranger is refused as such before.
        expectFailure(members[1], 0, abi.encodeWithSelector(Errors.NotMember.selector, 0, members[1]));
        vm.assertEq(consortium.contributionOf(0).data, contribution.data, "contribution");
    }

    function test_RevertWhen_ThereIsNoEvidence() external {
        bytes memory attesterSignature = signature(
            ATTESTER_KEY,
            consortium.contributionDigest(0, contribution.data, contribution.generated, contribution.compute, 0)
        );
        vm.expectRevert(abi.encodeWithSelector(Errors.EvidenceMissing.selector, 0));
        submitAs(members[0], 0, contribution, 0, attesterSignature);
    }

    function test_RevertWhen_AnAmountExceedsItsCap() external {
        IConsortium.Member memory terms = termsOf(members[0], 0);
        IConsortium.Contribution memory caps = IConsortium.Contribution(
            terms.dataCap,
            terms.generatedCap,
            terms.computeCap
        );
        for (uint8 component; component < 3; ++component) {
            IConsortium.Contribution memory above = IConsortium.Contribution(caps.data, caps.generated, caps.compute);
            uint64 cap;
            if (component == 0) cap = above.data++;
            if (component == 1) cap = above.generated++;
            if (component == 2) cap = above.compute++;
            contribution = above;
            expectFailure(
                members[0],
                0,
                abi.encodeWithSelector(Errors.CapExceeded.selector, 0, component, uint256(cap) + 1, cap)
            );
        }
        submit(0, caps);
        vm.assertEq(consortium.contributionOf(0).data, caps.data, "at the caps");
    }

    function test_RevertWhen_ASignedFieldDiffers() external {
        bytes memory genuine = attest(0, contribution);
        IConsortium.Contribution memory other = contribution;
        other.data -= 1;
        expectInvalid(0, other, EVIDENCE, genuine);
        other = contributionOf(0);
        other.generated += 1;
        expectInvalid(0, other, EVIDENCE, genuine);
        other = contributionOf(0);
        other.compute += 1;
        expectInvalid(0, other, EVIDENCE, genuine);
        expectInvalid(0, contribution, keccak256("other evidence"), genuine);
    }

    function test_RevertWhen_TheSignatureIsAnotherMembers() external {
        expectInvalid(1, contribution, EVIDENCE, attest(0, contribution));
    }

    function test_RevertWhen_TheSignatureIsFromAnotherRound() external {
        bytes memory old = attest(0, contribution);
        vm.warp(START + 30 days);
        consortium.profileRecord();
        vm.warp(START + 60 days);
        open();
        expectInvalid(0, contribution, EVIDENCE, old);
        submit(0, contribution);
    }

    function test_RevertWhen_TheSignatureIsForAnotherContract() external {
        bytes memory genuine = attest(0, contribution);
        consortium = deploy(records(members), triangle(4), agreed());
        depositAll(1);
        open();
        expectInvalid(0, contribution, EVIDENCE, genuine);
    }

    function test_RevertWhen_TheSignatureIsForAnotherChain() external {
        bytes memory genuine = attest(0, contribution);
        vm.chainId(1234);
        expectInvalid(0, contribution, EVIDENCE, genuine);
    }

    function test_RevertWhen_TheSignatureIsForOtherTerms() external {
        // The same in all but the terms' hash, under this contract's own domain.
        bytes32 digest = digestOf(keccak256("other terms"), 1, members[0], contribution);
        expectInvalid(0, contribution, EVIDENCE, signature(ATTESTER_KEY, digest));
        digest = digestOf(consortium.termsHash(), 1, members[0], contribution);
        submitAs(members[0], 0, contribution, EVIDENCE, signature(ATTESTER_KEY, digest));
    }

    function test_RevertWhen_TheSignatureIsMalleable() external {
        bytes memory genuine = attest(0, contribution);
        bytes32 r;
        bytes32 s;
        uint8 v = uint8(genuine[64]);
        assembly ("memory-safe") {
            r := mload(add(genuine, 0x20))
            s := mload(add(genuine, 0x40))
        }
        expectInvalid(
            0,
            contribution,
            EVIDENCE,
            abi.encodePacked(r, bytes32(GROUP_ORDER - uint256(s)), v == 27 ? 28 : 27)
        );
    }

    function test_RevertWhen_TheSignatureHasAnotherForm() external {
        bytes memory genuine = attest(0, contribution);
        expectInvalid(0, contribution, EVIDENCE, "");
        expectInvalid(0, contribution, EVIDENCE, bytes.concat(genuine, hex"00"));
        expectInvalid(0, contribution, EVIDENCE, new bytes(65));
        bytes memory short = new bytes(64);
        for (uint256 i; i < 64; ++i) {
            short[i] = genuine[i];
        }
        expectInvalid(0, contribution, EVIDENCE, short);
        genuine[64] = bytes1(uint8(genuine[64]) - 27);
        expectInvalid(0, contribution, EVIDENCE, genuine);
    }

    function test_RevertWhen_SomebodyElseSigned() external {
        bytes32 digest = digestOf(consortium.termsHash(), 1, members[0], contribution);
        expectInvalid(0, contribution, EVIDENCE, signature(1, digest));
    }

    function test_AContractAttesterApprovesOrRefuses() external {
        ContractAttester wallet = new ContractAttester();
        attester = address(wallet);
        consortium = deploy(records(members), triangle(4), agreed());
        depositAll(1);
        wallet.roundOpen(consortium);
        bytes32 digest = digestOf(consortium.termsHash(), 1, members[0], contribution);
        for (uint256 i = 1; i < 5; ++i) {
            wallet.set(ContractAttester.Answer(i), digest);
            expectInvalid(0, contribution, EVIDENCE, "any");
        }
        wallet.set(ContractAttester.Answer.Approve, keccak256("another digest"));
        expectInvalid(0, contribution, EVIDENCE, "any");
        wallet.set(ContractAttester.Answer.Approve, digest);
        submitAs(members[0], 0, contribution, EVIDENCE, "any");
        vm.assertEq(consortium.round().submitted, 1, "submitted");
    }

    function test_ItStoresTheContributionAndExtendsTheRoundHash() external {
        bytes32 hash;
        for (uint256 i; i < 3; ++i) {
            IConsortium.Contribution memory given = contributionOf(i);
            expectSubmission(i, given, attest(i, given));
            submit(i, given);
            hash = keccak256(abi.encode(hash, i, structHash(consortium.termsHash(), 1, members[i], given)));
            IConsortium.Round memory round = consortium.round();
            vm.assertEq(round.roundHash, hash, "round hash");
            vm.assertEq(round.submitted, (1 << (i + 1)) - 1, "submitted");
            vm.assertEq(
                keccak256(abi.encode(consortium.contributionOf(i))),
                keccak256(abi.encode(given)),
                "contribution"
            );
        }
        expectPhase(IConsortium.Phase.Open);
    }

    function test_TheDigestIsTheOneOfEip712() external view {
        bytes32 expected = digestOf(consortium.termsHash(), 1, members[0], contribution);
        bytes32 actual = consortium.contributionDigest(
            0,
            contribution.data,
            contribution.generated,
            contribution.compute,
            EVIDENCE
        );
        vm.assertEq(actual, expected, "digest");
    }

    function submitAllPresent() private {
        for (uint256 i; i < 3; ++i) {
            submit(i);
        }
    }

    function wrongPhase(IConsortium.Phase actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Open);
    }

    function digestOf(
        bytes32 termsHash,
        uint32 number,
        address account,
        IConsortium.Contribution memory given
    ) private view returns (bytes32) {
        return digestOf(structHash(termsHash, number, account, given));
    }

    function expectSubmission(
        uint256 index,
        IConsortium.Contribution memory given,
        bytes memory attesterSignature
    ) private {
        vm.expectEmit(address(consortium));
        emit IConsortium.ContributionSubmitted(
            1,
            index,
            members[index],
            given.data,
            given.generated,
            given.compute,
            EVIDENCE,
            attesterSignature
        );
    }

    /// @dev A genuine submission of `contribution` must fail for `reason`.
    function expectFailure(address sender, uint256 index, bytes memory reason) private {
        bytes memory attesterSignature = attest(index, contribution);
        vm.expectRevert(reason);
        submitAs(sender, index, contribution, EVIDENCE, attesterSignature);
    }

    function expectInvalid(
        uint256 index,
        IConsortium.Contribution memory given,
        bytes32 evidence,
        bytes memory attesterSignature
    ) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.InvalidSignature.selector, attester));
        submitAs(members[index], index, given, evidence, attesterSignature);
    }
}
