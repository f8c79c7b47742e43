// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IConsortium} from "./interfaces/IConsortium.sol";
import {Bitmap} from "./libraries/Bitmap.sol";
import {Errors} from "./libraries/Errors.sol";
import {PairwiseKernel} from "./libraries/PairwiseKernel.sol";
import {StandIns} from "./libraries/StandIns.sol";
import {TermsBlob} from "./libraries/TermsBlob.sol";
import {MAXIMUM_MEMBERS, TermsCheck} from "./libraries/TermsCheck.sol";

/// @title What a consortium knows, whatever the asset: its terms, everybody's balance, the round
/// @notice The constructor checks the terms and stores them; everything here can be read. The calls that change it are
/// in `ConsortiumCore`.
abstract contract ConsortiumState is IConsortium, EIP712 {
    using Bitmap for uint120;

    /// @dev Balance and payoff share a slot: both stay below 2^127 wei in magnitude. The payoff counts in Calculated, and
    /// in vector mode from the submission of the transfers on; after a voided round it is stale.
    struct Account {
        uint128 balance;
        int128 payoff;
    }

    bytes32 internal constant CONTRIBUTION_TYPEHASH = keccak256(
        "Contribution(bytes32 termsHash,uint32 round,address member,uint64 data,uint64 generated,uint64 compute,bytes32 evidenceHash)"
    );

    bytes32 internal constant TRANSFERS_TYPEHASH = keccak256(
        "Transfers(bytes32 termsHash,uint32 round,bytes32 transfersHash,bytes32 evidenceHash)"
    );

    /// @dev Stands for zero in storage: leaving zero would cost a round's first contributor 17,100 gas more.
    bytes32 internal constant NO_HASH = bytes32(uint256(1));

    uint160 internal immutable GAMMA_WAD;
    uint128 internal immutable GENERATED_WEIGHT_WAD;
    uint128 internal immutable LAMBDA_WAD;
    address internal immutable ATTESTER;
    address internal immutable ARBITER;
    address internal immutable TOKEN;
    uint32 internal immutable SUBMIT_WINDOW;
    uint32 internal immutable DISPUTE_WINDOW;
    uint32 internal immutable ARBITER_WINDOW;
    uint32 internal immutable MIN_GAP;
    uint16 internal immutable QUORUM;
    uint8 internal immutable MIN_MEMBERS;
    uint32 internal immutable MAX_ROUNDS;
    uint128 internal immutable DISPUTE_BOND;
    uint8 internal immutable DISPUTE_DEFAULT;
    bool internal immutable TEST;
    bytes32 internal immutable DOCUMENT_HASH;

    bytes32 internal immutable TERMS_HASH;
    address internal immutable TERMS_BLOB;
    /// @dev Zero: nobody pays for being absent.
    address internal immutable STAND_INS;
    uint256 internal immutable MEMBER_COUNT;

    // One slot, all that a contribution needs to know of the round. `awaited`: participants who have not contributed.
    // `disputant` counts in Disputed only.
    uint32 internal _number;
    Phase internal _phase;
    uint40 internal _deadline;
    uint40 internal _idleSince;
    uint120 internal _awaited;
    uint8 internal _disputant;
    bool internal _transfersSubmitted;

    // One slot.
    uint120 internal _participants;
    uint120 internal _solvent;

    // One slot, written with every deposit.
    uint128 internal _totalBalance;
    uint120 internal _accepted;

    uint120 internal _exiting;

    /// @dev `NO_HASH` until the round's first contribution.
    bytes32 internal _roundHash;

    bytes32 internal _ledger;

    Account[MAXIMUM_MEMBERS] internal _accounts;

    /// @dev Stale where the member has not contributed to the current round.
    Contribution[MAXIMUM_MEMBERS] internal _contributions;

    /// @param records 68 bytes per member, ascending by account, packed big-endian: account 20, data cap 8,
    /// generated cap 8, compute cap 8, score weight 8, score offset 16 (two's complement). In vector mode the weight is
    /// zero, and the largest debit stands in the offset's place
    /// @param triangle 16-bit pair weights k_ij for i < j, row by row, big-endian, 65535 = the largest; empty in vector
    /// mode
    /// @param standIns 16 bytes per member, big-endian two's complement: the score (1e18 = 1) by which it pays for a round
    /// that it is absent from, within what its caps allow; empty if who is absent pays nothing, as always in vector mode
    constructor(
        bytes memory records,
        bytes memory triangle,
        bytes memory standIns,
        Terms memory agreed
    ) EIP712("CoCoGen", "1") {
        uint256 count = TermsCheck.structure(records, triangle, _mode());
        TermsCheck.standIns(standIns, count, _mode());
        TermsCheck.beforeToken(agreed);
        _checkToken(agreed.token);
        TermsCheck.afterToken(agreed, count, _mode());
        uint256[] memory liabilities = TermsCheck.liabilities(records, triangle, standIns, agreed, count);

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
        DOCUMENT_HASH = agreed.documentHash;
        TERMS_HASH = keccak256(abi.encode(keccak256(records), keccak256(triangle), keccak256(standIns), agreed));
        TERMS_BLOB = TermsBlob.store(records, liabilities, triangle);
        STAND_INS = _mode() == TermsCheck.VECTOR || standIns.length == 0 ? address(0) : StandIns.store(standIns);
        MEMBER_COUNT = count;
    }

    /// @inheritdoc IConsortium
    function terms() external view returns (Terms memory) {
        return
            Terms({
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
                mode: _mode(),
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
    function standInsBlob() external view returns (address pointer) {
        return STAND_INS;
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
        return
            Round({
                number: _number,
                phase: _phase,
                deadline: _deadline,
                idleSince: _idleSince,
                participants: _participants,
                submitted: _submitted(),
                roundHash: _currentRoundHash(),
                disputant: _phase == Phase.Disputed ? _disputant : 0,
                transfersSubmitted: _transfersSubmitted
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
        // Whom the round does not touch may still have a stale payoff there, from a round that was voided.
        return _phase == Phase.Calculated && _settling().has(index) ? _accounts[index].payoff : int128(0);
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
    function contributionDigest(
        uint256 index,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash
    ) external view returns (bytes32) {
        address account = _member(index).account;
        return _hashTypedDataV4(_contributionHash(_number, account, data, generated, compute, evidenceHash));
    }

    /// @inheritdoc IConsortium
    function transfersDigest(bytes32 transfersHash, bytes32 evidenceHash) external view returns (bytes32) {
        _requireVector();
        return _hashTypedDataV4(_transfersStructHash(_number, transfersHash, evidenceHash));
    }

    /// @dev Reverts with `UnsupportedToken` unless this contract settles in `token` (zero: ether). Runs in the
    /// constructor.
    function _checkToken(address token) internal view virtual;

    /// @dev How payoffs come about: `TermsCheck.PAIRWISE` or `TermsCheck.VECTOR`. A constant of each contract, so that the
    /// compiler leaves the other mode's code out.
    function _mode() internal pure virtual returns (uint8);

    function _requireIndex(uint256 index) internal view {
        require(index < MEMBER_COUNT, Errors.UnknownMember(index, MEMBER_COUNT));
    }

    /// @dev Refuses a caller other than the member; returns the member's liability.
    function _requireMember(uint256 index) internal view returns (uint256 liability) {
        _requireIndex(index);
        uint256 record = TermsBlob.load(TERMS_BLOB, index);
        (address account, , , ) = TermsBlob.decodeLimits(record);
        require(msg.sender == account, Errors.NotMember(index, msg.sender));
        liability = TermsBlob.decodeLiability(record);
    }

    function _requirePhase(Phase expected) internal view {
        require(_phase == expected, Errors.WrongPhase(uint8(_phase), uint8(expected)));
    }

    function _requireVector() internal pure {
        require(_mode() == TermsCheck.VECTOR, Errors.WrongMode(_mode(), TermsCheck.VECTOR));
    }

    function _requireFrom(uint256 time) internal view {
        require(block.timestamp >= time, Errors.TooEarly(block.timestamp, time));
    }

    function _member(uint256 index) internal view returns (Member memory self) {
        _requireIndex(index);
        self = TermsBlob.decode(TermsBlob.load(TERMS_BLOB, index));
        if (_mode() == TermsCheck.VECTOR) self.offset = 0;
    }

    function _score(Contribution memory contribution, uint256 record) internal view returns (int256) {
        (uint64 weight, int128 offset) = TermsBlob.decodeScore(record);
        uint256 quantity = PairwiseKernel.quantity(
            contribution.data,
            contribution.generated,
            contribution.compute,
            GENERATED_WEIGHT_WAD,
            LAMBDA_WAD
        );
        return PairwiseKernel.score(quantity, weight, offset);
    }

    /// @dev Zero until the round's first contribution.
    function _currentRoundHash() internal view returns (bytes32) {
        bytes32 hash = _roundHash;
        return hash == NO_HASH ? bytes32(0) : hash;
    }

    /// @dev Participants who have contributed to the current round.
    function _submitted() internal view returns (uint120) {
        return _participants & ~_awaited;
    }

    /// @dev Participants who have not contributed to the current round, where they pay for that.
    function _absent() internal view returns (uint120) {
        return _mode() == TermsCheck.VECTOR || STAND_INS == address(0) ? 0 : _awaited;
    }

    /// @dev Members whom the current round's settlement touches.
    function _settling() internal view returns (uint120) {
        return _submitted() | _absent();
    }

    /// @dev EIP-712 struct hash of a contribution.
    function _contributionHash(
        uint32 number,
        address account,
        uint64 data,
        uint64 generated,
        uint64 compute,
        bytes32 evidenceHash
    ) internal view returns (bytes32) {
        return
            keccak256(
                abi.encode(CONTRIBUTION_TYPEHASH, TERMS_HASH, number, account, data, generated, compute, evidenceHash)
            );
    }

    /// @dev EIP-712 struct hash of a round's transfers.
    function _transfersStructHash(
        uint32 number,
        bytes32 transfersHash,
        bytes32 evidenceHash
    ) internal view returns (bytes32) {
        return keccak256(abi.encode(TRANSFERS_TYPEHASH, TERMS_HASH, number, transfersHash, evidenceHash));
    }
}
