// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {Token} from "../mocks/Tokens.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

abstract contract ConstructorFixture is ConsortiumFixture {
    function arithmeticBound(bytes32 name) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(Errors.ArithmeticBound.selector, name);
    }

    function outOfRange(
        bytes32 field,
        uint256 value,
        uint256 minimum,
        uint256 maximum
    ) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(Errors.TermOutOfRange.selector, field, value, minimum, maximum);
    }

    function expectFailure(
        bytes memory records_,
        bytes memory triangle_,
        IConsortium.Terms memory terms,
        bytes memory reason
    ) internal {
        try this.attempt(records_, triangle_, terms) {
            vm.assertTrue(false, "deployed with invalid terms");
        } catch (bytes memory actual) {
            vm.assertEq(actual, reason, "reason");
        }
    }

    /// @dev External, so that its revert can be caught.
    function attempt(bytes memory records_, bytes memory triangle_, IConsortium.Terms memory terms) external {
        deploy(records_, triangle_, terms);
    }
}

contract ConstructorTest is ConstructorFixture {
    /// @dev External, so that its revert can be caught.
    function attemptWith(bytes memory standIns_) external {
        create(creation(records(members), triangle(4), standIns_, agreed()));
    }

    uint256 private constant RECORD_LENGTH = 68;

    function test_RevertWhen_TheRecordsAreNotWhole() external {
        bytes memory packed = bytes.concat(records(members), hex"00");
        expectFailure(
            packed,
            triangle(4),
            agreed(),
            abi.encodeWithSelector(Errors.RecordsLengthInvalid.selector, 4 * 68 + 1)
        );
    }

    function test_RevertWhen_ThereAreTooFewOrTooManyMembers() external {
        bytes4 selector = Errors.MemberCountOutOfRange.selector;
        expectFailure("", "", agreed(), abi.encodeWithSelector(selector, 0, 2, 120));
        expectFailure(new bytes(RECORD_LENGTH), "", agreed(), abi.encodeWithSelector(selector, 1, 2, 120));
        expectFailure(new bytes(121 * RECORD_LENGTH), "", agreed(), abi.encodeWithSelector(selector, 121, 2, 120));
    }

    function test_RevertWhen_TheTriangleHasAnotherLength() external {
        bytes4 selector = Errors.TriangleLengthInvalid.selector;
        expectFailure(records(members), new bytes(10), agreed(), abi.encodeWithSelector(selector, 10, 12));
        expectFailure(records(members), new bytes(13), agreed(), abi.encodeWithSelector(selector, 13, 12));
    }

    function test_RevertWhen_TheStandInsHaveAnotherLength() external {
        for (uint256 length = 1; length <= 80; ++length) {
            if (length == 64) continue;
            expectRefusal(new bytes(length), abi.encodeWithSelector(Errors.StandInsLengthInvalid.selector, length, 64));
        }
    }

    function test_RevertWhen_AStandInIsBeyondWhatItsMemberCanReach() external {
        int256[] memory scores = new int256[](4);
        for (uint256 who; who < 4; ++who) {
            IConsortium.Member memory terms = termsOf(members[who], who);
            int256 most = scoreOf(who, IConsortium.Contribution(terms.dataCap, terms.generatedCap, terms.computeCap));
            for (uint256 i; i < 4; ++i) {
                scores[i] = standIn(i);
            }
            for (uint256 end; end < 2; ++end) {
                scores[who] = end == 0 ? int256(terms.offset) : most;
                create(creation(records(members), triangle(4), packScores(scores), agreed()));
                scores[who] = end == 0 ? int256(terms.offset) - 1 : most + 1;
                bytes4 selector = Errors.StandInOutOfRange.selector;
                expectRefusal(
                    packScores(scores),
                    abi.encodeWithSelector(selector, who, scores[who], terms.offset, most)
                );
            }
        }
    }

    function test_ItKeepsTheStandInsInABlobOfTheirOwn() external {
        vm.assertEq(consortium.standInsBlob(), address(0), "none");
        bytes32 without = consortium.termsHash();
        charging = true;
        consortium = deploy(records(members), triangle(4), agreed());
        vm.assertEq(consortium.standInsBlob().code, bytes.concat(hex"00", standIns(4)), "blob");
        bytes memory expected = abi.encode(
            keccak256(records(members)),
            keccak256(triangle(4)),
            keccak256(standIns(4)),
            agreed()
        );
        vm.assertEq(consortium.termsHash(), keccak256(expected), "terms hash");
        vm.assertTrue(consortium.termsHash() != without, "other terms");
    }

    function test_RevertWhen_MembersAreNotAscending() external {
        address[] memory list = accounts(4);
        (list[1], list[2]) = (list[2], list[1]);
        expectUnsorted(list, 2);
        list = accounts(4);
        list[3] = list[2];
        expectUnsorted(list, 3);
        list = accounts(4);
        list[0] = address(0);
        expectUnsorted(list, 0);
    }

    function test_RevertWhen_AScalarIsOutOfRange() external {
        IConsortium.Terms memory terms = agreed();
        terms.attester = address(0);
        expectOutOfRange(terms, "attester", 0, 1, type(uint160).max);
        terms = agreed();
        terms.arbiter = address(0);
        expectOutOfRange(terms, "arbiter", 0, 1, type(uint160).max);
        for (uint256 i; i < 2; ++i) {
            uint32 wrong = i == 0 ? 1 hours - 1 : 365 days + 1;
            terms = agreed();
            terms.submitWindow = wrong;
            expectOutOfRange(terms, "submitWindow", wrong, 1 hours, 365 days);
            terms = agreed();
            terms.disputeWindow = wrong;
            expectOutOfRange(terms, "disputeWindow", wrong, 1 hours, 365 days);
            terms = agreed();
            terms.arbiterWindow = wrong;
            expectOutOfRange(terms, "arbiterWindow", wrong, 1 hours, 365 days);
            terms = agreed();
            terms.minGap = wrong;
            expectOutOfRange(terms, "minGap", wrong, 1 hours, 365 days);
            terms = agreed();
            terms.quorum = i == 0 ? 0 : 10_001;
            expectOutOfRange(terms, "quorum", terms.quorum, 1, 10_000);
            terms = agreed();
            terms.minMembers = i == 0 ? 1 : 5;
            expectOutOfRange(terms, "minMembers", terms.minMembers, 2, 4);
        }
        terms = agreed();
        terms.maxRounds = 0;
        expectOutOfRange(terms, "maxRounds", 0, 1, type(uint32).max);
        terms = agreed();
        terms.disputeDefault = 2;
        expectOutOfRange(terms, "disputeDefault", 2, 0, 1);
        terms = agreed();
        terms.mode = 1;
        expectOutOfRange(terms, "mode", 1, 0, 0);
        terms = agreed();
        terms.documentHash = 0;
        expectOutOfRange(terms, "documentHash", 0, 1, type(uint256).max);
    }

    function test_TheTestFlagAdmitsWindowsFromOneSecond() external {
        IConsortium.Terms memory terms = agreed();
        terms.test = true;
        (terms.submitWindow, terms.disputeWindow, terms.arbiterWindow, terms.minGap) = (1, 1, 1, 1);
        vm.assertTrue(deploy(records(members), triangle(4), terms).terms().test, "test flag");
        terms.minGap = 0;
        expectOutOfRange(terms, "minGap", 0, 1, 365 days);
    }

    function test_TheEndsOfEveryRangeAreAdmitted() external {
        IConsortium.Terms memory terms = agreed();
        (terms.submitWindow, terms.disputeWindow, terms.arbiterWindow, terms.minGap) = (
            1 hours,
            1 hours,
            1 hours,
            1 hours
        );
        (terms.quorum, terms.minMembers, terms.maxRounds, terms.disputeDefault) = (1, 2, 1, 0);
        deploy(records(members), triangle(4), terms);
        (terms.submitWindow, terms.disputeWindow) = (365 days, 365 days);
        (terms.arbiterWindow, terms.minGap) = (365 days, 365 days);
        (terms.quorum, terms.minMembers, terms.maxRounds) = (10_000, 4, type(uint32).max);
        terms.disputeBond = type(uint128).max;
        deploy(records(members), triangle(4), terms);
    }

    function test_RevertWhen_ThereIsAToken() external {
        IConsortium.Terms memory terms = agreed();
        terms.token = address(0x70ce);
        terms.submitWindow = 0;
        bytes memory reason = abi.encodeWithSelector(Errors.UnsupportedToken.selector, address(0x70ce));
        expectFailure(records(members), triangle(4), terms, reason);
        terms.arbiter = address(0);
        expectOutOfRange(terms, "arbiter", 0, 1, type(uint160).max);
    }

    function test_RevertWhen_AScoreCouldReachTheBound() external {
        IConsortium.Terms memory terms = agreed();
        (terms.gammaWad, terms.generatedWeightWad, terms.lambdaWad) = (0, 0, 0);
        IConsortium.Member memory last = termsOf(members[3], 3);
        // One sample scores 1e18, so the largest score is 2^127 with this offset, and one less below.
        (last.dataCap, last.weight, last.offset) = (1, 1e9, type(int128).max - 1e18 + 1);
        expectFailure(withLast(last), triangle(4), terms, arithmeticBound("score"));
        last.offset -= 1;
        deploy(withLast(last), triangle(4), terms);
        last.offset = type(int128).min;
        expectFailure(withLast(last), triangle(4), terms, arithmeticBound("score"));
        last.offset += 1;
        deploy(withLast(last), triangle(4), terms);
    }

    function test_RevertWhen_TheProductOfAScoreWouldWrap() external {
        IConsortium.Terms memory terms = agreed();
        (terms.gammaWad, terms.generatedWeightWad) = (0, type(uint128).max);
        IConsortium.Member memory last = termsOf(members[3], 3);
        (last.generatedCap, last.weight) = (type(uint64).max, type(uint64).max);
        expectFailure(withLast(last), triangle(4), terms, arithmeticBound("score"));
    }

    function test_RevertWhen_TheSpreadCouldLeaveTheWord() external {
        IConsortium.Terms memory terms = agreed();
        (terms.generatedWeightWad, terms.lambdaWad) = (0, 0);
        terms.gammaWad = type(uint160).max;
        IConsortium.Member memory last = termsOf(members[3], 3);
        (last.dataCap, last.weight, last.offset) = (0, 0, 2 ** 90);
        expectFailure(withLast(last), triangle(4), terms, arithmeticBound("spread"));
    }

    function test_RevertWhen_TheLiabilitiesReachTheBound() external {
        // The spread bound keeps the debt of one pair below 2^120: 16 debtors and 16 creditors make 256 pairs, each of
        // them of gammaWad · 2^91 / 1e36 wei at full weight, which is 2^119 here.
        address[] memory list = accounts(32);
        bytes memory packed;
        for (uint256 i; i < 32; ++i) {
            IConsortium.Member memory terms = termsOf(list[i], i);
            (terms.dataCap, terms.generatedCap, terms.computeCap) = (0, 0, 0);
            terms.offset = i < 16 ? int128(0) : int128(2 ** 91);
            packed = bytes.concat(packed, record(terms));
        }
        bytes memory full = new bytes(32 * 31);
        for (uint256 i; i < full.length; ++i) {
            full[i] = 0xff;
        }
        IConsortium.Terms memory scalars = agreed();
        scalars.gammaWad = 2 ** 28 * 1e36;
        expectFailure(packed, full, scalars, arithmeticBound("liabilities"));
        scalars.gammaWad -= 1;
        vm.assertEq(deploy(packed, full, scalars).member(0).liability, 16 * (2 ** 119 - 1), "liability");
    }

    function test_ItServesTheTermsAsPassed() external view {
        vm.assertEq(consortium.memberCount(), 4, "member count");
        vm.assertEq(keccak256(abi.encode(consortium.terms())), keccak256(abi.encode(agreed())), "terms");
        for (uint256 i; i < 4; ++i) {
            IConsortium.Member memory terms = consortium.member(i);
            vm.assertEq(terms.liability, expectedLiabilities()[i], "liability");
            vm.assertGt(terms.liability, 0, "a liability worth the name");
            terms.liability = 0;
            vm.assertEq(keccak256(abi.encode(terms)), keccak256(abi.encode(termsOf(members[i], i))), "member");
            for (uint256 j; j < 4; ++j) {
                vm.assertEq(consortium.pairWeight(i, j), pairWeight(i, j), "pair weight");
            }
        }
    }

    function test_ItKeepsTheBlob() external view {
        bytes memory expected = hex"00";
        for (uint256 i; i < 4; ++i) {
            expected = bytes.concat(
                expected,
                record(termsOf(members[i], i)),
                bytes16(uint128(expectedLiabilities()[i]))
            );
        }
        vm.assertEq(consortium.termsBlob().code, bytes.concat(expected, triangle(4)), "blob");
    }

    function test_ItHashesTheTermsWithoutAChain() external view {
        IConsortium.Terms memory terms = agreed();
        bytes memory scalars = bytes.concat(
            abi.encode(terms.gammaWad, terms.generatedWeightWad, terms.lambdaWad, terms.attester, terms.arbiter),
            abi.encode(terms.token, terms.submitWindow, terms.disputeWindow, terms.arbiterWindow, terms.minGap),
            abi.encode(terms.quorum, terms.minMembers, terms.maxRounds, terms.disputeBond, terms.disputeDefault),
            abi.encode(terms.test, terms.mode, terms.documentHash)
        );
        bytes memory hashes = bytes.concat(keccak256(records(members)), keccak256(triangle(4)), keccak256(standIns(4)));
        vm.assertEq(consortium.termsHash(), keccak256(bytes.concat(hashes, scalars)), "terms hash");
    }

    function test_ItStartsIdle() external view {
        IConsortium.Round memory nothing;
        vm.assertEq(keccak256(abi.encode(consortium.round())), keccak256(abi.encode(nothing)), "round");
        vm.assertEq(consortium.accepted() | consortium.solvent() | consortium.exiting(), 0, "bitmaps");
        vm.assertEq(consortium.totalBalance(), 0, "total balance");
        vm.assertEq(consortium.ledger(), 0, "ledger");
    }

    function test_ItDeploysWithTwoMembers() external {
        IConsortium.Terms memory terms = agreed();
        terms.minMembers = 2;
        address[] memory two = accounts(2);
        IConsortium pair = deploy(records(two), triangle(2), terms);
        vm.assertEq(pair.member(1).account, two[1], "second member");
        vm.assertEq(pair.pairWeight(1, 0), type(uint16).max, "pair weight");
    }

    function test_ItDeploysWith120MembersWithinTheLimits() external {
        charging = true;
        members = accounts(120);
        bytes memory code = creation(records(members), triangle(120), agreed());
        vm.assertLe(code.length, 49_152, "creation code, EIP-3860");
        uint256 before = gasleft();
        consortium = create(code);
        uint256 used = before - gasleft();
        // A transaction also pays its base and its calldata, at most 16 gas a byte.
        vm.assertLe(used + 16 * code.length + 21_000, 16_777_216, "gas of one transaction, EIP-7825");
        vm.assertEq(consortium.termsBlob().code.length, 24_361, "blob");
        vm.assertEq(consortium.standInsBlob().code.length, 1_921, "stand-ins");
        uint256[] memory expected = expectedLiabilities();
        for (uint256 i; i < 120; ++i) {
            vm.assertEq(consortium.member(i).liability, expected[i], "liability");
        }
    }

    function test_ItSettlesARoundOf120Members() external {
        members = accounts(120);
        consortium = deploy(records(members), triangle(120), agreed());
        reachCalculated();
        int256 sum;
        for (uint256 i; i < 120; ++i) {
            sum += consortium.payoffOf(i);
        }
        vm.assertEq(sum, 0, "sum of payoffs");
        consortium.payoffTransfer();
        expectPhase(IConsortium.Phase.Idle);
    }

    function withLast(IConsortium.Member memory last) private view returns (bytes memory packed) {
        for (uint256 i; i < 3; ++i) {
            IConsortium.Member memory terms = termsOf(members[i], i);
            (terms.dataCap, terms.generatedCap, terms.computeCap, terms.offset) = (0, 0, 0, 0);
            packed = bytes.concat(packed, record(terms));
        }
        return bytes.concat(packed, record(last));
    }

    function expectRefusal(bytes memory standIns_, bytes memory reason) private {
        try this.attemptWith(standIns_) {
            vm.assertTrue(false, "deployed with invalid stand-ins");
        } catch (bytes memory actual) {
            vm.assertEq(actual, reason, "reason");
        }
    }

    function expectUnsorted(address[] memory list, uint256 index) private {
        bytes memory reason = abi.encodeWithSelector(Errors.MembersNotSorted.selector, index);
        expectFailure(records(list), triangle(4), agreed(), reason);
    }

    function expectOutOfRange(
        IConsortium.Terms memory terms,
        bytes32 field,
        uint256 value,
        uint256 minimum,
        uint256 maximum
    ) private {
        expectFailure(records(members), triangle(4), terms, outOfRange(field, value, minimum, maximum));
    }
}

contract VectorConstructorTest is ConstructorFixture {
    function setUp() public override {
        vector = true;
        super.setUp();
    }

    function test_RevertWhen_ThereIsATriangle() external {
        bytes memory reason = abi.encodeWithSelector(Errors.TriangleLengthInvalid.selector, 12, 0);
        expectFailure(records(members), new bytes(12), agreed(), reason);
    }

    function test_RevertWhen_ThereAreStandIns() external {
        charging = true;
        bytes memory reason = abi.encodeWithSelector(Errors.StandInsLengthInvalid.selector, 64, 0);
        expectFailure(records(members), "", agreed(), reason);
    }

    function test_RevertWhen_TheTermsArePairwise() external {
        IConsortium.Terms memory terms = agreed();
        for (uint8 mode; mode < 3; mode += 2) {
            terms.mode = mode;
            expectFailure(records(members), "", terms, outOfRange("mode", mode, 1, 1));
        }
    }

    function test_RevertWhen_ThereIsAnIncentive() external {
        IConsortium.Terms memory terms = agreed();
        terms.gammaWad = 1;
        expectFailure(records(members), "", terms, outOfRange("gammaWad", 1, 0, 0));
    }

    function test_RevertWhen_ARecordHasAWeight() external {
        IConsortium.Member memory last = termsOf(members[3], 3);
        last.weight = 1;
        expectFailure(withLast(last), "", agreed(), outOfRange("weight", 1, 0, 0));
    }

    function test_RevertWhen_ADebitIsNegative() external {
        IConsortium.Member memory last = termsOf(members[3], 3);
        last.offset = -1;
        expectFailure(withLast(last), "", agreed(), outOfRange("maxDebit", type(uint256).max, 0, 2 ** 127 - 1));
        last.offset = type(int128).min;
        uint256 wrapped = uint256(int256(last.offset));
        expectFailure(withLast(last), "", agreed(), outOfRange("maxDebit", wrapped, 0, 2 ** 127 - 1));
        last.offset = 0;
        vm.assertEq(deploy(withLast(last), "", agreed()).member(3).liability, 0, "a debit of nothing");
    }

    function test_RevertWhen_TheDebitsReachTheBound() external {
        uint256 others;
        for (uint256 i; i < 3; ++i) {
            others += uint256(int256(termsOf(members[i], i).offset));
        }
        IConsortium.Member memory last = termsOf(members[3], 3);
        last.offset = int128(int256(2 ** 127 - others));
        expectFailure(withLast(last), "", agreed(), arithmeticBound("liabilities"));
        last.offset -= 1;
        IConsortium deployed = deploy(withLast(last), "", agreed());
        vm.assertEq(deployed.member(3).liability, 2 ** 127 - others - 1, "liability");
    }

    function test_ItServesTheDebitsAsLiabilities() external view {
        vm.assertEq(keccak256(abi.encode(consortium.terms())), keccak256(abi.encode(agreed())), "terms");
        for (uint256 i; i < 4; ++i) {
            IConsortium.Member memory expected = termsOf(members[i], i);
            (expected.liability, expected.offset) = (uint128(expected.offset), 0);
            vm.assertEq(keccak256(abi.encode(consortium.member(i))), keccak256(abi.encode(expected)), "member");
            vm.assertEq(consortium.pairWeight(i, (i + 1) % 4), 0, "pair weight");
        }
    }

    function test_ItHashesTheTermsAsPassed() external view {
        bytes32 empty = keccak256("");
        bytes32 expected = keccak256(abi.encode(keccak256(records(members)), empty, empty, agreed()));
        vm.assertEq(consortium.termsHash(), expected, "terms hash");
    }

    function test_ItDeploysWith120MembersAndSettles() external {
        members = accounts(120);
        consortium = deploy(records(members), "", agreed());
        vm.assertEq(consortium.termsBlob().code.length, 1 + 84 * 120, "blob");
        depositAll(2);
        open();
        submitAll();
        consortium.profileRecord();
        submit(transfersOf(type(uint256).max >> 136));
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        expectPhase(IConsortium.Phase.Idle);
    }

    function withLast(IConsortium.Member memory last) private view returns (bytes memory) {
        address[] memory first = new address[](3);
        for (uint256 i; i < 3; ++i) {
            first[i] = members[i];
        }
        return bytes.concat(records(first), record(last));
    }
}

contract TokenConstructorTest is ConstructorFixture {
    function setUp() public override {
        token = new Token();
        super.setUp();
    }

    function test_RevertWhen_TheTokenIsNoContract() external {
        IConsortium.Terms memory terms = agreed();
        terms.submitWindow = 0;
        address[2] memory wrong = [address(0), address(0x70ce)];
        for (uint256 i; i < 2; ++i) {
            terms.token = wrong[i];
            bytes memory reason = abi.encodeWithSelector(Errors.UnsupportedToken.selector, wrong[i]);
            expectFailure(records(members), triangle(4), terms, reason);
        }
    }

    function test_ItServesTheToken() external view {
        vm.assertEq(consortium.terms().token, address(token), "token");
        vm.assertEq(consortium.terms().mode, 0, "mode");
    }
}
