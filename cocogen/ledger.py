"""What the round loop needs of a settlement system, and the plain values that cross that line.

A :class:`LedgerProvider` turns settlement terms into a :class:`Ledger`; the in-memory twin and the contract on any
chain implement both. The engine never sees an encoded integer: it gives floats (:class:`SettlementTerms`), gets
back the floats that the integers stand for (:class:`DecodedTerms`), and plays the game on those, so the game and
the contract are the same function. Index n always means the n-th organization of the terms file; a ledger that
orders its members otherwise maps internally.

Left out: keys and transactions (package ``chain``), and how a contribution is measured (``cocogen.learning``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from cocogen.fees import Paying

__all__ = [
    "PHASES",
    "RULINGS",
    "ZERO_ADDRESS",
    "Contribution",
    "DecodedTerms",
    "Deployment",
    "Dispute",
    "Ledger",
    "LedgerProvider",
    "LedgerState",
    "Member",
    "Phase",
    "Receipt",
    "Relayer",
    "RoundOutcome",
    "Ruling",
    "SettlementTerms",
    "Whereabouts",
]

ZERO_ADDRESS = "0x" + "00" * 20

Phase = Literal["idle", "open", "recorded", "disputed", "calculated"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In the order of the contract's numbers, as RULINGS."""

Relayer = int | Literal["operator"]
"""Who hands in a contribution for a silent member: an organization by its index, or the operator."""

Ruling = Literal["settle", "void", "settle-and-forfeit"]
RULINGS: tuple[Ruling, ...] = get_args(Ruling)
"""How a dispute ends: the contributions stand · the round ends without payoffs · they stand, and the dispute bond goes
to the other contributors. The first two can be the terms' default."""


@dataclass(frozen=True, slots=True)
class Member:
    """One organization as the ledger knows it.

    Caps are the largest contribution the ledger accepts in a round, integers in [0, 2^64): real samples, effective
    synthetic samples, compute units. The score of a contribution is
    ``score_offset + score_weight * (data + generated_weight * generated + compute_weight * compute)``. ``max_debit`` is
    the most that a round can take from the organization in vector mode, wei in [0, 2^127); in pairwise mode it is 0,
    because the bond follows from caps and scores.

    ``stand_in`` is the contribution (data, generated, compute) that counts against the organization when it takes part
    in a round and hands in nothing: integers in [0, 2^64) within its caps. It then pays every contributor what it would
    have owed with it, and receives nothing. Either all members have one or none: then who is absent is masked, neither
    paying nor receiving, as always in vector mode.
    """

    name: str
    address: str
    data_cap: int
    generated_cap: int
    compute_cap: int
    score_weight: float
    score_offset: float
    max_debit: int = 0
    stand_in: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """Everything the ledger holds, in the engine's units; members in the order of the terms file.

    ``competition`` is ρ, shape (N, N), entries in [0, 1], zero diagonal, possibly asymmetric; the ledger uses
    σ = (ρ + ρᵀ)/2. ``incentive`` is currency per unit of score difference, ``wei_per_unit`` wei per currency unit.
    Windows and gaps are seconds; ``quorum_bps`` is in basis points of the participants; ``dispute_bond`` is wei.
    ``document_hash`` is the 32-byte digest of the legal text and the resolved terms. ``token`` is the ERC-20 token in
    which everything is paid (zero: ether); wei then stands for its smallest units.

    In mode "pairwise" the contributions alone determine the transfers. In mode "vector" the attester signs them: the
    ledger holds neither ``competition`` nor ``incentive`` nor scores, but each member's ``max_debit``.
    """

    members: tuple[Member, ...]
    competition: tuple[tuple[float, ...], ...]
    incentive: float
    wei_per_unit: int
    attester: str
    arbiter: str
    document_hash: bytes
    generated_weight: float = 1.0
    compute_weight: float = 0.0
    token: str = ZERO_ADDRESS
    submit_window: int = 86_400
    dispute_window: int = 86_400
    arbiter_window: int = 86_400
    minimum_gap: int = 3_600
    quorum_bps: int = 10_000
    minimum_members: int = 2
    maximum_rounds: int = 1
    dispute_bond: int = 0
    dispute_default: Literal["settle", "void"] = "settle"
    mode: Literal["pairwise", "vector"] = "pairwise"
    test: bool = False


@dataclass(frozen=True, slots=True)
class DecodedTerms:
    """The floats that the ledger's integers stand for: what the engine plays.

    ``rates``: incentive · σ_ij in currency per unit of score difference, shape (N, N), float64, symmetric, zero
    diagonal. ``score_weights``, ``score_offsets``: shape (N,), float64. ``liabilities``: the bond L_i that covers
    the worst round of member i, in wei. ``stand_in_scores``: shape (N,), float64, the score by which member i pays when
    it is absent; None where who is absent is masked.
    """

    rates: NDArray[np.float64]
    score_weights: NDArray[np.float64]
    score_offsets: NDArray[np.float64]
    generated_weight: float
    compute_weight: float
    wei_per_unit: int
    liabilities: tuple[int, ...]
    terms_hash: bytes
    stand_in_scores: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What the attester signs for one organization and round: integers in [0, 2^64), and a non-zero 32-byte digest
    of the evidence that stays off the ledger. ``generated`` counts effective samples, ⌊κ g⌋."""

    data: int
    generated: int
    compute: int
    evidence_hash: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """One executed operation. ``transaction`` is a 0x hash (None in memory), ``gas`` the gas used (None in memory),
    ``time`` the block time in Unix seconds."""

    operation: str
    transaction: str | None
    gas: int | None
    time: int


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What became of a deployment.

    ``state``: the contract is "there", its transaction is still "pending", or the deployment is "gone".
    ``block``: where the node says that it was created; None where it does not say.
    """

    state: Literal["there", "pending", "gone"]
    block: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerState:
    """A snapshot: flags and amounts per organization, amounts in wei, times in Unix seconds of the ledger's clock.

    ``deadline`` ends the window of the current phase (submission while open, dispute while recorded or, in vector mode,
    first the transfers' submission, the arbiter's ruling while disputed; 0 when idle or calculated). ``relay_from`` is
    the time from which anyone may hand in an attested contribution (0 unless open). ``next_round_from`` is the earliest
    time of the next opening. ``disputant`` is the organization whose dispute is open (None unless disputed).
    ``transfers_submitted`` tells in vector mode whether the current or last round has its signed transfers.
    """

    round: int
    phase: Phase
    now: int
    deadline: int
    relay_from: int
    next_round_from: int
    accepted: tuple[bool, ...]
    solvent: tuple[bool, ...]
    exiting: tuple[bool, ...]
    participants: tuple[bool, ...]
    submitted: tuple[bool, ...]
    balances: tuple[int, ...]
    liabilities: tuple[int, ...]
    total_balance: int
    ledger_hash: bytes
    disputant: int | None = None
    transfers_submitted: bool = False


@dataclass(frozen=True, slots=True)
class Dispute:
    """A round's dispute: who raised it, the 32-byte digest of the reason (kept off the ledger), the ruling (None while
    it is open), and the wei that the disputant forfeited to the other contributors."""

    organization: int
    reason_hash: bytes
    ruling: Ruling | None = None
    forfeited: int = 0


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """How a past or running round stands: ``status`` is "open", "recorded", "disputed", "calculated", "settled" or
    "voided"; a round whose dispute ended without voiding it is recorded again.

    ``contributions[n]`` is None for a non-participant and for one who did not contribute; ``transfers[n]`` is in
    wei, positive when received, all zero unless calculated: what an absent organization pays is there too. ``dispute``
    is None where nobody raised one.
    """

    round: int
    status: Literal["open", "recorded", "disputed", "calculated", "settled", "voided"]
    participants: tuple[bool, ...]
    contributions: tuple[Contribution | None, ...]
    transfers: tuple[int, ...]
    receipts: tuple[Receipt, ...] = ()
    dispute: Dispute | None = None

    @property
    def absent(self) -> tuple[bool, ...]:
        """Participants whose contribution is not in the round, all False while it is open and they still can hand it
        in. They pay by their stand-ins once the round is calculated, where the terms have any; nobody pays in a round
        that is voided."""
        late = self.status != "open"
        return tuple(late and p and c is None for p, c in zip(self.participants, self.contributions, strict=True))


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a consortium's ledger lives: enough to connect to it again (with its terms)."""

    backend: str
    address: str
    terms_hash: str
    chain_id: int
    block: int
    details: dict[str, Any] = field(default_factory=dict)


class Ledger(Protocol):
    """One consortium's settlement. Every operation raises a typed :class:`cocogen.errors.LedgerError` and changes
    nothing when its preconditions do not hold."""

    @property
    def terms(self) -> SettlementTerms: ...

    @property
    def decoded(self) -> DecodedTerms: ...

    @property
    def deployment(self) -> Deployment: ...

    def state(self) -> LedgerState: ...

    def outcomes(self) -> tuple[RoundOutcome, ...]:
        """All rounds so far, oldest first."""
        ...

    def deposit(self, index: int, amount: int) -> Receipt:
        """Accept the terms and add ``amount`` wei to the member's bond."""
        ...

    def open_round(self) -> Receipt: ...

    def attestation_digest(self, index: int, contribution: Contribution) -> bytes:
        """The 32 bytes that the attester signs for a contribution to the current round (EIP-712)."""
        ...

    def attest(self, index: int, contribution: Contribution) -> bytes:
        """The attester's 65-byte signature over a contribution to the current round; KeyUnavailable without its key."""
        ...

    def is_attested(self, index: int, contribution: Contribution, attestation: bytes) -> bool:
        """Whether ``attestation`` is the attester's over a contribution to the current round; a wallet is asked."""
        ...

    def submit(
        self, index: int, contribution: Contribution, attestation: bytes, *, sender: Relayer | None = None
    ) -> Receipt:
        """Hand in an attested contribution; ``sender`` relays for a silent member (second half of the window)."""
        ...

    def record(self) -> Receipt: ...

    def attest_transfers(self, transfers: Sequence[int], evidence_hash: bytes) -> bytes:
        """Vector mode: the attester's 65-byte signature over the recorded round's transfers, wei per organization, and
        the non-zero 32-byte digest of their evidence."""
        ...

    def submit_transfers(self, transfers: Sequence[int], evidence_hash: bytes, attestation: bytes) -> Receipt:
        """Vector mode: hand in the transfers that the attester signed; their sum is 0, and whoever has not contributed
        has none."""
        ...

    def dispute(self, index: int, reason_hash: bytes) -> Receipt:
        """Dispute the recorded round within its window as a participant; locks the dispute bond beyond the liability.
        ``reason_hash`` is the non-zero 32-byte digest of the reason."""
        ...

    def resolve(self, ruling: Ruling, *, as_arbiter: bool = True) -> Receipt:
        """End the dispute as the arbiter, or, after the arbiter's window, as a stranger with the terms' default."""
        ...

    def settle(self) -> RoundOutcome:
        """Calculate and transfer; goes on where an interrupted settlement stopped. In vector mode a round without
        transfers is voided instead, which the outcome's status says."""
        ...

    def withdraw(self, index: int, amount: int, *, to: str | None = None) -> Receipt: ...

    def exit(self, index: int, *, cancel: bool = False) -> Receipt: ...

    def predict(self, contributions: Sequence[Contribution | None], absent: Collection[int] = ()) -> tuple[int, ...]:
        """The transfers in wei that exactly these contributions settle to.

        ``absent`` names the organizations that take part in the round and hand in nothing: they pay by their stand-ins,
        where the terms have any. Whoever else has no contribution (None) sits the round out and is masked. By default
        nobody is absent, which promises nobody anything: a contributor receives that much or, for every one who is
        absent, more; but it does not say what silence costs.
        """
        ...

    def advance(self, seconds: int) -> None:
        """Move a local ledger's clock forward; a public chain raises LedgerError."""
        ...

    def wait_until(self, timestamp: int) -> None:
        """Return when the next operation will see a time ≥ ``timestamp``: local ledgers jump, others wait."""
        ...

    def evidence_digest(self, digest: bytes) -> bytes:
        """The 32 bytes that an organization signs for an evidence bundle's 32-byte digest (EIP-712)."""
        ...

    def sign(self, name: str, digest: bytes) -> bytes:
        """A 65-byte signature of a 32-byte digest by the named organization or role (evidence bundles)."""
        ...

    def verify(self, address: str, digest: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is that of ``address`` over an evidence bundle's 32-byte digest: by recovery of the
        key, or, where the address is a wallet contract on a chain, by asking it (EIP-1271)."""
        ...


class LedgerProvider(Paying, Protocol):
    """A settlement system before any terms are on it, and what it costs to use it."""

    def account(self, name: str) -> str:
        """The address of an organization or of a role ("attester", "arbiter", "operator")."""
        ...

    def decode(self, terms: SettlementTerms) -> DecodedTerms:
        """Encode and decode: what these terms become on the ledger. LedgerError when they do not fit."""
        ...

    def check_deployer(self) -> None:
        """See that the operator can sign and pay, before anything long begins. LedgerError or a key's error if not."""
        ...

    def deploy(self, terms: SettlementTerms) -> Ledger: ...

    def connect(self, terms: SettlementTerms, deployment: Deployment) -> Ledger: ...

    def inspect(self, terms: SettlementTerms, deployment: Deployment, *, receipts: bool = False) -> Any:
        """Everything that an auditor of such ledgers reads of a deployment, whatever its state; ``receipts`` adds gas
        and status of every call, where there are any."""
        ...

    def is_wallet(self, address: str) -> bool:
        """Whether there is a contract at an address, which answers for its signatures itself."""
        ...

    def whereabouts(self, deployment: Deployment) -> Whereabouts:
        """What became of a deployment: there, under way, or gone."""
        ...

    def close(self) -> None: ...
