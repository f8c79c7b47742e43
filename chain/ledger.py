"""The ``Ledger`` protocol over the contract on any chain.

Organizations keep the order of the terms file; the contract's order (by address) stays inside. Accounts derive from
the seed (``chain.keys``). On a local chain every sender is given ether for value and gas before it sends, deposits
included, since money is worthless there; on any other chain an account must hold it already. Settlement can be
interrupted between its two transactions and goes on where it stopped. Left out: transactions and their errors
(``chain.contract``), encoding (``chain.arithmetic``), what an auditor reads (``chain.collect``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chain import attestation
from chain.abi import checksum_address
from chain.arithmetic import decode, encode, predict
from chain.backends.base import Backend
from chain.build import load_artifact
from chain.bytecode import is_artifact_code
from chain.collect import collect_record
from chain.contract import CONTRACT_NAME, ConsortiumContract, Mined
from chain.errors import ArgumentOutOfRange, ArtifactMismatch, MissingKey, NoContract, TermsMismatch, WrongChain
from chain.history import round_outcomes
from chain.keys import development_account
from chain.record import Event, LedgerRecord
from chain.terms import EncodedTerms, check_terms
from chain.twin import CALCULATED, IDLE, OPEN, RECORDED, bits
from cocogen.ledger import (
    Contribution,
    DecodedTerms,
    Deployment,
    LedgerState,
    Phase,
    Receipt,
    RoundOutcome,
    SettlementTerms,
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["ChainLedger", "ChainProvider"]

_PHASES: tuple[Phase, ...] = ("idle", "open", "recorded", "calculated")

_GAS_LOW = 10**17
"""Wei below which a local account is filled up; the dearest transaction, a deployment, costs a tenth of it."""
_GAS_MONEY = 10**18
"""Wei for gas after filling up: thousands of transactions."""


class ChainProvider:
    """Consortia on one chain, with accounts derived from ``seed``. Closing it closes the backend.

    Parameters
    ----------
    backend
        An open chain; the provider owns it from here on.
    seed
        Any integer; names and seed determine the accounts.
    """

    def __init__(self, backend: Backend, seed: int) -> None:
        self._backend = backend
        self._wallet = _Wallet(backend, seed)

    @property
    def backend(self) -> Backend:
        """The chain."""
        return self._backend

    def account(self, name: str) -> str:
        """Return the address of an organization or of a role ("attester", "arbiter", "operator")."""
        return self._wallet.account(name).address

    def decode(self, terms: SettlementTerms) -> DecodedTerms:
        """Return what the terms become on the ledger.

        Raises
        ------
        UnencodableTerms, ContractError
            They do not fit the contract's integers, or break one of its rules.
        """
        encoded = encode(terms)
        check_terms(encoded)
        return decode(encoded)

    def deploy(self, terms: SettlementTerms) -> ChainLedger:
        """Put a consortium on the chain, paid by the operator. Raises as :meth:`decode` does."""
        encoded = encode(terms)
        deployer = self._wallet.ready(self._wallet.account("operator"))
        contract, mined = ConsortiumContract.deploy(self._backend, encoded, deployer)
        deployment = Deployment(
            backend=self._backend.location,
            address=contract.address,
            terms_hash="0x" + encoded.terms_hash.hex(),
            chain_id=self._backend.chain_id,
            block=mined.block,
            details={"transaction": mined.transaction, "gas": mined.gas, "time": mined.time},
        )
        return ChainLedger(terms, encoded, contract, deployment, self._wallet)

    def connect(self, terms: SettlementTerms, deployment: Deployment) -> ChainLedger:
        """Connect to a deployed consortium, after making sure that it is the shipped contract with these terms.

        Raises
        ------
        WrongChain
            The chain has another identifier than the deployment names.
        NoContract
            There is no code at the address.
        ArtifactMismatch
            The code is not that of the shipped contract.
        TermsMismatch
            The contract holds other terms than these, or than the deployment names.
        """
        encoded = encode(terms)
        if deployment.chain_id != self._backend.chain_id:
            raise WrongChain(
                f"the consortium is deployed on chain {deployment.chain_id}, but {self._backend.location} is chain "
                f"{self._backend.chain_id}",
                hint=f"connect to the chain of the deployment record: {deployment.backend}",
            )
        contract, code = self._contract(deployment)
        if not is_artifact_code(code, load_artifact(CONTRACT_NAME)):
            raise ArtifactMismatch(
                f"the code at {deployment.address} is not that of the shipped {CONTRACT_NAME}",
                hint="do not deposit; connect with the version of CoCoGen that deployed it, or deploy again",
            )
        for given in (encoded.terms_hash, bytes.fromhex(deployment.terms_hash.removeprefix("0x"))):
            if given != contract.terms_hash:
                raise TermsMismatch(given, contract.terms_hash)
        return ChainLedger(terms, encoded, contract, deployment, self._wallet)

    def inspect(self, terms: SettlementTerms, deployment: Deployment) -> LedgerRecord:
        """Return everything an audit needs without judging it, unlike :meth:`connect`: that is the audit's task.

        Raises
        ------
        NoContract
            There is no code at the address.
        """
        contract, _ = self._contract(deployment)
        return ChainLedger(terms, encode(terms), contract, deployment, self._wallet).collect()

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    def _contract(self, deployment: Deployment) -> tuple[ConsortiumContract, bytes]:
        contract = ConsortiumContract(self._backend, deployment.address)
        code = contract.code()
        if not code:
            raise NoContract(
                f"there is no contract at {deployment.address} on {self._backend.location}",
                hint=f"connect to the chain of the deployment record: {deployment.backend}",
            )
        return contract, code


class ChainLedger:
    """One consortium's contract; see ``cocogen.ledger.Ledger`` for the operations.

    Index n is the n-th organization of the terms file. Receipts name the contract's functions.
    """

    def __init__(
        self,
        terms: SettlementTerms,
        encoded: EncodedTerms,
        contract: ConsortiumContract,
        deployment: Deployment,
        wallet: _Wallet,
    ) -> None:
        self._terms = terms
        self._encoded = encoded
        self._decoded = decode(encoded)
        self._contract = contract
        self._deployment = deployment
        self._wallet = wallet
        self._domain = attestation.Domain(deployment.chain_id, contract.address)
        self._addresses = {member.name: checksum_address(member.address) for member in terms.members}
        self._events: list[Event] = []
        self._read_until = (-1, b"")
        self._snapshot: tuple[bytes, LedgerState] | None = None
        self._addresses |= {"attester": checksum_address(terms.attester), "arbiter": checksum_address(terms.arbiter)}

    @property
    def terms(self) -> SettlementTerms:
        """The terms as agreed."""
        return self._terms

    @property
    def encoded(self) -> EncodedTerms:
        """The terms as integers."""
        return self._encoded

    @property
    def decoded(self) -> DecodedTerms:
        """The floats that the integers stand for."""
        return self._decoded

    @property
    def deployment(self) -> Deployment:
        """Where this consortium lives."""
        return self._deployment

    @property
    def contract(self) -> ConsortiumContract:
        """The typed client of the contract, in contract order."""
        return self._contract

    def state(self) -> LedgerState:
        """Return a snapshot of the latest block; asking again before the next block costs one query."""
        head = self._contract.backend.web3.eth.get_block("latest")
        if self._snapshot is None or self._snapshot[0] != bytes(head["hash"]):
            self._snapshot = bytes(head["hash"]), self._state(head["number"], head["timestamp"])
        return self._snapshot[1]

    def _state(self, block: int, now: int) -> LedgerState:
        contract, scalars = self._contract, self._encoded.scalars
        current = contract.round(block=block)
        live = current.phase != IDLE
        relay_from = current.deadline - scalars.submit_window + scalars.submit_window // 2
        return LedgerState(
            round=current.number,
            phase=_PHASES[current.phase],
            now=now,
            deadline=current.deadline if current.phase in (OPEN, RECORDED) else 0,
            relay_from=relay_from if current.phase == OPEN else 0,
            next_round_from=current.idle_since + scalars.min_gap if current.idle_since else 0,
            accepted=self._flags(contract.view("accepted", block=block)),
            solvent=self._flags(contract.view("solvent", block=block)),
            exiting=self._flags(contract.view("exiting", block=block)),
            participants=self._flags(current.participants if live else 0),
            submitted=self._flags(current.submitted if live else 0),
            balances=self._amounts(contract.balances(block=block)),
            liabilities=self._decoded.liabilities,
            total_balance=contract.view("totalBalance", block=block),
            ledger_hash=bytes(contract.view("ledger", block=block)),
        )

    def outcomes(self) -> tuple[RoundOutcome, ...]:
        """Return all rounds so far, oldest first, read from the contract's events.

        Only blocks that are new since the last call are read, unless the chain has taken back some that were.
        """
        eth = self._contract.backend.web3.eth
        head = eth.get_block("latest")
        number, block_hash = self._read_until
        if number > head["number"] or (number >= 0 and eth.get_block(number)["hash"] != block_hash):
            number, self._events = -1, []
        first = max(number + 1, self._deployment.block)
        if first <= head["number"]:
            self._events += [log.event for log in self._contract.logs(first, head["number"])]
        self._read_until = head["number"], bytes(head["hash"])
        return round_outcomes(self._events, self._encoded)

    def deposit(self, index: int, amount: int) -> Receipt:
        """Accept the terms and add ``amount`` wei to the member's bond; a local chain gives the member the ether."""
        position, terms_hash = self._position(index), self._encoded.terms_hash
        account = self._member(index, amount)
        return _receipt(self._contract.deposit_submit(position, terms_hash, account=account, value=amount))

    def open_round(self) -> Receipt:
        """Open the next round as the attester."""
        return _receipt(self._contract.round_open(account=self._sender("attester")))

    def attest(self, index: int, contribution: Contribution) -> bytes:
        """Return the attester's signature over a contribution to the current round.

        Raises
        ------
        MissingKey
            The terms name an attester whose key is not derived from the seed.
        """
        member = self._encoded.members[self._position(index)].account
        struct_hash = attestation.contribution_struct_hash(
            self._encoded.terms_hash,
            self._contract.round().number,
            member,
            *_parts(contribution),
            contribution.evidence_hash,
        )
        return attestation.sign(self._domain.digest(struct_hash), bytes(self._account("attester").key))

    def submit(
        self, index: int, contribution: Contribution, attestation: bytes, *, sender: int | None = None
    ) -> Receipt:
        """Hand in an attested contribution, as its organization or relayed by organization ``sender``."""
        position = self._position(index)
        parts = (*_parts(contribution), contribution.evidence_hash, attestation)
        account = self._member(index if sender is None else sender)
        return _receipt(self._contract.contribution_submit(position, *parts, account=account))

    def record(self) -> Receipt:
        """Freeze the round's contributions, or void the round."""
        return _receipt(self._contract.profile_record(account=self._sender("operator")))

    def settle(self) -> RoundOutcome:
        """Calculate and transfer; goes on where an interrupted settlement stopped.

        ``receipts`` of the outcome are those of the transactions that this call sent.
        """
        operator = self._sender("operator")
        receipts = []
        if self._contract.round().phase != CALCULATED:
            receipts.append(_receipt(self._contract.payoff_calculate(account=operator)))
        receipts.append(_receipt(self._contract.payoff_transfer(account=operator)))
        return replace(self.outcomes()[-1], receipts=tuple(receipts))

    def withdraw(self, index: int, amount: int, *, to: str | None = None) -> Receipt:
        """Pay out of the organization's balance, to its own address unless ``to`` names another."""
        position, account = self._position(index), self._member(index)
        return _receipt(self._contract.withdraw(position, amount, to or account.address, account=account))

    def exit(self, index: int, *, cancel: bool = False) -> Receipt:
        """Stay out of the next rounds, or take that back."""
        position, account = self._position(index), self._member(index)
        call: Callable[..., Mined] = self._contract.exit_cancel if cancel else self._contract.exit_request
        return _receipt(call(position, account=account))

    def predict(self, contributions: Sequence[Contribution | None]) -> tuple[int, ...]:
        """Return the transfers in wei to which exactly these contributions settle (None: masked)."""
        return predict(self._encoded, [None if c is None else _parts(c) for c in contributions])

    def advance(self, seconds: int) -> None:
        """Move a local chain's clock forward, for every process that uses the chain and for good."""
        self._contract.backend.advance(seconds)

    def wait_until(self, timestamp: int) -> None:
        """Return when the next operation will see a time ≥ ``timestamp``: local chains jump."""
        self._contract.backend.wait_until(timestamp)

    def sign(self, name: str, digest: bytes) -> bytes:
        """Return the signature of an evidence bundle's digest by the named organization or role.

        Raises
        ------
        MissingKey
            The terms give that name an address whose key is not derived from the seed.
        """
        return attestation.sign(self._domain.evidence_digest(digest), bytes(self._account(name).key))

    def recover(self, digest: bytes, signature: bytes) -> str:
        """Return the address that signed an evidence bundle's digest; MalformedSignature when none can have."""
        return attestation.recover(self._domain.evidence_digest(digest), signature)

    def collect(self) -> LedgerRecord:
        """Return everything an audit needs, as of the latest block."""
        transaction = self._deployment.details.get("transaction")
        return collect_record(
            self._contract,
            created_block=self._deployment.block,
            created_transaction=None if transaction is None else str(transaction),
        )

    def _account(self, name: str) -> LocalAccount:
        account = self._wallet.account(name)
        address = self._addresses.get(name, account.address)
        if address != account.address:
            raise MissingKey(address, name)
        return account

    def _sender(self, name: str, value: int = 0) -> LocalAccount:
        return self._wallet.ready(self._account(name), value)

    def _member(self, index: int, value: int = 0) -> LocalAccount:
        return self._sender(self._terms.members[self._organization(index)].name, value)

    def _organization(self, index: int) -> int:
        if not 0 <= index < len(self._terms.members):
            raise ArgumentOutOfRange("organization", index, f"an index from 0 to {len(self._terms.members) - 1}")
        return index

    def _position(self, index: int) -> int:
        return self._encoded.positions[self._organization(index)]

    def _flags(self, bitmap: int) -> tuple[bool, ...]:
        flags = bits(bitmap, len(self._encoded.members))
        return tuple(flags[position] for position in self._encoded.positions)

    def _amounts(self, by_position: Sequence[int]) -> tuple[int, ...]:
        return tuple(by_position[position] for position in self._encoded.positions)


class _Wallet:
    """Development accounts, filled with ether on a local chain before they send."""

    def __init__(self, backend: Backend, seed: int) -> None:
        self._backend = backend
        self._seed = seed
        self._accounts: dict[str, LocalAccount] = {}

    def account(self, name: str) -> LocalAccount:
        if name not in self._accounts:
            self._accounts[name] = development_account(self._seed, name)
        return self._accounts[name]

    def ready(self, account: LocalAccount, value: int = 0) -> LocalAccount:
        if self._backend.local and self._backend.web3.eth.get_balance(account.address) < value + _GAS_LOW:
            self._backend.fund(account.address, value + _GAS_MONEY)
        return account


def _receipt(mined: Mined) -> Receipt:
    return Receipt(operation=mined.operation, transaction=mined.transaction, gas=mined.gas, time=mined.time)


def _parts(contribution: Contribution) -> tuple[int, int, int]:
    return contribution.data, contribution.generated, contribution.compute
