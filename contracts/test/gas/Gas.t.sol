// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {NaiveTradeFL} from "../fixtures/NaiveTradeFL.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

/// @title The gas of every step of a round, against the budget of the design
/// @dev What a receipt says. forge executes each call of an isolated test as a transaction of its own, with cold storage,
/// 21,000, calldata and refunds, which `lastCallGas` returns. Creations it does not tell apart, so their total is
/// computed: see `DeploymentGasTest`.
abstract contract GasFixture is ConsortiumFixture {
    /// @dev The largest transaction since EIP-7825.
    uint256 private constant TRANSACTION_LIMIT = 16_777_216;

    /// @dev How far above the design's prototype the contract may be, in per cent.
    uint256 private constant ALLOWED = 125;

    event Measured(string what, uint256 members, uint256 gas);

    function setUp() public override {
        vm.warp(START);
        attester = vm.addr(ATTESTER_KEY);
    }

    function expectWithin(string memory what, uint256 gas, uint256 budget) internal {
        emit Measured(what, members.length, gas);
        vm.assertLe(gas, TRANSACTION_LIMIT, string.concat(what, ": one transaction"));
        vm.assertLe(gas * 100, budget * ALLOWED, string.concat(what, ": the budget"));
    }
}

/// @dev Not isolated: a creation's gas is that of CREATE (32,000, 2 a word of init code, execution, 200 a byte of code)
/// plus 21,000 and the calldata, 16 a byte or 4 for a zero. Nothing is warm before a deployment, and nothing is refunded.
contract DeploymentGasTest is GasFixture {
    /// @dev The code that charges absent members, which the prototype did not have, and their stand-ins.
    uint256 private constant CHARGING = 300_000;

    function test_Deployment5() external {
        measure(5, 2_570_000);
    }

    function test_Deployment10() external {
        measure(10, 2_670_000);
    }

    function test_Deployment20() external {
        measure(20, 2_920_000);
    }

    function test_Deployment50() external {
        measure(50, 4_180_000);
    }

    function test_Deployment100() external {
        measure(100, 7_990_000);
    }

    function test_Deployment120() external {
        measure(120, 10_200_000);
    }

    function measure(uint256 count, uint256 budget) private {
        charging = true;
        members = accounts(count);
        bytes memory code = creation(records(members), triangle(count), agreed());
        uint256 total = 21_000;
        for (uint256 i; i < code.length; ++i) {
            total += code[i] == 0 ? 4 : 16;
        }
        uint256 before = gasleft();
        create(code);
        expectWithin("deploy", total + before - gasleft(), budget + CHARGING);
    }
}

/// forge-config: default.isolate = true
/// forge-config: deep.isolate = true
contract RoundGasTest is GasFixture {
    struct Budget {
        uint256 deposit;
        uint256 submit;
        uint256 calculate;
        uint256 transfer;
        uint256 record;
    }

    function test_Round5() external {
        measure(5, Budget(66_000, 45_500, 85_000, 68_000, 51_000));
    }

    function test_Round10() external {
        uint256 calculated = measure(10, Budget(63_000, 45_500, 135_000, 99_000, 67_000));
        vm.assertGe(naive(10) * 10, calculated * 29, "2.9 times below naive");
    }

    function test_Round20() external {
        measure(20, Budget(61_000, 45_500, 245_000, 163_000, 98_000));
    }

    function test_Round50() external {
        uint256 calculated = measure(50, Budget(60_000, 45_500, 657_000, 353_000, 192_000));
        vm.assertGe(naive(50), calculated * 13, "13 times below naive");
    }

    function test_Round100() external {
        uint256 calculated = measure(100, Budget(60_000, 45_500, 1_620_000, 670_000, 348_000));
        vm.assertGe(naive(100), calculated * 20, "20 times below naive");
    }

    function test_Round120() external {
        measure(120, Budget(60_000, 45_500, 2_100_000, 800_000, 410_000));
    }

    /// @dev A fifth of the members is absent: calculation within the budget of a full round, and an appeal of one of them.
    function test_FifthAbsent120() external {
        charging = true;
        members = accounts(120);
        consortium = deploy(records(members), triangle(120), agreed());
        depositAll(3);
        vm.warp(START);
        open();
        for (uint256 i; i < 120; ++i) {
            if (i % 5 != 2) submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        raise(2);
        expectWithin("appeal of an absent member", spent(), 500_000);
        rule(IConsortium.Ruling.Settle);
        consortium.payoffCalculate();
        expectWithin("payoffCalculate, a fifth absent", spent(), 2_100_000);
        consortium.payoffTransfer();
        expectWithin("payoffTransfer, a fifth absent", spent(), 800_000);
        expectPhase(IConsortium.Phase.Idle);
    }

    /// @dev Two rounds of `count` members within the budget, each step a transaction; returns the gas of
    /// `payoffCalculate`. Of what every member does, the mean counts, as in the design's table. A member's first
    /// contribution costs 17,100 more, because storage that was zero is dearer to fill.
    function measure(uint256 count, Budget memory budget) private returns (uint256 calculated) {
        members = accounts(count);
        consortium = deploy(records(members), triangle(count), agreed());
        uint256 sum;
        for (uint256 i; i < count; ++i) {
            deposit(i, 2 * liability(i));
            sum += spent();
        }
        expectWithin("first deposit", sum / count, budget.deposit);
        settle(START, Budget(0, budget.submit + 17_100, budget.calculate, budget.transfer, budget.record));
        // Who has paid may have to top up before it takes part again.
        depositAll(1);
        calculated = settle(START + 30 days, budget);
    }

    function settle(uint256 time, Budget memory budget) private returns (uint256 calculated) {
        vm.warp(time);
        open();
        uint256 sum;
        for (uint256 i; i < members.length; ++i) {
            submit(i);
            sum += spent();
        }
        expectWithin("attested submit", sum / members.length, budget.submit);
        consortium.profileRecord();
        expectWithin("profileRecord", spent(), budget.record);
        vm.warp(time + 3 days);
        consortium.payoffCalculate();
        calculated = spent();
        expectWithin("payoffCalculate", calculated, budget.calculate);
        consortium.payoffTransfer();
        expectWithin("payoffTransfer", spent(), budget.transfer);
        expectPhase(IConsortium.Phase.Idle);
    }

    /// @dev Gas of the naive contract's `payoffCalculate` for the same market.
    function naive(uint256 count) private returns (uint256 calculated) {
        NaiveTradeFL peer = new NaiveTradeFL(int256(uint256(GAMMA_WAD)));
        for (uint256 i; i < count; ++i) {
            peer.addMember(members[i]);
            for (uint256 j; j < i; ++j) {
                peer.setIntensity(members[i], members[j], int256(uint256(pairWeight(i, j))));
            }
        }
        for (uint256 i; i < count; ++i) {
            IConsortium.Contribution memory given = contributionOf(i);
            vm.prank(members[i]);
            peer.contributionSubmit(given.data, given.generated, given.compute);
        }
        peer.profileRecord();
        peer.payoffCalculate();
        calculated = spent();
        emit Measured("naive payoffCalculate", count, calculated);
        int256 sum;
        for (uint256 i; i < count; ++i) {
            sum += peer.payoffs(members[i]);
        }
        vm.assertEq(sum, 0, "the naive payoffs sum to zero, too");
    }

    function spent() private view returns (uint256) {
        return vm.lastCallGas().gasTotalUsed;
    }
}
