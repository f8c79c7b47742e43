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


def concrete(
    name: str, test: str, old: str, new: str = "", *, path: str = CORE, contracts: tuple[str, ...] = NATIVE
) -> Mutant:
    """What goes wrong when ``old`` is gone, or ``new`` in its place, and the concrete test that has to notice."""
    return Mutant(name, path, old, new, f"test/concrete/{test}.t.sol", contracts)


NAMED: tuple[Mutant, ...] = (
    # ---- the specification's list ----
    concrete(
        "the bond check is gone",
        "depositSubmit",
        "require(balance >= liability, Errors.BondTooSmall(index, balance, liability));",
    ),
    concrete(
        "the data cap check is gone",
        "contributionSubmit",
        "require(data <= dataCap, Errors.CapExceeded(index, 0, data, dataCap));",
    ),
    concrete(
        "the compute cap check is gone",
        "contributionSubmit",
        "require(compute <= computeCap, Errors.CapExceeded(index, 2, compute, computeCap));",
    ),
    concrete(
        "the lock of a live round is ignored",
        "withdraw",
        "if (_phase != Phase.Idle && _participants.has(index)) {",
        "if (false) {",
    ),
    concrete(
        "the locked dispute bond can be withdrawn",
        "disputeRaise",
        "disputing ? _disputeNeeds(index, liability) : liability;",
        "liability;",
    ),
    concrete("the solvent bitmap is stale after a settlement", "payoffTransfer", "        _solvent = solvent_;\n"),
    concrete(
        "the solvent bitmap is stale after a withdrawal",
        "withdraw",
        "_solvent = _solvent.set(index, _accepted.has(index) && balance >= liability);",
    ),
    concrete(
        "the counterparty is not debited",
        "payoffCalculate",
        "mstore(debtor, sub(mload(debtor), transfer))",
        path=KERNEL,
    ),
    concrete(
        "non-contributors are not masked", "payoffCalculate", "if and(shr(i, contributors), 1) {", "if 1 {", path=KERNEL
    ),
    concrete(
        "the liability is halved",
        "constructor",
        "sum := add(sum, div(mul(rate, ahead), SCALE))",
        "sum := add(sum, div(mul(rate, ahead), mul(2, SCALE)))",
        path=KERNEL,
    ),
    # The phase is what clears the payoffs; the zero that is written over them is not read.
    concrete(
        "the payoff is not cleared: a round settles twice",
        "payoffTransfer",
        "        _becomeIdle();\n        emit PayoffTransferred(_number, _ledger);\n",
        "        emit PayoffTransferred(_number, _ledger);\n",
    ),
    # ---- attestation ----
    concrete(
        "anybody's signature passes",
        "contributionSubmit",
        "SignatureChecker.isValidSignatureNow(ATTESTER, _hashTypedDataV4(structHash), attesterSignature)",
        "SignatureChecker.isValidSignatureNow(ATTESTER, _hashTypedDataV4(structHash), attesterSignature) || true",
    ),
    concrete(
        "the signature is not bound to the terms",
        "contributionSubmit",
        "abi.encode(CONTRIBUTION_TYPEHASH, TERMS_HASH, number, account,",
        "abi.encode(CONTRIBUTION_TYPEHASH, bytes32(0), number, account,",
        path=STATE,
    ),
    concrete(
        "the signature is not bound to the member",
        "contributionSubmit",
        "TERMS_HASH, number, account, data, generated, compute, evidenceHash)",
        "TERMS_HASH, number, address(0), data, generated, compute, evidenceHash)",
        path=STATE,
    ),
    concrete(
        "the signed transfers are not bound to the round",
        "transfersSubmit",
        "abi.encode(TRANSFERS_TYPEHASH, TERMS_HASH, number, transfersHash, evidenceHash)",
        "abi.encode(TRANSFERS_TYPEHASH, TERMS_HASH, uint32(1), transfersHash, evidenceHash)",
        path=STATE,
        contracts=VECTOR,
    ),
    concrete(
        "a second contribution overwrites the first",
        "contributionSubmit",
        "require(awaited.has(index), Errors.AlreadySubmitted(index, number));",
    ),
    concrete(
        "a stranger submits in the first half",
        "contributionSubmit",
        "msg.sender == account || block.timestamp >= deadline - SUBMIT_WINDOW + SUBMIT_WINDOW / 2",
        "msg.sender == account || block.timestamp >= deadline - SUBMIT_WINDOW",
    ),
    concrete(
        "the evidence is not asked for",
        "contributionSubmit",
        "require(evidenceHash != 0, Errors.EvidenceMissing(index));",
    ),
    # ---- rounds, quorum and deadlines ----
    concrete("anyone opens a round", "roundOpen", "require(msg.sender == ATTESTER, Errors.NotAttester(msg.sender));"),
    concrete(
        "who exits is taken into the round",
        "{roundOpen,exit}",
        "uint120 participants = _solvent & ~_exiting;",
        "uint120 participants = _solvent;",
    ),
    concrete(
        "the gap between rounds is ignored",
        "roundOpen",
        "if (_number != 0) _requireFrom(uint256(_idleSince) + MIN_GAP);",
    ),
    concrete(
        "the quorum is ignored",
        "profileRecord",
        "if (submitted.count() * ALL_BASIS_POINTS < participants.count() * QUORUM) {",
        "if (false) {",
    ),
    concrete(
        "the quorum must be exceeded",
        "profileRecord",
        "if (submitted.count() * ALL_BASIS_POINTS < participants.count() * QUORUM) {",
        "if (submitted.count() * ALL_BASIS_POINTS <= participants.count() * QUORUM) {",
    ),
    concrete(
        "the profile is recorded while contributions are awaited",
        "profileRecord",
        "if (_awaited != 0) _requireFrom(uint256(_deadline) + 1);",
    ),
    concrete(
        "a deadline ends a second early",
        "{contributionSubmit,disputeRaise}",
        "require(block.timestamp <= deadline, Errors.TooLate(block.timestamp, deadline));",
        "require(block.timestamp < deadline, Errors.TooLate(block.timestamp, deadline));",
    ),
    concrete(
        "payoffs are calculated within the dispute window",
        "payoffCalculate",
        "        _requirePhase(Phase.Recorded);\n        _requireFrom(uint256(_deadline) + 1);\n",
        "        _requirePhase(Phase.Recorded);\n",
    ),
    concrete(
        "the ledger forgets what came before",
        "payoffCalculate",
        "_ledger = keccak256(abi.encode(_ledger, number, entry));",
        "_ledger = keccak256(abi.encode(bytes32(0), number, entry));",
    ),
    # ---- disputes ----
    concrete(
        "a dispute needs no bond",
        "disputeRaise",
        "require(balance >= needed, Errors.DisputeBondTooSmall(index, balance, needed));",
    ),
    concrete(
        "a member outside the round disputes it",
        "disputeRaise",
        "        require(_participants.has(index), Errors.NotParticipant(index, number));\n",
    ),
    concrete("anyone rules", "disputeResolve", "require(msg.sender == ARBITER, Errors.NotArbiter(msg.sender));"),
    concrete(
        "the arbiter loses the last second",
        "disputeResolve",
        "if (block.timestamp <= _deadline) {",
        "if (block.timestamp < _deadline) {",
    ),
    concrete(
        "anyone brings about any ruling once the arbiter is late",
        "disputeResolve",
        "require(ruling == DISPUTE_DEFAULT, Errors.NotDefaultRuling(ruling, DISPUTE_DEFAULT));",
    ),
    concrete(
        "a settled round can be disputed again",
        "{disputeRaise,disputeResolve}",
        "_deadline = uint40(block.timestamp - 1);",
        "_deadline = uint40(block.timestamp);",
    ),
    concrete("a voided round is settled", "disputeResolve", "if (Ruling(ruling) == Ruling.Void) {", "if (false) {"),
    concrete(
        "the disputant shares in its own bond",
        "disputeResolve",
        "uint120 others = _submitted().without(disputant);",
        "uint120 others = _submitted();",
    ),
    concrete(
        "the masked share in a forfeited bond",
        "disputeResolve",
        "uint120 others = _submitted().without(disputant);",
        "uint120 others = _participants.without(disputant);",
    ),
    concrete("the forfeited bond is not debited", "disputeResolve", "_accounts[disputant].balance = uint128(balance);"),
    concrete(
        "the remainder of a forfeited bond disappears",
        "disputeResolve",
        "forfeited = share * receivers;",
        "forfeited = DISPUTE_BOND;",
    ),
    # ---- signed transfers ----
    concrete(
        "signed transfers need not sum to zero",
        "transfersSubmit",
        "require(sum == 0, Errors.TransfersUnbalanced(sum));",
        contracts=VECTOR,
    ),
    concrete(
        "signed transfers take more than the liability",
        "transfersSubmit",
        "transfer >= minimum && transfer <= maximum,",
        "transfer <= maximum,",
        contracts=VECTOR,
    ),
    concrete(
        "signed transfers are replaced",
        "transfersSubmit",
        "require(!_transfersSubmitted, Errors.TransfersAlreadySubmitted(number));",
        contracts=VECTOR,
    ),
    concrete(
        "transfers of a voided round count for the next",
        "transfersSubmit",
        "_transfersSubmitted = false;",
        contracts=VECTOR,
    ),
    concrete(
        "the absent keep the payoff of a voided round",
        "transfersSubmit",
        "_phase == Phase.Calculated && _settling().has(index) ? _accounts[index].payoff",
        "_phase == Phase.Calculated ? _accounts[index].payoff",
        path=STATE,
        contracts=VECTOR,
    ),
    concrete(
        "the dispute window of signed transfers never starts",
        "transfersSubmit",
        "        _transfersSubmitted = true;\n        _deadline = uint40(deadline);\n",
        "        _transfersSubmitted = true;\n",
        contracts=VECTOR,
    ),
    concrete(
        "a round without transfers is disputed",
        "transfersSubmit",
        "require(_mode() == TermsCheck.PAIRWISE || _transfersSubmitted, Errors.TransfersMissing(number));",
        contracts=VECTOR,
    ),
    concrete(
        "a negative debit is agreed to",
        "constructor",
        'inRange("maxDebit", debits[i], 0, MONEY_LIMIT - 1);',
        path=CHECK,
        contracts=VECTOR,
    ),
    # ---- the asset ----
    concrete(
        "deposits may exceed the bound",
        "depositSubmit",
        "require(total < TermsCheck.MONEY_LIMIT, Errors.TotalBalanceTooLarge(total));",
    ),
    concrete(
        "a withdrawal may call back",
        "withdraw",
        "function withdraw(uint256 index, uint256 amount, address payable to) external nonReentrant {",
        "function withdraw(uint256 index, uint256 amount, address payable to) external {",
    ),
    concrete(
        "a failed payment is booked",
        "withdraw",
        "require(success, Errors.TransferFailed(to, amount));",
        "success;",
        path=NATIVE_ASSET,
    ),
    concrete(
        "a failed payment of tokens is booked",
        "token",
        "require(IERC20(TOKEN).trySafeTransfer(to, amount), Errors.TransferFailed(to, amount));",
        "IERC20(TOKEN).trySafeTransfer(to, amount);",
        path=TOKEN_ASSET,
        contracts=TOKEN,
    ),
    concrete(
        "a token that keeps a fee is taken",
        "token",
        "require(token.balanceOf(address(this)) == before + amount, Errors.UnsupportedToken(TOKEN));",
        "require(token.balanceOf(address(this)) <= before + amount, Errors.UnsupportedToken(TOKEN));",
        path=TOKEN_ASSET,
        contracts=TOKEN,
    ),
    concrete(
        "a token without code is agreed to",
        "constructor",
        "require(token.code.length != 0, Errors.UnsupportedToken(token));",
        path=TOKEN_ASSET,
        contracts=TOKEN,
    ),
)
