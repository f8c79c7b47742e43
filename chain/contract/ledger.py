"""The ``Ledger`` protocol over the contract on any chain.

Organizations keep the order of the terms file; the contract's order (by address) stays inside. Whose key signs is
the rule of ``chain.keys.accounts``. Settlement can be interrupted between its two transactions and goes on where it
stopped.
Left out: deploying and connecting (``chain.contract.provider``), transactions and their errors
(``chain.contract.client``), encoding (``chain.encoding.codec``), what an auditor reads (``chain.contract.collect``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chain.abi import checksum_address
from chain.backends.failures import node_errors
from chain.contract.client import ConsortiumContract, Mined
from chain.contract.collect import REORGANIZATIONS, collect_record, is_past, reorganized
from chain.contract.funding import FundedAccounts
from chain.contract.price import Purpose
from chain.contract.token import Token
from chain.contract.transactions import ContractWallet, Sender
from chain.contract.wallets import is_contract, wallet_accepts
from chain.encoding import signatures
from chain.encoding.base import EncodedLedger, parts_of
from chain.encoding.states import CALCULATED, DISPUTED, IDLE, OPEN, RECORDED, ruling_number
from chain.encoding.terms import EncodedTerms
from chain.errors.chain import MissingKey, UnknownRevert
from chain.errors.contract import TransferFailed
from chain.gas import measured_gas
from chain.record.outcomes import round_outcomes
from chain.record.values import Event, LedgerRecord
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
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["ChainLedger"]


class ChainLedger(EncodedLedger):
    """One consortium's contract; see ``cocogen.ledger.Ledger`` for the operations.

    Index n is the n-th organization of the terms file. Receipts name the contract's functions.
    """

    def __init__(
        self,
        terms: SettlementTerms,
        encoded: EncodedTerms,
        contract: ConsortiumContract,
        deployment: Deployment,
        accounts: FundedAccounts,
    ) -> None:
        super().__init__(terms, encoded, signatures.Domain(deployment.chain_id, contract.address))
        self._contract = contract
        self._deployment = deployment
        self._accounts = accounts
        self._addresses = {member.name: checksum_address(member.address) for member in terms.members}
        self._events: list[Event] = []
        self._read_until = (-1, b"")
        self._snapshot: tuple[bytes, LedgerState] | None = None
        self._addresses |= {"attester": checksum_address(terms.attester), "arbiter": checksum_address(terms.arbiter)}

    @property
    def deployment(self) -> Deployment:
        """Where this consortium lives."""
        return self._deployment

    @property
    def contract(self) -> ConsortiumContract:
        """The typed client of the contract, in contract order."""
        return self._contract

    def _number(self) -> int:
        return self._contract.round().number

    def _key(self, name: str) -> bytes:
        return bytes(self._account(name).key)

    def state(self) -> LedgerState:
        """Return a snapshot of the latest block; asking again before the next block costs one query."""
        with node_errors():
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
            phase=PHASES[current.phase],
            now=now,
            deadline=current.deadline if current.phase in (OPEN, RECORDED, DISPUTED) else 0,
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
            disputant=self._encoded.organizations[current.disputant] if current.phase == DISPUTED else None,
            transfers_submitted=current.transfers_submitted,
        )

    def outcomes(self) -> tuple[RoundOutcome, ...]:
        """Return all rounds so far, oldest first, read from the contract's events.

        Only blocks that are new since the last call are read, unless the chain has taken back some that were.

        Raises
        ------
        ChainUnavailable
            The chain was reorganized again and again while it was read.
        """
        for _ in range(REORGANIZATIONS):
            if self._read_events():
                return round_outcomes(self._events, self._encoded)
            self._read_until, self._events = (-1, b""), []
        raise reorganized()

    def _read_events(self) -> bool:
        """Add the events of new blocks; whether they are still those of the chain's past."""
        eth = self._contract.backend.web3.eth
        with node_errors():
            head = eth.get_block("latest")
            number, block_hash = self._read_until
            if number > head["number"] or (number >= 0 and eth.get_block(number)["hash"] != block_hash):
                number, self._events = -1, []
            first = max(number + 1, self._deployment.block)
            if first <= head["number"]:
                self._events += [log.event for log in self._contract.logs(first, head["number"])]
                if not is_past(eth, head):
                    return False
            self._read_until = head["number"], bytes(head["hash"])
        return True

    def deposit(self, index: int, amount: int) -> Receipt:
        """Accept the terms and add ``amount`` to the member's bond.

        A local chain gives the member the ether. Tokens the member must hold; the contract is allowed to take exactly
        ``amount`` of them, in a transaction of its own where it may not yet.

        Raises
        ------
        InsufficientTokens
            The member holds fewer tokens; nothing was sent.
        UnsupportedToken
            What the terms name as the token is none, or keeps a part of what is transferred.
        AlreadySent
            An interrupted command deposited already; nothing was sent.
        """
        position, terms_hash = self._position(index), self._encoded.terms_hash
        in_ether = self._encoded.scalars.token == ZERO_ADDRESS
        account = self._member(index, amount if in_ether else 0)
        if not in_ether:
            self._contract.check_not_sent("depositSubmit", account=account)
            self._allow_deposit(position, amount, account)
        return _receipt(self._contract.deposit_submit(position, terms_hash, account=account, value=amount))

    def _allow_deposit(self, position: int, amount: int, account: Sender) -> None:
        """Approve the deposit, but not one that the consortium's own rules refuse."""
        arguments, _ = self._contract.deposit_arguments(position, self._encoded.terms_hash, amount)
        try:
            self._contract.call("depositSubmit", *arguments, sender=account.address)
        except (TransferFailed, UnknownRevert):
            token = Token(self._contract.backend, self._encoded.scalars.token)
            purpose = Purpose("depositSubmit", amount, self._deposit_gas(position))
            token.allow(self._contract.address, amount, account=account, purpose=purpose)

    def _deposit_gas(self, position: int) -> int:
        """What a deposit of tokens takes, which no node can estimate before it is approved."""
        known = measured_gas(len(self._encoded.members), token=True)
        if self._contract.view("balanceOf", position):
            return known.deposit
        return known.first_deposit + (0 if self._contract.view("totalBalance") else known.founding)

    def open_round(self) -> Receipt:
        """Open the next round as the attester."""
        return _receipt(self._contract.round_open(account=self._sender("attester")))

    def submit(
        self, index: int, contribution: Contribution, attestation: bytes, *, sender: Relayer | None = None
    ) -> Receipt:
        """Hand in an attested contribution, as its organization or relayed by ``sender``."""
        position = self._position(index)
        parts = (*parts_of(contribution), contribution.evidence_hash, attestation)
        account = (
            self._sender("operator") if sender == "operator" else self._member(index if sender is None else sender)
        )
        return _receipt(self._contract.contribution_submit(position, *parts, account=account))

    def record(self) -> Receipt:
        """Freeze the round's contributions, or void the round."""
        return _receipt(self._contract.profile_record(account=self._sender("operator")))

    def submit_transfers(self, transfers: Sequence[int], evidence_hash: bytes, attestation: bytes) -> Receipt:
        """Hand in the transfers that the attester signed, wei per organization."""
        ordered, operator = self._encoded.in_contract_order(transfers), self._sender("operator")
        return _receipt(self._contract.transfers_submit(ordered, evidence_hash, attestation, account=operator))

    def dispute(self, index: int, reason_hash: bytes) -> Receipt:
        """Dispute the recorded round within its window, which locks the organization's dispute bond."""
        position, account = self._position(index), self._member(index)
        return _receipt(self._contract.dispute_raise(position, reason_hash, account=account))

    def resolve(self, ruling: Ruling, *, as_arbiter: bool = True) -> Receipt:
        """End the dispute as the arbiter, or, after its window, as the operator with the terms' default."""
        number, account = ruling_number(ruling), self._sender("arbiter" if as_arbiter else "operator")
        return _receipt(self._contract.dispute_resolve(number, account=account))

    def settle(self) -> RoundOutcome:
        """Calculate and transfer; goes on where an interrupted settlement stopped.

        In vector mode a round without transfers is voided instead, as the outcome's status says. ``receipts`` of the
        outcome are those of the transactions that this call sent.
        """
        operator = self._sender("operator")
        receipts = []
        if self._contract.round().phase != CALCULATED:
            receipts.append(_receipt(self._contract.payoff_calculate(account=operator)))
        if self._contract.round().phase == CALCULATED:
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

    def advance(self, seconds: int) -> None:
        """Move a local chain's clock forward, for every process that uses the chain and for good."""
        self._contract.backend.advance(seconds)

    def wait_until(self, timestamp: int) -> None:
        """Return when the next operation will see a time ≥ ``timestamp``: local chains jump."""
        self._contract.backend.wait_until(timestamp)

    def _is_signed(self, address: str, digest: bytes, signature: bytes) -> bool:
        web3 = self._contract.backend.web3
        if is_contract(web3, address):
            return wallet_accepts(web3, address, digest, signature)
        return super()._is_signed(address, digest, signature)

    def collect(self, *, receipts: bool = False) -> LedgerRecord:
        """Return everything an audit needs, as of the latest block; ``receipts`` adds gas and status."""
        transaction = self._deployment.details.get("transaction")
        return collect_record(
            self._contract,
            created_block=self._deployment.block,
            created_transaction=None if transaction is None else str(transaction),
            receipts=receipts,
        )

    def _account(self, name: str) -> LocalAccount:
        address = self._addresses.get(name)
        try:
            return self._accounts.signer(name, address)
        except MissingKey:
            if address is not None and is_contract(self._contract.backend.web3, address):
                raise MissingKey(address, name, wallet=True) from None
            raise

    def _sender(self, name: str, value: int = 0) -> Sender:
        try:
            return self._accounts.ready(self._account(name), value)
        except MissingKey as error:
            if error.wallet:
                return ContractWallet(name, error.address)
            raise

    def _member(self, index: int, value: int = 0) -> Sender:
        return self._sender(self._terms.members[self._organization(index)].name, value)


def _receipt(mined: Mined) -> Receipt:
    return Receipt(operation=mined.operation, transaction=mined.transaction, gas=mined.gas, time=mined.time)
