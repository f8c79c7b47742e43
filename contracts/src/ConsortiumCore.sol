// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {ConsortiumState} from "./ConsortiumState.sol";
import {IConsortium} from "./interfaces/IConsortium.sol";
import {Bitmap} from "./libraries/Bitmap.sol";
import {Errors} from "./libraries/Errors.sol";
import {PairwiseKernel} from "./libraries/PairwiseKernel.sol";
import {StandIns} from "./libraries/StandIns.sol";
import {TermsBlob} from "./libraries/TermsBlob.sol";
import {TermsCheck} from "./libraries/TermsCheck.sol";

/// @title The settlement of a consortium, whatever the asset
/// @notice Members bond what a round can take from them at worst; the attester opens rounds and signs what each member
/// contributed; anyone moves a round onward once its conditions hold; payoffs sum to zero and move between balances.
/// Immutable: no owner, no upgrade, no pause. A concrete contract says how its asset comes in and goes out.
abstract contract ConsortiumCore is ConsortiumState, ReentrancyGuard {
    using Bitmap for uint120;

    uint256 private constant ALL_BASIS_POINTS = 10_000;

    /// @inheritdoc IConsortium
    function roundOpen() external {
        require(msg.sender == ATTESTER, Errors.NotAttester(msg.sender));
        _requirePhase(Phase.Idle);
        require(_number < MAX_ROUNDS, Errors.NoRoundsLeft(MAX_ROUNDS));
        if (_number != 0) _requireFrom(uint256(_idleSince) + MIN_GAP);
        uint120 participants = _solvent & ~_exiting;
        uint256 present = participants.count();
        require(present >= MIN_MEMBERS, Errors.NotEnoughMembers(present, MIN_MEMBERS));

        uint256 number = ++_number;
        uint256 deadline = block.timestamp + SUBMIT_WINDOW;
        _phase = Phase.Open;
        _deadline = uint40(deadline);
        _participants = participants;
        _awaited = participants;
        _transfersSubmitted = false;
        _roundHash = NO_HASH;
        emit RoundOpened(number, participants, deadline);
    }

    /// @inheritdoc IConsortium
    function contributionSubmit(
        uint256 index,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash,
        bytes calldata attesterSignature
    ) external {
        _requireIndex(index);
        _requirePhase(Phase.Open);
        uint256 deadline = _deadline;
        _requireUntil(deadline);
        uint32 number = _number;
        uint120 awaited = _awaited;
        require(awaited.has(index) || _participants.has(index), Errors.NotParticipant(index, number));
        (address account, uint64 dataCap, uint64 generatedCap, uint64 computeCap) = TermsBlob.decodeLimits(
            TermsBlob.load(TERMS_BLOB, index)
        );
        // Anyone may relay after half of the window: silence is no veto for those who have signed the terms.
        require(
            msg.sender == account || block.timestamp >= deadline - SUBMIT_WINDOW + SUBMIT_WINDOW / 2,
            Errors.NotMember(index, msg.sender)
        );
        require(awaited.has(index), Errors.AlreadySubmitted(index, number));
        require(evidenceHash != 0, Errors.EvidenceMissing(index));
        require(data <= dataCap, Errors.CapExceeded(index, 0, data, dataCap));
        require(generated <= generatedCap, Errors.CapExceeded(index, 1, generated, generatedCap));
        require(compute <= computeCap, Errors.CapExceeded(index, 2, compute, computeCap));
        bytes32 structHash = _contributionHash(number, account, data, generated, compute, evidenceHash);
        _requireAttested(structHash, attesterSignature);

        _contributions[index] = Contribution({data: data, generated: generated, compute: compute});
        _roundHash = keccak256(abi.encode(_currentRoundHash(), index, structHash));
        _awaited = awaited.without(index);
        emit ContributionSubmitted(number, index, account, data, generated, compute, evidenceHash, attesterSignature);
    }

    /// @inheritdoc IConsortium
    function profileRecord() external {
        _requirePhase(Phase.Open);
        if (_awaited != 0) _requireFrom(uint256(_deadline) + 1);
        uint120 submitted = _submitted();
        uint120 participants = _participants;

        uint256 number = _number;
        if (submitted.count() * ALL_BASIS_POINTS < participants.count() * QUORUM) {
            _void(number, "quorum");
            return;
        }
        _phase = Phase.Recorded;
        _deadline = uint40(block.timestamp + (_mode() == TermsCheck.VECTOR ? SUBMIT_WINDOW : DISPUTE_WINDOW));
        bytes32 profileHash = _roundHash;
        _extendLedger(number, profileHash);
        emit ProfileRecorded(number, profileHash, submitted);
    }

    /// @inheritdoc IConsortium
    function transfersSubmit(
        int256[] calldata transfers,
        bytes32 evidenceHash,
        bytes calldata attesterSignature
    ) external {
        _requireVector();
        _requirePhase(Phase.Recorded);
        uint32 number = _number;
        require(!_transfersSubmitted, Errors.TransfersAlreadySubmitted(number));
        _requireUntil(_deadline);
        uint256 count = MEMBER_COUNT;
        require(transfers.length == count, Errors.TransfersLengthInvalid(transfers.length, count));
        require(evidenceHash != 0, Errors.TransfersEvidenceMissing(number));
        uint120 submitted = _submitted();
        (uint256 record, ) = TermsBlob.loadAll(TERMS_BLOB, count);
        int256 sum;
        for (uint256 i; i < count; ++i) {
            int256 transfer = transfers[i];
            bool present = submitted.has(i);
            int256 minimum = present ? -int256(uint256(TermsBlob.decodeLiability(record))) : int256(0);
            int256 maximum = present ? int256(TermsCheck.MONEY_LIMIT - 1) : int256(0);
            require(
                transfer >= minimum && transfer <= maximum,
                Errors.TransferOutOfRange(i, transfer, minimum, maximum)
            );
            sum += transfer;
            if (present) _accounts[i].payoff = int128(transfer);
            record += TermsBlob.RECORD_LENGTH;
        }
        require(sum == 0, Errors.TransfersUnbalanced(sum));
        bytes32 transfersHash = keccak256(abi.encode(transfers));
        _requireAttested(_transfersStructHash(number, transfersHash, evidenceHash), attesterSignature);

        uint256 deadline = block.timestamp + DISPUTE_WINDOW;
        _transfersSubmitted = true;
        _deadline = uint40(deadline);
        emit TransfersSubmitted(number, transfersHash, transfers, evidenceHash, attesterSignature, deadline);
    }

    /// @inheritdoc IConsortium
    function disputeRaise(uint256 index, bytes32 reasonHash) external {
        uint256 liability = _requireMember(index);
        _requirePhase(Phase.Recorded);
        _requireUntil(_deadline);
        uint256 number = _number;
        require(_participants.has(index), Errors.NotParticipant(index, number));
        require(_mode() == TermsCheck.PAIRWISE || _transfersSubmitted, Errors.TransfersMissing(number));
        require(reasonHash != 0, Errors.ReasonMissing(index));
        uint256 balance = _accounts[index].balance;
        uint256 needed = _disputeNeeds(index, liability);
        require(balance >= needed, Errors.DisputeBondTooSmall(index, balance, needed));

        uint256 deadline = block.timestamp + ARBITER_WINDOW;
        _phase = Phase.Disputed;
        _deadline = uint40(deadline);
        _disputant = uint8(index);
        emit DisputeRaised(number, index, msg.sender, reasonHash, deadline);
    }

    /// @inheritdoc IConsortium
    function disputeResolve(uint8 ruling) external {
        _requirePhase(Phase.Disputed);
        uint8 last = uint8(type(Ruling).max);
        require(ruling <= last, Errors.RulingOutOfRange(ruling, last));
        if (block.timestamp <= _deadline) {
            require(msg.sender == ARBITER, Errors.NotArbiter(msg.sender));
        } else {
            require(ruling == DISPUTE_DEFAULT, Errors.NotDefaultRuling(ruling, DISPUTE_DEFAULT));
        }

        uint256 number = _number;
        uint256 index = _disputant;
        uint256 forfeited = Ruling(ruling) == Ruling.SettleAndForfeit ? _forfeit(index) : 0;
        emit DisputeResolved(number, index, ruling, forfeited);
        if (Ruling(ruling) == Ruling.Void) {
            _void(number, "dispute");
        } else {
            _phase = Phase.Recorded;
            // The window is over: nobody disputes again, and the payoffs can be calculated at once.
            _deadline = uint40(block.timestamp - 1);
        }
    }

    /// @inheritdoc IConsortium
    function payoffCalculate() external {
        _requirePhase(Phase.Recorded);
        _requireFrom(uint256(_deadline) + 1);
        uint256 number = _number;
        int256[] memory payoffs;
        if (_mode() == TermsCheck.PAIRWISE) {
            payoffs = _pairwisePayoffs();
        } else if (_transfersSubmitted) {
            payoffs = _submittedTransfers();
        } else {
            _void(number, "transfers");
            return;
        }

        _phase = Phase.Calculated;
        bytes32 payoffHash = keccak256(abi.encode(payoffs));
        _extendLedger(number, payoffHash);
        emit PayoffCalculated(number, payoffHash, payoffs);
    }

    /// @inheritdoc IConsortium
    function payoffTransfer() external {
        _requirePhase(Phase.Calculated);
        uint256 count = MEMBER_COUNT;
        uint120 settling = _settling();
        uint120 solvent_ = _solvent;
        (uint256 record, ) = TermsBlob.loadAll(TERMS_BLOB, count);
        for (uint256 i; i < count; ++i) {
            if (settling.has(i)) {
                Account memory account = _accounts[i];
                // A participant holds at least what it can be made to pay in this round: never below zero.
                uint128 balance = uint128(int128(account.balance) + account.payoff);
                _accounts[i] = Account({balance: balance, payoff: 0});
                solvent_ = solvent_.set(i, balance >= TermsBlob.decodeLiability(record));
            }
            record += TermsBlob.RECORD_LENGTH;
        }
        _solvent = solvent_;
        _becomeIdle();
        emit PayoffTransferred(_number, _ledger);
    }

    /// @inheritdoc IConsortium
    function withdraw(uint256 index, uint256 amount, address payable to) external nonReentrant {
        uint256 liability = _requireMember(index);
        require(to != address(0) && to != address(this), Errors.InvalidRecipient(to));
        uint256 balance = _accounts[index].balance;
        require(amount <= balance, Errors.WithdrawalExceedsBalance(index, amount, balance));
        if (_phase != Phase.Idle && _participants.has(index)) {
            bool disputing = _phase == Phase.Disputed && index == _disputant;
            uint256 locked = disputing ? _disputeNeeds(index, liability) : liability;
            // An absent member's forfeited bond may have taken it below its liability.
            uint256 available = balance > locked ? balance - locked : 0;
            require(amount <= available, Errors.BondLocked(index, amount, available));
        }

        balance -= amount;
        _accounts[index].balance = uint128(balance);
        _totalBalance -= uint128(amount);
        _solvent = _solvent.set(index, _accepted.has(index) && balance >= liability);
        emit Withdrawn(index, to, amount, balance);
        _push(to, amount);
    }

    /// @inheritdoc IConsortium
    function exitRequest(uint256 index) external {
        _requireMember(index);
        require(!_exiting.has(index), Errors.AlreadyExiting(index));
        _exiting = _exiting.with(index);
        emit ExitRequested(index);
    }

    /// @inheritdoc IConsortium
    function exitCancel(uint256 index) external {
        _requireMember(index);
        require(_exiting.has(index), Errors.NotExiting(index));
        _exiting = _exiting.without(index);
        emit ExitCancelled(index);
    }

    /// @dev Takes exactly `amount` from the caller, or reverts.
    function _pull(uint256 amount) internal virtual;

    /// @dev Sends exactly `amount` to `to`, or reverts.
    function _push(address payable to, uint256 amount) internal virtual;

    /// @dev The whole of `depositSubmit`, whose signature depends on the asset.
    function _deposit(uint256 index, bytes32 termsHash_, uint256 amount) internal nonReentrant {
        uint256 liability = _requireMember(index);
        require(termsHash_ == TERMS_HASH, Errors.TermsMismatch(termsHash_, TERMS_HASH));
        uint256 balance = _accounts[index].balance + amount;
        require(balance >= liability, Errors.BondTooSmall(index, balance, liability));
        uint256 total = _totalBalance + amount;
        require(total < TermsCheck.MONEY_LIMIT, Errors.TotalBalanceTooLarge(total));

        _accounts[index].balance = uint128(balance);
        _totalBalance = uint128(total);
        _solvent = _solvent.with(index);
        if (!_accepted.has(index)) {
            _accepted = _accepted.with(index);
            emit Accepted(index, msg.sender, termsHash_);
        }
        emit Deposited(index, msg.sender, amount, balance);
        _pull(amount);
    }

    /// @dev Payoffs as the contributions and the stand-ins of who is absent give them, left pending in the accounts.
    function _pairwisePayoffs() private returns (int256[] memory payoffs) {
        uint256 count = MEMBER_COUNT;
        uint120 submitted = _submitted();
        uint120 absent = _absent();
        (int256[] memory scores, uint256 triangle) = _scores(submitted, absent);
        payoffs = PairwiseKernel.transfers(GAMMA_WAD, triangle, scores, submitted);
        if (absent != 0) {
            PairwiseKernel.charge(GAMMA_WAD, triangle, scores, submitted, absent, payoffs);
            emit Absent(_number, absent);
        }
        uint120 settling = submitted | absent;
        for (uint256 i; i < count; ++i) {
            // The liabilities bound every payoff by 2^127.
            if (settling.has(i)) _accounts[i].payoff = int128(payoffs[i]);
        }
    }

    /// @dev X of those who contributed and, by their stand-ins, of the absent; also the pair weights' memory address.
    function _scores(
        uint120 submitted,
        uint120 absent
    ) private view returns (int256[] memory scores, uint256 triangle) {
        uint256 count = MEMBER_COUNT;
        uint256 record;
        (record, triangle) = TermsBlob.loadAll(TERMS_BLOB, count);
        uint256 standIns = absent == 0 ? 0 : StandIns.loadAll(STAND_INS);
        scores = new int256[](count);
        for (uint256 i; i < count; ++i) {
            if (submitted.has(i)) scores[i] = _score(_contributions[i], record);
            else if (absent.has(i)) scores[i] = StandIns.decode(standIns, i);
            record += TermsBlob.RECORD_LENGTH;
        }
    }

    /// @dev What a member must hold while its dispute is open: its bond, and what the round may still take from it. Of an
    /// absent member that is fixed once the profile is: what it owes by its stand-in.
    function _disputeNeeds(uint256 index, uint256 liability) private view returns (uint256 needed) {
        if (!_absent().has(index)) return liability + DISPUTE_BOND;
        uint120 submitted = _submitted();
        uint120 self = uint120(0).with(index);
        (int256[] memory scores, uint256 triangle) = _scores(submitted, self);
        int256[] memory payoffs = new int256[](MEMBER_COUNT);
        PairwiseKernel.charge(GAMMA_WAD, triangle, scores, submitted, self, payoffs);
        needed = uint256(-payoffs[index]) + DISPUTE_BOND;
        if (needed < liability) needed = liability;
    }

    /// @dev Payoffs as the attester signed them; they are pending in the accounts already.
    function _submittedTransfers() private view returns (int256[] memory payoffs) {
        uint256 count = MEMBER_COUNT;
        uint120 submitted = _submitted();
        payoffs = new int256[](count);
        for (uint256 i; i < count; ++i) {
            if (submitted.has(i)) payoffs[i] = _accounts[i].payoff;
        }
    }

    /// @dev Shares the disputant's bond among the other contributors. They are participants, who hold their liabilities;
    /// so does the disputant after it, unless it is absent.
    function _forfeit(uint256 disputant) private returns (uint256 forfeited) {
        uint120 others = _submitted().without(disputant);
        uint256 receivers = others.count();
        if (receivers == 0) return 0;
        uint128 share = uint128(DISPUTE_BOND / receivers);
        uint256 count = MEMBER_COUNT;
        for (uint256 i; i < count; ++i) {
            if (others.has(i)) _accounts[i].balance += share;
        }
        forfeited = share * receivers;
        uint256 balance = _accounts[disputant].balance - forfeited;
        _accounts[disputant].balance = uint128(balance);
        uint256 record = TermsBlob.load(TERMS_BLOB, disputant);
        _solvent = _solvent.set(disputant, balance >= TermsBlob.decodeLiability(record));
    }

    function _void(uint256 number, bytes32 reason) private {
        _becomeIdle();
        emit RoundVoided(number, reason);
    }

    function _becomeIdle() private {
        _phase = Phase.Idle;
        _idleSince = uint40(block.timestamp);
    }

    function _requireAttested(bytes32 structHash, bytes calldata attesterSignature) private view {
        require(
            SignatureChecker.isValidSignatureNow(ATTESTER, _hashTypedDataV4(structHash), attesterSignature),
            Errors.InvalidSignature(ATTESTER)
        );
    }

    function _requireUntil(uint256 deadline) private view {
        require(block.timestamp <= deadline, Errors.TooLate(block.timestamp, deadline));
    }

    function _extendLedger(uint256 number, bytes32 entry) private {
        _ledger = keccak256(abi.encode(_ledger, number, entry));
    }
}
