// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {IConsortium} from "./interfaces/IConsortium.sol";
import {Bitmap} from "./libraries/Bitmap.sol";
import {Errors} from "./libraries/Errors.sol";
import {PairwiseKernel} from "./libraries/PairwiseKernel.sol";
import {TermsBlob} from "./libraries/TermsBlob.sol";
import {MAXIMUM_MEMBERS, TermsCheck} from "./libraries/TermsCheck.sol";

/// @title The settlement of a consortium, whatever the asset
/// @notice Members bond what a round can take from them at worst; the attester opens rounds and signs what each member
/// contributed; anyone moves a round onward once its conditions hold; payoffs sum to zero and move between balances.
/// Immutable: no owner, no upgrade, no pause. A concrete contract says how its asset comes in and goes out.
abstract contract ConsortiumCore is IConsortium, EIP712, ReentrancyGuard {
    using Bitmap for uint120;

    /// @dev Balance and pending payoff share a slot: both stay below 2^127 wei in magnitude.
    struct Account {
        uint128 balance;
        int128 payoff;
    }

    bytes32 private constant CONTRIBUTION_TYPEHASH = keccak256(
        "Contribution(bytes32 termsHash,uint32 round,address member,uint64 data,uint64 generated,uint64 compute,bytes32 evidenceHash)"
    );

    uint256 private constant ALL_BASIS_POINTS = 10_000;

    /// @dev Stands for zero in storage: leaving zero would cost a round's first contributor 17,100 gas more.
    bytes32 private constant NO_HASH = bytes32(uint256(1));

    uint160 private immutable GAMMA_WAD;
    uint128 private immutable GENERATED_WEIGHT_WAD;
    uint128 private immutable LAMBDA_WAD;
    address private immutable ATTESTER;
    address private immutable ARBITER;
    address private immutable TOKEN;
    uint32 private immutable SUBMIT_WINDOW;
    uint32 private immutable DISPUTE_WINDOW;
    uint32 private immutable ARBITER_WINDOW;
    uint32 private immutable MIN_GAP;
    uint16 private immutable QUORUM;
    uint8 private immutable MIN_MEMBERS;
    uint32 private immutable MAX_ROUNDS;
    uint128 private immutable DISPUTE_BOND;
    uint8 private immutable DISPUTE_DEFAULT;
    bool private immutable TEST;
    uint8 private immutable MODE;
    bytes32 private immutable DOCUMENT_HASH;

    bytes32 private immutable TERMS_HASH;
    address private immutable TERMS_BLOB;
    uint256 private immutable MEMBER_COUNT;

    // One slot, all that a contribution needs to know of the round. `awaited`: participants who have not contributed.
    uint32 private _number;
    Phase private _phase;
    uint40 private _deadline;
    uint40 private _idleSince;
    uint120 private _awaited;

    // One slot.
    uint120 private _participants;
    uint120 private _solvent;

    // One slot, written with every deposit.
    uint128 private _totalBalance;
    uint120 private _accepted;

    uint120 private _exiting;

    /// @dev `NO_HASH` until the round's first contribution.
    bytes32 private _roundHash;

    bytes32 private _ledger;

    Account[MAXIMUM_MEMBERS] private _accounts;

    /// @dev Stale where the member has not contributed to the current round.
    Contribution[MAXIMUM_MEMBERS] private _contributions;

    /// @param records 68 bytes per member, ascending by account, packed big-endian: account 20, data cap 8,
    /// generated cap 8, compute cap 8, score weight 8, score offset 16 (two's complement)
    /// @param triangle 16-bit pair weights k_ij for i < j, row by row, big-endian, 65535 = the largest
    constructor(bytes memory records, bytes memory triangle, Terms memory agreed) EIP712("CoCoGen", "1") {
        uint256 count = TermsCheck.structure(records, triangle);
        TermsCheck.beforeToken(agreed);
        _checkToken(agreed.token);
        TermsCheck.afterToken(agreed, count);
        uint256[] memory liabilities = TermsCheck.liabilities(records, triangle, agreed, count);

        GAMMA_WAD = agreed.gammaWad;
        GENERATED_WEIGHT_WAD = agreed.generatedWeightWad;
        LAMBDA_WAD = agreed.lambdaWad;
        ATTESTER = agreed.attester;
        ARBITER = agreed.arbiter;
        TOKEN = agreed.token;
        SUBMIT_WINDOW = agreed.submitWindow;
        DISPUTE_WINDOW = agreed.disputeWindow;
        ARBITER_WINDOW = agreed.arbiterWindow;
        MIN_GAP = agreed.minGap;
        QUORUM = agreed.quorum;
        MIN_MEMBERS = agreed.minMembers;
        MAX_ROUNDS = agreed.maxRounds;
        DISPUTE_BOND = agreed.disputeBond;
        DISPUTE_DEFAULT = agreed.disputeDefault;
        TEST = agreed.test;
        MODE = agreed.mode;
        DOCUMENT_HASH = agreed.documentHash;
        TERMS_HASH = keccak256(abi.encode(keccak256(records), keccak256(triangle), agreed));
        TERMS_BLOB = TermsBlob.store(records, liabilities, triangle);
        MEMBER_COUNT = count;
    }

    // Calls

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
        require(block.timestamp <= deadline, Errors.TooLate(block.timestamp, deadline));
        uint32 number = _number;
        uint120 awaited = _awaited;
        require(awaited.has(index) || _participants.has(index), Errors.NotParticipant(index, number));
        (address account, uint64 dataCap, uint64 generatedCap, uint64 computeCap) =
            TermsBlob.decodeLimits(TermsBlob.load(TERMS_BLOB, index));
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
        require(
            SignatureChecker.isValidSignatureNow(ATTESTER, _hashTypedDataV4(structHash), attesterSignature),
            Errors.InvalidSignature(ATTESTER)
        );

        _contributions[index] = Contribution({data: data, generated: generated, compute: compute});
        _roundHash = keccak256(abi.encode(_currentRoundHash(), index, structHash));
        _awaited = awaited.without(index);
        emit ContributionSubmitted(
            number, index, account, data, generated, compute, evidenceHash, attesterSignature
        );
    }

    /// @inheritdoc IConsortium
    function profileRecord() external {
        _requirePhase(Phase.Open);
        if (_awaited != 0) _requireFrom(uint256(_deadline) + 1);
        uint120 submitted = _submitted();
        uint120 participants = _participants;

        uint256 number = _number;
        if (submitted.count() * ALL_BASIS_POINTS < participants.count() * QUORUM) {
            _becomeIdle();
            emit RoundVoided(number, "quorum");
            return;
        }
        _phase = Phase.Recorded;
        _deadline = uint40(block.timestamp + DISPUTE_WINDOW);
        bytes32 profileHash = _roundHash;
        _extendLedger(number, profileHash);
        emit ProfileRecorded(number, profileHash, submitted);
    }

    /// @inheritdoc IConsortium
    function payoffCalculate() external {
        _requirePhase(Phase.Recorded);
        _requireFrom(uint256(_deadline) + 1);
        uint256 count = MEMBER_COUNT;
        uint120 submitted = _submitted();
        (uint256 record, uint256 triangle) = TermsBlob.loadAll(TERMS_BLOB, count);
        int256[] memory scores = new int256[](count);
        for (uint256 i; i < count; ++i) {
            if (submitted.has(i)) scores[i] = _score(_contributions[i], record);
            record += TermsBlob.RECORD_LENGTH;
        }
        int256[] memory payoffs = PairwiseKernel.transfers(GAMMA_WAD, triangle, scores, submitted);
        for (uint256 i; i < count; ++i) {
            // The liabilities bound every payoff by 2^127.
            if (submitted.has(i)) _accounts[i].payoff = int128(payoffs[i]);
        }

        uint256 number = _number;
        _phase = Phase.Calculated;
        bytes32 payoffHash = keccak256(abi.encode(payoffs));
        _extendLedger(number, payoffHash);
        emit PayoffCalculated(number, payoffHash, payoffs);
    }

    /// @inheritdoc IConsortium
    function payoffTransfer() external {
        _requirePhase(Phase.Calculated);
        uint256 count = MEMBER_COUNT;
        uint120 submitted = _submitted();
        uint120 solvent_ = _solvent;
        (uint256 record,) = TermsBlob.loadAll(TERMS_BLOB, count);
        for (uint256 i; i < count; ++i) {
            if (submitted.has(i)) {
                Account memory account = _accounts[i];
                // A participant holds at least its liability, which no payoff exceeds: never below zero.
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
        Member memory self = _requireMember(index);
        require(to != address(0) && to != address(this), Errors.InvalidRecipient(to));
        uint256 balance = _accounts[index].balance;
        require(amount <= balance, Errors.WithdrawalExceedsBalance(index, amount, balance));
        if (_phase != Phase.Idle && _participants.has(index)) {
            uint256 available = balance - self.liability;
            require(amount <= available, Errors.BondLocked(index, amount, available));
        }

        balance -= amount;
        _accounts[index].balance = uint128(balance);
        _totalBalance -= uint128(amount);
        _solvent = _solvent.set(index, _accepted.has(index) && balance >= self.liability);
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

    // Views

    /// @inheritdoc IConsortium
    function terms() external view returns (Terms memory) {
        return Terms({
            gammaWad: GAMMA_WAD,
            generatedWeightWad: GENERATED_WEIGHT_WAD,
            lambdaWad: LAMBDA_WAD,
            attester: ATTESTER,
            arbiter: ARBITER,
            token: TOKEN,
            submitWindow: SUBMIT_WINDOW,
            disputeWindow: DISPUTE_WINDOW,
            arbiterWindow: ARBITER_WINDOW,
            minGap: MIN_GAP,
            quorum: QUORUM,
            minMembers: MIN_MEMBERS,
            maxRounds: MAX_ROUNDS,
            disputeBond: DISPUTE_BOND,
            disputeDefault: DISPUTE_DEFAULT,
            test: TEST,
            mode: MODE,
            documentHash: DOCUMENT_HASH
        });
    }

    /// @inheritdoc IConsortium
    function termsHash() external view returns (bytes32) {
        return TERMS_HASH;
    }

    /// @inheritdoc IConsortium
    function termsBlob() external view returns (address pointer) {
        return TERMS_BLOB;
    }

    /// @inheritdoc IConsortium
    function memberCount() external view returns (uint256) {
        return MEMBER_COUNT;
    }

    /// @inheritdoc IConsortium
    function member(uint256 index) external view returns (Member memory) {
        return _member(index);
    }

    /// @inheritdoc IConsortium
    function pairWeight(uint256 i, uint256 j) external view returns (uint16) {
        _requireIndex(i);
        _requireIndex(j);
        if (i == j) return 0;
        return TermsBlob.loadPairWeight(TERMS_BLOB, MEMBER_COUNT, i < j ? i : j, i < j ? j : i);
    }

    /// @inheritdoc IConsortium
    function round() external view returns (Round memory) {
        return Round({
            number: _number,
            phase: _phase,
            deadline: _deadline,
            idleSince: _idleSince,
            participants: _participants,
            submitted: _submitted(),
            roundHash: _currentRoundHash()
        });
    }

    /// @inheritdoc IConsortium
    function accepted() external view returns (uint256 bitmap) {
        return _accepted;
    }

    /// @inheritdoc IConsortium
    function solvent() external view returns (uint256 bitmap) {
        return _solvent;
    }

    /// @inheritdoc IConsortium
    function exiting() external view returns (uint256 bitmap) {
        return _exiting;
    }

    /// @inheritdoc IConsortium
    function balanceOf(uint256 index) external view returns (uint256) {
        _requireIndex(index);
        return _accounts[index].balance;
    }

    /// @inheritdoc IConsortium
    function payoffOf(uint256 index) external view returns (int256) {
        _requireIndex(index);
        return _accounts[index].payoff;
    }

    /// @inheritdoc IConsortium
    function contributionOf(uint256 index) external view returns (Contribution memory contribution) {
        _requireIndex(index);
        if (_submitted().has(index)) contribution = _contributions[index];
    }

    /// @inheritdoc IConsortium
    function totalBalance() external view returns (uint256) {
        return _totalBalance;
    }

    /// @inheritdoc IConsortium
    function ledger() external view returns (bytes32) {
        return _ledger;
    }

    /// @inheritdoc IConsortium
    function contributionDigest(uint256 index, uint64 data, uint64 generated, uint64 compute, bytes32 evidenceHash)
        external
        view
        returns (bytes32)
    {
        address account = _member(index).account;
        return _hashTypedDataV4(_contributionHash(_number, account, data, generated, compute, evidenceHash));
    }

    // The asset

    /// @dev Reverts with `UnsupportedToken` unless this contract settles in `token` (zero: ether). Runs in the
    /// constructor.
    function _checkToken(address token) internal view virtual;

    /// @dev Takes exactly `amount` from the caller, or reverts.
    function _pull(uint256 amount) internal virtual;

    /// @dev Sends exactly `amount` to `to`, or reverts.
    function _push(address payable to, uint256 amount) internal virtual;

    /// @dev The whole of `depositSubmit`, whose signature depends on the asset.
    function _deposit(uint256 index, bytes32 termsHash_, uint256 amount) internal nonReentrant {
        Member memory self = _requireMember(index);
        require(termsHash_ == TERMS_HASH, Errors.TermsMismatch(termsHash_, TERMS_HASH));
        uint256 balance = _accounts[index].balance + amount;
        require(balance >= self.liability, Errors.BondTooSmall(index, balance, self.liability));
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

    // Steps shared by the calls

    function _becomeIdle() private {
        _phase = Phase.Idle;
        _idleSince = uint40(block.timestamp);
    }

    function _extendLedger(uint256 number, bytes32 entry) private {
        _ledger = keccak256(abi.encode(_ledger, number, entry));
    }

    function _requireIndex(uint256 index) private view {
        require(index < MEMBER_COUNT, Errors.UnknownMember(index, MEMBER_COUNT));
    }

    function _requireMember(uint256 index) private view returns (Member memory self) {
        self = _member(index);
        require(msg.sender == self.account, Errors.NotMember(index, msg.sender));
    }

    function _requirePhase(Phase expected) private view {
        require(_phase == expected, Errors.WrongPhase(uint8(_phase), uint8(expected)));
    }

    function _requireFrom(uint256 time) private view {
        require(block.timestamp >= time, Errors.TooEarly(block.timestamp, time));
    }

    function _member(uint256 index) private view returns (Member memory) {
        _requireIndex(index);
        return TermsBlob.decode(TermsBlob.load(TERMS_BLOB, index));
    }

    function _score(Contribution memory contribution, uint256 record) private view returns (int256) {
        (uint64 weight, int128 offset) = TermsBlob.decodeScore(record);
        uint256 quantity = PairwiseKernel.quantity(
            contribution.data, contribution.generated, contribution.compute, GENERATED_WEIGHT_WAD, LAMBDA_WAD
        );
        return PairwiseKernel.score(quantity, weight, offset);
    }

    /// @dev Zero until the round's first contribution.
    function _currentRoundHash() private view returns (bytes32) {
        bytes32 hash = _roundHash;
        return hash == NO_HASH ? bytes32(0) : hash;
    }

    /// @dev Participants who have contributed to the current round.
    function _submitted() private view returns (uint120) {
        return _participants & ~_awaited;
    }

    /// @dev EIP-712 struct hash of a contribution.
    function _contributionHash(
        uint32 number,
        address account,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash
    ) private view returns (bytes32) {
        return keccak256(
            abi.encode(CONTRIBUTION_TYPEHASH, TERMS_HASH, number, account, data, generated, compute, evidenceHash)
        );
    }
}
