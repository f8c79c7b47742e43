// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Every reason for which a consortium refuses a call, with the offending values
library Errors {
    // ---- terms (constructor) ----

    /// @dev Too few or too many members.
    error MemberCountOutOfRange(uint256 count, uint256 minimum, uint256 maximum);
    /// @dev The packed records are not a whole number of 68-byte records.
    error RecordsLengthInvalid(uint256 length);
    /// @dev The packed triangle does not hold one 16-bit weight per pair of members.
    error TriangleLengthInvalid(uint256 length, uint256 expected);
    /// @dev The packed stand-ins are neither empty nor one 16-byte score per member; in vector mode `expected` is zero.
    error StandInsLengthInvalid(uint256 length, uint256 expected);
    /// @dev A stand-in scores what its member could not: less than with nothing, or more than at its caps.
    error StandInOutOfRange(uint256 index, int256 score, int256 minimum, int256 maximum);
    /// @dev Member addresses must be non-zero and strictly ascending; `index` is the first that is not.
    error MembersNotSorted(uint256 index);
    /// @dev A scalar of the terms lies outside its range; `field` is its name in ASCII.
    error TermOutOfRange(bytes32 field, uint256 value, uint256 minimum, uint256 maximum);
    /// @dev A contract that settles in ether has no token; one that settles in a token needs one that has code and
    /// delivers exactly what is transferred.
    error UnsupportedToken(address token);
    /// @dev A bound that keeps every settlement computable is broken; `bound` is "score", "spread" or "liabilities".
    error ArithmeticBound(bytes32 bound);

    // ---- calls ----

    /// @dev The caller accepts other terms than these.
    error TermsMismatch(bytes32 given, bytes32 expected);
    /// @dev There is no member with this index.
    error UnknownMember(uint256 index, uint256 count);
    /// @dev The caller is not this member.
    error NotMember(uint256 index, address caller);
    /// @dev Only the attester opens rounds.
    error NotAttester(address caller);
    /// @dev The balance after a deposit would not cover the member's liability.
    error BondTooSmall(uint256 index, uint256 balance, uint256 liability);
    /// @dev All balances together would reach 2^127.
    error TotalBalanceTooLarge(uint256 total);
    /// @dev The call belongs to another phase of the round.
    error WrongPhase(uint8 actual, uint8 expected);
    /// @dev The block time is before the earliest time of this call.
    error TooEarly(uint256 time, uint256 allowedFrom);
    /// @dev The block time is after the deadline of this call.
    error TooLate(uint256 time, uint256 deadline);
    /// @dev Too few members are solvent and not exiting.
    error NotEnoughMembers(uint256 solvent, uint256 minimum);
    /// @dev All agreed rounds have been opened.
    error NoRoundsLeft(uint256 maximum);
    /// @dev The member takes no part in this round.
    error NotParticipant(uint256 index, uint256 round);
    /// @dev A contribution exceeds the member's cap; `component` is 0 data, 1 generated, 2 compute.
    error CapExceeded(uint256 index, uint8 component, uint256 value, uint256 cap);
    /// @dev The member's contribution to this round is already there.
    error AlreadySubmitted(uint256 index, uint256 round);
    /// @dev A contribution needs the digest of its evidence.
    error EvidenceMissing(uint256 index);
    /// @dev The signature is not the attester's over this contribution, or over these transfers.
    error InvalidSignature(address expected);
    /// @dev A withdrawal would leave less than what a live round may still take.
    error BondLocked(uint256 index, uint256 amount, uint256 available);
    /// @dev A withdrawal exceeds the balance.
    error WithdrawalExceedsBalance(uint256 index, uint256 amount, uint256 balance);
    /// @dev The recipient is the zero address or this contract.
    error InvalidRecipient(address to);
    /// @dev The recipient did not take the ether, or the token did not move: to this contract, on a deposit.
    error TransferFailed(address to, uint256 amount);
    /// @dev The member has already announced its exit.
    error AlreadyExiting(uint256 index);
    /// @dev The member has not announced an exit.
    error NotExiting(uint256 index);
    /// @dev The call belongs to the other mode of payoffs: 0 pairwise, 1 vector.
    error WrongMode(uint8 actual, uint8 expected);
    /// @dev The round's transfers are already there.
    error TransfersAlreadySubmitted(uint256 round);
    /// @dev There is not one transfer for every member.
    error TransfersLengthInvalid(uint256 length, uint256 expected);
    /// @dev Transfers need the digest of their evidence.
    error TransfersEvidenceMissing(uint256 round);
    /// @dev A transfer takes more than the member's liability, gives more than there can be, or is that of a member who
    /// has not contributed.
    error TransferOutOfRange(uint256 index, int256 transfer, int256 minimum, int256 maximum);
    /// @dev The transfers do not sum to zero.
    error TransfersUnbalanced(int256 sum);
    /// @dev There are no transfers yet that could be disputed.
    error TransfersMissing(uint256 round);
    /// @dev The balance does not cover the dispute bond and what the round may still take: the liability, or of an
    /// absent member what it owes by its stand-in.
    error DisputeBondTooSmall(uint256 index, uint256 balance, uint256 needed);
    /// @dev A dispute needs the digest of its reason.
    error ReasonMissing(uint256 index);
    /// @dev Up to the deadline only the arbiter rules.
    error NotArbiter(address caller);
    /// @dev There is no such ruling.
    error RulingOutOfRange(uint8 ruling, uint8 maximum);
    /// @dev After the deadline only the terms' default can be brought about.
    error NotDefaultRuling(uint8 ruling, uint8 expected);
}
