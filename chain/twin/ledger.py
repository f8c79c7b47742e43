"""The settlement system in memory: the ``Ledger`` protocol over the contract's twin, without chain, keys or gas.

It serves solving, tests and quick runs. A seed gives the same accounts, addresses, times, hashes and signatures on
every machine. The clock belongs to the provider, starts at ``start_time`` and moves by one second with every
operation, or as far as it is told. Its EIP-712 chain id is 0, which no real chain has, so nothing that is signed here
counts anywhere else. Nothing survives the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from chain.abi import checksum_address, keccak256
from chain.encoding import signatures
from chain.encoding.base import EncodedLedger, EncodedProvider, parts_of
from chain.encoding.codec import encode
from chain.encoding.states import CALCULATED, DISPUTED, IDLE, OPEN, RECORDED, ruling_number
from chain.errors.chain import ArgumentOutOfRange, MissingKey, NoContract
from chain.gas import measured_gas
from chain.keys.keystores import development_key
from chain.record.outcomes import round_outcomes
from chain.record.values import MEMORY_CHAIN_ID, Event, LedgerEvent, LedgerRecord
from chain.twin.machine import Twin
from cocogen.errors import LedgerError
from cocogen.fees import Agreement, Gas
from cocogen.ledger import (
    PHASES,
    ZERO_ADDRESS,
    Contribution,
    Deployment,
    LedgerState,
    Receipt,
    Relayer,
    RoundOutcome,
    Ruling,
    SettlementTerms,
    Whereabouts,
)

__all__ = ["MemoryLedger", "MemoryProvider"]

BACKEND = "memory"


class _Clock:
    """Time and number of the latest operation."""

    def __init__(self, start: int) -> None:
        self.now = start
        self.operations = 0

    def tick(self) -> int:
        self.now += 1
        self.operations += 1
        return self.now


class MemoryProvider(EncodedProvider):
    """Ledgers in memory, with accounts derived from ``seed``.

    Parameters
    ----------
    seed
        Any integer; names and seed determine the accounts.
    start_time
        Unix seconds at which the clock starts.
    """

    def __init__(self, seed: int, *, start_time: int = 1_700_000_000) -> None:
        self._seed = seed
        self._clock = _Clock(start_time)
        self._ledgers: dict[str, MemoryLedger] = {}

    def account(self, name: str) -> str:
        """Return the address of an organization or of a role ("attester", "arbiter", "operator")."""
        return signatures.address_of(development_key(self._seed, name))

    def check_deployer(self) -> None:
        """Nothing has to be paid here."""

    def deploy(self, terms: SettlementTerms) -> MemoryLedger:
        """Start a consortium. Raises as :meth:`decode` does."""
        encoded = encode(terms)
        origin = f"CoCoGen ledger in memory {self._seed} {len(self._ledgers)}"
        address = checksum_address(keccak256(origin.encode())[-20:])
        twin = Twin(encoded, chain_id=MEMORY_CHAIN_ID, address=address)
        self._clock.tick()
        ledger = MemoryLedger(terms, twin, self._clock, self._seed)
        self._ledgers[address] = ledger
        return ledger

    def connect(self, terms: SettlementTerms, deployment: Deployment) -> MemoryLedger:
        """Return the ledger that this provider deployed under the deployment's address.

        Raises
        ------
        NoContract
            This provider has deployed no such ledger with these terms.
        """
        ledger = self._ledgers.get(deployment.address)
        if ledger is None or ledger.decoded.terms_hash != encode(terms).terms_hash:
            raise NoContract(
                f"there is no ledger with these terms in memory at {deployment.address}",
                hint="a ledger in memory ends with its process: deploy again, or use an embedded chain",
            )
        return ledger

    def inspect(self, terms: SettlementTerms, deployment: Deployment, *, receipts: bool = False) -> LedgerRecord:
        """Return everything an audit needs; NoContract as :meth:`connect` raises it. There are no ``receipts`` here."""
        del receipts
        return self.connect(terms, deployment).collect()

    def is_wallet(self, address: str) -> bool:
        """There are no contracts here."""
        del address
        return False

    def whereabouts(self, deployment: Deployment) -> Whereabouts:
        """Tell whether this provider holds the ledger."""
        return Whereabouts("there" if deployment.address in self._ledgers else "gone")

    local = True

    def before_sending(self, agreement: Agreement | None, *, rehearsal: bool = False) -> None:
        """Ask nobody: nothing is sent here. LedgerError for a rehearsal, which would change the ledger."""
        del agreement
        if rehearsal:
            raise LedgerError(
                "a ledger in memory sends nothing, so there is nothing to try out",
                hint="it ends with its process anyway; leave --dry-run out",
            )

    def gas_price(self) -> None:
        """Nothing is paid for here."""

    def spending(self, operation: str, name: str, gas: int) -> None:
        """Nothing is paid for here."""
        del operation, name, gas

    def ether(self, address: str) -> None:
        """There is no ether here."""
        del address

    def gas(self, members: int, *, token: bool) -> Gas:
        """What the same takes on a chain: :func:`chain.gas.measured_gas`."""
        return measured_gas(members, token=token)

    def close(self) -> None:
        """Forget all ledgers."""
        self._ledgers.clear()


class MemoryLedger(EncodedLedger):
    """One consortium in memory; see ``cocogen.ledger.Ledger`` for the operations.

    Index n is the n-th organization of the terms file. Receipts name the contract's functions and have neither
    transaction nor gas.
    """

    def __init__(self, terms: SettlementTerms, twin: Twin, clock: _Clock, seed: int) -> None:
        super().__init__(terms, twin.terms, twin.domain)
        self._twin = twin
        self._clock = clock
        self._seed = seed
        self._created = clock.operations
        self._log: list[LedgerEvent] = []
        self._names = {member.name: member.address for member in terms.members}
        self._names |= {"attester": terms.attester, "arbiter": terms.arbiter}

    @property
    def deployment(self) -> Deployment:
        """Where this ledger lives; good within its process only."""
        return Deployment(
            backend=BACKEND,
            address=self._twin.address,
            terms_hash="0x" + self._encoded.terms_hash.hex(),
            chain_id=MEMORY_CHAIN_ID,
            block=self._created,
        )

    def state(self) -> LedgerState:
        """Return a snapshot."""
        twin = self._twin
        live = twin.phase in (OPEN, RECORDED, DISPUTED)
        return LedgerState(
            round=twin.number,
            phase=PHASES[twin.phase],
            now=self._clock.now,
            deadline=twin.deadline if live else 0,
            relay_from=twin.relay_from if twin.phase == OPEN else 0,
            next_round_from=twin.idle_since + self._terms.minimum_gap if twin.idle_since else 0,
            accepted=self._flags(twin.accepted),
            solvent=self._flags(twin.solvent),
            exiting=self._flags(twin.exiting),
            participants=self._flags(twin.participants if twin.phase != IDLE else 0),
            submitted=self._flags(twin.submitted if twin.phase != IDLE else 0),
            balances=self._amounts(twin.balances),
            liabilities=self._decoded.liabilities,
            total_balance=twin.total_balance,
            ledger_hash=twin.ledger,
            disputant=self._encoded.organizations[twin.disputant] if twin.phase == DISPUTED else None,
            transfers_submitted=twin.transfers is not None,
        )

    def outcomes(self) -> tuple[RoundOutcome, ...]:
        """Return all rounds so far, oldest first."""
        return round_outcomes(self._log, self._encoded)

    def deposit(self, index: int, amount: int) -> Receipt:
        """Accept the terms and add ``amount`` wei to the member's bond."""
        position, sender = self._position(index), self._terms.members[index].address
        call = partial(self._twin.deposit_submit, value=amount)
        ether = amount if self._encoded.scalars.token == ZERO_ADDRESS else 0
        return self._execute("depositSubmit", call, sender, position, self._encoded.terms_hash, value=ether)

    def open_round(self) -> Receipt:
        """Open the next round as the attester."""
        return self._execute("roundOpen", self._twin.round_open, self._terms.attester)

    def submit(
        self, index: int, contribution: Contribution, attestation: bytes, *, sender: Relayer | None = None
    ) -> Receipt:
        """Hand in an attested contribution, as its organization or relayed by ``sender``."""
        position, caller = self._position(index), self._operator
        if sender != "operator":
            caller = self._terms.members[index if sender is None else self._organization(sender)].address
        parts = (*parts_of(contribution), contribution.evidence_hash, attestation)
        return self._execute("contributionSubmit", self._twin.contribution_submit, caller, position, *parts)

    def record(self) -> Receipt:
        """Freeze the round's contributions, or void the round."""
        return self._execute("profileRecord", self._twin.profile_record, self._operator)

    def submit_transfers(self, transfers: Sequence[int], evidence_hash: bytes, attestation: bytes) -> Receipt:
        """Hand in the transfers that the attester signed, wei per organization."""
        parts = (self._encoded.in_contract_order(transfers), evidence_hash, attestation)
        return self._execute("transfersSubmit", self._twin.transfers_submit, self._operator, *parts)

    def dispute(self, index: int, reason_hash: bytes) -> Receipt:
        """Dispute the recorded round within its window, which locks the organization's dispute bond."""
        position, sender = self._position(index), self._terms.members[index].address
        return self._execute("disputeRaise", self._twin.dispute_raise, sender, position, reason_hash)

    def resolve(self, ruling: Ruling, *, as_arbiter: bool = True) -> Receipt:
        """End the dispute as the arbiter, or, after its window, as the operator with the terms' default."""
        sender = self._terms.arbiter if as_arbiter else self._operator
        return self._execute("disputeResolve", self._twin.dispute_resolve, sender, ruling_number(ruling))

    def settle(self) -> RoundOutcome:
        """Calculate and transfer; goes on where an interrupted settlement stopped.

        In vector mode a round without transfers is voided instead, as the outcome's status says.
        """
        receipts = []
        if self._twin.phase != CALCULATED:
            receipts.append(self._execute("payoffCalculate", self._twin.payoff_calculate, self._operator))
        if self._twin.phase == CALCULATED:
            receipts.append(self._execute("payoffTransfer", self._twin.payoff_transfer, self._operator))
        return replace(self.outcomes()[-1], receipts=tuple(receipts))

    def withdraw(self, index: int, amount: int, *, to: str | None = None) -> Receipt:
        """Pay out of the organization's balance, to its own address unless ``to`` names another."""
        position, sender = self._position(index), self._terms.members[index].address
        recipient = sender if to is None else to
        return self._execute("withdraw", self._twin.withdraw, sender, position, amount, recipient)

    def exit(self, index: int, *, cancel: bool = False) -> Receipt:
        """Stay out of the next rounds, or take that back."""
        position, sender = self._position(index), self._terms.members[index].address
        if cancel:
            return self._execute("exitCancel", self._twin.exit_cancel, sender, position)
        return self._execute("exitRequest", self._twin.exit_request, sender, position)

    def advance(self, seconds: int) -> None:
        """Move the clock forward."""
        if seconds < 0:
            raise ArgumentOutOfRange("seconds", seconds, "a number of seconds from 0 on: the clock never goes back")
        self._clock.now += seconds

    def wait_until(self, timestamp: int) -> None:
        """Move the clock so that the next operation sees a time ≥ ``timestamp``."""
        self._clock.now = max(self._clock.now, timestamp - 1)

    def collect(self) -> LedgerRecord:
        """Return everything an audit needs."""
        return LedgerRecord(
            chain_id=MEMORY_CHAIN_ID,
            address=self._twin.address,
            runtime_code=None,
            blob_address=ZERO_ADDRESS,
            stand_ins_blob=self._encoded.stand_ins_blob,
            terms_blob=self._encoded.blob,
            created_block=self._created,
            created_transaction=None,
            attester_is_contract=False,
            events=tuple(self._log),
            storage=self._twin.storage(block=self._clock.operations),
        )

    def _number(self) -> int:
        return self._twin.number

    @property
    def _operator(self) -> str:
        return signatures.address_of(development_key(self._seed, "operator"))

    def _execute(
        self, operation: str, call: Callable[..., tuple[Event, ...]], sender: str, *arguments: Any, value: int = 0
    ) -> Receipt:
        # the clock stands still when the call is refused: nothing happened
        events = call(*arguments, sender=sender, time=self._clock.now + 1)
        time, block = self._clock.tick(), self._clock.operations
        caller, transaction = checksum_address(sender), f"operation {block}"
        for log_index, event in enumerate(events):
            self._log.append(
                LedgerEvent(event.name, event.args, block, time, transaction, log_index, sender=caller, value=value)
            )
        return Receipt(operation=operation, transaction=None, gas=None, time=time)

    def _key(self, name: str) -> bytes:
        key = development_key(self._seed, name)
        address = self._names.get(name)
        if address is not None and checksum_address(address) != signatures.address_of(key):
            raise MissingKey(checksum_address(address), name)
        return key
