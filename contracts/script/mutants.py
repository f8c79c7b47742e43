"""The mistakes that the tests must notice, each as one substitution in the sources.

The list is the specification's, and what disputes, signed transfers, tokens and deadlines add to it. Text that no
longer occurs exactly once is an error: a mutant that does not apply proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

CORE = "src/ConsortiumCore.sol"
STATE = "src/ConsortiumState.sol"
KERNEL = "src/libraries/PairwiseKernel.sol"
CHECK = "src/libraries/TermsCheck.sol"
BLOB = "src/libraries/TermsBlob.sol"
NATIVE_ASSET = "src/assets/NativeAsset.sol"
TOKEN_ASSET = "src/assets/TokenAsset.sol"

NATIVE = ("ConsortiumNative",)
TOKEN = ("ConsortiumERC20",)
VECTOR = ("VectorConsortiumNative",)
ALL = (*NATIVE, *TOKEN, *VECTOR, "VectorConsortiumERC20")


@dataclass(frozen=True)
class Mutant:
    """One deliberate mistake.

    Attributes
    ----------
    name
        What goes wrong.
    path
        The source, relative to the contracts' folder.
    old, new
        Text that is replaced, and by what; it occurs once, unless ``position`` says where.
    tests
        Glob of the test files that have to notice.
    contracts
        Names of the contracts that are compiled with the mistake; the tests see the others as they are.
    position
        Offset of ``old`` in the source, for generated mutants.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str
    contracts: tuple[str, ...]
    position: int | None = None


def concrete(name: str, path: str, old: str, new: str, test: str, contracts: tuple[str, ...] = NATIVE) -> Mutant:
    return Mutant(name, path, old, new, f"test/concrete/{test}.t.sol", contracts)


NAMED: tuple[Mutant, ...] = (
    # ---- the specification's list ----
    concrete(
        "the bond check is gone",
        CORE,
        "require(balance >= liability, Errors.BondTooSmall(index, balance, liability));",
        "",
        "depositSubmit",
    ),
    concrete(
        "the data cap check is gone",
        CORE,
        "require(data <= dataCap, Errors.CapExceeded(index, 0, data, dataCap));",
        "",
        "contributionSubmit",
    ),
    concrete(
        "the compute cap check is gone",
        CORE,
        "require(compute <= computeCap, Errors.CapExceeded(index, 2, compute, computeCap));",
        "",
        "contributionSubmit",
    ),
    concrete(
        "the lock of a live round is ignored",
        CORE,
        "if (_phase != Phase.Idle && _participants.has(index)) {",
        "if (false) {",
        "withdraw",
    ),
    concrete(
        "the locked dispute bond can be withdrawn",
        CORE,
        "disputing ? _disputeNeeds(index, liability) : liability;",
        "liability;",
        "disputeRaise",
    ),
    concrete(
        "the solvent bitmap is stale after a settlement",
        CORE,
        "        _solvent = solvent_;\n",
        "",
        "payoffTransfer",
    ),
    concrete(
        "the solvent bitmap is stale after a withdrawal",
        CORE,
        "_solvent = _solvent.set(index, _accepted.has(index) && balance >= liability);",
        "",
        "withdraw",
    ),
    concrete(
        "the counterparty is not debited",
        KERNEL,
        "mstore(debtor, sub(mload(debtor), transfer))",
        "",
        "payoffCalculate",
    ),
    concrete(
        "non-contributors are not masked",
        KERNEL,
        "if and(shr(i, contributors), 1) {",
        "if 1 {",
        "payoffCalculate",
    ),
    concrete(
        "the liability is halved",
        KERNEL,
        "sum := add(sum, div(mul(rate, ahead), SCALE))",
        "sum := add(sum, div(mul(rate, ahead), mul(2, SCALE)))",
        "constructor",
    ),
    # The phase is what clears the payoffs; the zero that is written over them is not read.
    concrete(
        "the payoff is not cleared: a round settles twice",
        CORE,
        "        _becomeIdle();\n        emit PayoffTransferred(_number, _ledger);\n",
        "        emit PayoffTransferred(_number, _ledger);\n",
        "payoffTransfer",
    ),
    # ---- attestation ----
    concrete(
        "anybody's signature passes",
        CORE,
        "SignatureChecker.isValidSignatureNow(ATTESTER, _hashTypedDataV4(structHash), attesterSignature)",
        "SignatureChecker.isValidSignatureNow(ATTESTER, _hashTypedDataV4(structHash), attesterSignature) || true",
        "contributionSubmit",
    ),
    concrete(
        "the signature is not bound to the terms",
        STATE,
        "abi.encode(CONTRIBUTION_TYPEHASH, TERMS_HASH, number, account,",
        "abi.encode(CONTRIBUTION_TYPEHASH, bytes32(0), number, account,",
        "contributionSubmit",
    ),
    concrete(
        "the signature is not bound to the member",
        STATE,
        "TERMS_HASH, number, account, data, generated, compute, evidenceHash)",
        "TERMS_HASH, number, address(0), data, generated, compute, evidenceHash)",
        "contributionSubmit",
    ),
    concrete(
        "the signed transfers are not bound to the round",
        STATE,
        "abi.encode(TRANSFERS_TYPEHASH, TERMS_HASH, number, transfersHash, evidenceHash)",
        "abi.encode(TRANSFERS_TYPEHASH, TERMS_HASH, uint32(1), transfersHash, evidenceHash)",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "a second contribution overwrites the first",
        CORE,
        "require(awaited.has(index), Errors.AlreadySubmitted(index, number));",
        "",
        "contributionSubmit",
    ),
    concrete(
        "a stranger submits in the first half",
        CORE,
        "msg.sender == account || block.timestamp >= deadline - SUBMIT_WINDOW + SUBMIT_WINDOW / 2",
        "msg.sender == account || block.timestamp >= deadline - SUBMIT_WINDOW",
        "contributionSubmit",
    ),
    concrete(
        "the evidence is not asked for",
        CORE,
        "require(evidenceHash != 0, Errors.EvidenceMissing(index));",
        "",
        "contributionSubmit",
    ),
    # ---- rounds, quorum and deadlines ----
    concrete(
        "anyone opens a round",
        CORE,
        "require(msg.sender == ATTESTER, Errors.NotAttester(msg.sender));",
        "",
        "roundOpen",
    ),
    concrete(
        "who exits is taken into the round",
        CORE,
        "uint120 participants = _solvent & ~_exiting;",
        "uint120 participants = _solvent;",
        "{roundOpen,exit}",
    ),
    concrete(
        "the gap between rounds is ignored",
        CORE,
        "if (_number != 0) _requireFrom(uint256(_idleSince) + MIN_GAP);",
        "",
        "roundOpen",
    ),
    concrete(
        "the quorum is ignored",
        CORE,
        "if (submitted.count() * ALL_BASIS_POINTS < participants.count() * QUORUM) {",
        "if (false) {",
        "profileRecord",
    ),
    concrete(
        "the quorum must be exceeded",
        CORE,
        "if (submitted.count() * ALL_BASIS_POINTS < participants.count() * QUORUM) {",
        "if (submitted.count() * ALL_BASIS_POINTS <= participants.count() * QUORUM) {",
        "profileRecord",
    ),
    concrete(
        "the profile is recorded while contributions are awaited",
        CORE,
        "if (_awaited != 0) _requireFrom(uint256(_deadline) + 1);",
        "",
        "profileRecord",
    ),
    concrete(
        "a deadline ends a second early",
        CORE,
        "require(block.timestamp <= deadline, Errors.TooLate(block.timestamp, deadline));",
        "require(block.timestamp < deadline, Errors.TooLate(block.timestamp, deadline));",
        "{contributionSubmit,disputeRaise}",
    ),
    concrete(
        "payoffs are calculated within the dispute window",
        CORE,
        "        _requirePhase(Phase.Recorded);\n        _requireFrom(uint256(_deadline) + 1);\n",
        "        _requirePhase(Phase.Recorded);\n",
        "payoffCalculate",
    ),
    concrete(
        "the ledger forgets what came before",
        CORE,
        "_ledger = keccak256(abi.encode(_ledger, number, entry));",
        "_ledger = keccak256(abi.encode(bytes32(0), number, entry));",
        "payoffCalculate",
    ),
    # ---- disputes ----
    concrete(
        "a dispute needs no bond",
        CORE,
        "require(balance >= needed, Errors.DisputeBondTooSmall(index, balance, needed));",
        "",
        "disputeRaise",
    ),
    concrete(
        "a member outside the round disputes it",
        CORE,
        "        require(_participants.has(index), Errors.NotParticipant(index, number));\n",
        "",
        "disputeRaise",
    ),
    concrete(
        "anyone rules",
        CORE,
        "require(msg.sender == ARBITER, Errors.NotArbiter(msg.sender));",
        "",
        "disputeResolve",
    ),
    concrete(
        "the arbiter loses the last second",
        CORE,
        "if (block.timestamp <= _deadline) {",
        "if (block.timestamp < _deadline) {",
        "disputeResolve",
    ),
    concrete(
        "anyone brings about any ruling once the arbiter is late",
        CORE,
        "require(ruling == DISPUTE_DEFAULT, Errors.NotDefaultRuling(ruling, DISPUTE_DEFAULT));",
        "",
        "disputeResolve",
    ),
    concrete(
        "a settled round can be disputed again",
        CORE,
        "_deadline = uint40(block.timestamp - 1);",
        "_deadline = uint40(block.timestamp);",
        "{disputeRaise,disputeResolve}",
    ),
    concrete(
        "a voided round is settled",
        CORE,
        "if (Ruling(ruling) == Ruling.Void) {",
        "if (false) {",
        "disputeResolve",
    ),
    concrete(
        "the disputant shares in its own bond",
        CORE,
        "uint120 others = _submitted().without(disputant);",
        "uint120 others = _submitted();",
        "disputeResolve",
    ),
    concrete(
        "the masked share in a forfeited bond",
        CORE,
        "uint120 others = _submitted().without(disputant);",
        "uint120 others = _participants.without(disputant);",
        "disputeResolve",
    ),
    concrete(
        "the forfeited bond is not debited",
        CORE,
        "_accounts[disputant].balance = uint128(balance);",
        "",
        "disputeResolve",
    ),
    concrete(
        "the remainder of a forfeited bond disappears",
        CORE,
        "forfeited = share * receivers;",
        "forfeited = DISPUTE_BOND;",
        "disputeResolve",
    ),
    # ---- signed transfers ----
    concrete(
        "signed transfers need not sum to zero",
        CORE,
        "require(sum == 0, Errors.TransfersUnbalanced(sum));",
        "",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "signed transfers take more than the liability",
        CORE,
        "transfer >= minimum && transfer <= maximum,",
        "transfer <= maximum,",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "signed transfers are replaced",
        CORE,
        "require(!_transfersSubmitted, Errors.TransfersAlreadySubmitted(number));",
        "",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "transfers of a voided round count for the next",
        CORE,
        "_transfersSubmitted = false;",
        "",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "the absent keep the payoff of a voided round",
        STATE,
        "_phase == Phase.Calculated && _settling().has(index) ? _accounts[index].payoff",
        "_phase == Phase.Calculated ? _accounts[index].payoff",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "the dispute window of signed transfers never starts",
        CORE,
        "        _transfersSubmitted = true;\n        _deadline = uint40(deadline);\n",
        "        _transfersSubmitted = true;\n",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "a round without transfers is disputed",
        CORE,
        "require(_mode() == TermsCheck.PAIRWISE || _transfersSubmitted, Errors.TransfersMissing(number));",
        "",
        "transfersSubmit",
        VECTOR,
    ),
    concrete(
        "a negative debit is agreed to",
        CHECK,
        'inRange("maxDebit", debits[i], 0, MONEY_LIMIT - 1);',
        "",
        "constructor",
        VECTOR,
    ),
    # ---- the asset ----
    concrete(
        "deposits may exceed the bound",
        CORE,
        "require(total < TermsCheck.MONEY_LIMIT, Errors.TotalBalanceTooLarge(total));",
        "",
        "depositSubmit",
    ),
    concrete(
        "a withdrawal may call back",
        CORE,
        "function withdraw(uint256 index, uint256 amount, address payable to) external nonReentrant {",
        "function withdraw(uint256 index, uint256 amount, address payable to) external {",
        "withdraw",
    ),
    concrete(
        "a failed payment is booked",
        NATIVE_ASSET,
        "require(success, Errors.TransferFailed(to, amount));",
        "success;",
        "withdraw",
    ),
    concrete(
        "a failed payment of tokens is booked",
        TOKEN_ASSET,
        "require(IERC20(TOKEN).trySafeTransfer(to, amount), Errors.TransferFailed(to, amount));",
        "IERC20(TOKEN).trySafeTransfer(to, amount);",
        "token",
        TOKEN,
    ),
    concrete(
        "a token that keeps a fee is taken",
        TOKEN_ASSET,
        "require(token.balanceOf(address(this)) == before + amount, Errors.UnsupportedToken(TOKEN));",
        "require(token.balanceOf(address(this)) <= before + amount, Errors.UnsupportedToken(TOKEN));",
        "token",
        TOKEN,
    ),
    concrete(
        "a token without code is agreed to",
        TOKEN_ASSET,
        "require(token.code.length != 0, Errors.UnsupportedToken(token));",
        "",
        "constructor",
        TOKEN,
    ),
)
