"""Consortia on one chain: deploying, connecting to what is deployed, and whose accounts send.

A connection makes sure that it meets the shipped contract with exactly the agreed terms; an audit takes whatever it
finds and judges it. Left out: the operations of one consortium (``chain.contract.ledger``), which key belongs to whom
(``chain.keys.accounts``) and with what money it sends (``chain.contract.funding``).
"""

from __future__ import annotations

from chain.abi import checksum_address
from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.backends.journal import Journal
from chain.contract.bytecode import in_layout_of, is_artifact_code, shipped_artifact
from chain.contract.client import ConsortiumContract
from chain.contract.creation import check_creation, whereabouts
from chain.contract.funding import FundedAccounts
from chain.contract.ledger import ChainLedger
from chain.contract.price import Purpose, present_price, spending
from chain.contract.wallets import is_contract
from chain.encoding.base import EncodedProvider
from chain.encoding.codec import encode
from chain.encoding.terms import EncodedTerms
from chain.errors.chain import ArtifactMismatch, DeploymentRecordWrong, NoContract, WrongChain
from chain.errors.contract import TermsMismatch
from chain.gas import measured_gas
from chain.keys.accounts import Accounts, KeySource
from chain.record.values import LedgerRecord
from cocogen.fees import Agreement, Gas, Spending
from cocogen.ledger import Deployment, SettlementTerms, Whereabouts

__all__ = ["ChainProvider"]


class ChainProvider(EncodedProvider):
    """Consortia on one chain. Closing it closes the backend.

    Parameters
    ----------
    backend
        An open chain; the provider owns it from here on.
    seed
        Any integer; names and seed determine the development accounts.
    keys
        Keystores, for addresses that the terms name and for chains that are not local.
    journal
        Where deposits, withdrawals and deployments are written down before they are sent; by default in memory.
    """

    def __init__(
        self, backend: Backend, seed: int, keys: KeySource | None = None, journal: Journal | None = None
    ) -> None:
        self._backend = backend
        if journal is not None:
            backend.journal = journal
        accounts = Accounts(seed, local=backend.local, source=keys)
        self._addresses = accounts
        self._accounts = FundedAccounts(backend, accounts)

    @property
    def backend(self) -> Backend:
        """The chain."""
        return self._backend

    def account(self, name: str) -> str:
        """Return the address of an organization or of a role ("attester", "arbiter", "operator").

        A contract wallet that the terms name counts as it is. No password is needed. Raises what
        :meth:`chain.keys.accounts.Accounts.address` raises.
        """
        stated = self._addresses.stated(name)
        if stated is not None and is_contract(self._backend.web3, stated):
            return stated
        return self._addresses.address(name)

    def check_deployer(self) -> None:
        """See that the operator's key opens and that its account holds ether.

        Raises what :meth:`chain.keys.accounts.Accounts.signer` and :meth:`chain.contract.funding.FundedAccounts.ready`
        raise.
        """
        self._accounts.ready(self._accounts.signer("operator"))

    def deploy(self, terms: SettlementTerms) -> ChainLedger:
        """Put a consortium on the chain, paid by the operator; one that an interrupted call put there is gone on with.

        Raises
        ------
        UnencodableTerms, ContractError
            As :meth:`decode` does; UnsupportedToken where the terms' token is no contract on this chain.
        """
        encoded = encode(terms)
        deployer = self._accounts.ready(self._accounts.signer("operator"))
        contract, mined = ConsortiumContract.deploy(self._backend, encoded, deployer)
        deployment = Deployment(
            backend=self._backend.location,
            address=contract.address,
            terms_hash="0x" + encoded.terms_hash.hex(),
            chain_id=self._backend.chain_id,
            block=mined.block,
            details={"transaction": mined.transaction, "gas": mined.gas, "time": mined.time},
        )
        return ChainLedger(terms, encoded, contract, deployment, self._accounts)

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
        if deployment.chain_id != self._backend.chain_id:
            raise WrongChain(
                f"the consortium is deployed on chain {deployment.chain_id}, but {self._backend.location} is chain "
                f"{self._backend.chain_id}",
                hint=f"connect to the chain of the deployment record: {deployment.backend}",
            )
        encoded, contract, code = self._contract(terms, deployment)
        if not is_artifact_code(code, shipped_artifact(encoded)):
            raise ArtifactMismatch(
                f"the code at {deployment.address} is not that of the shipped {encoded.contract_name}",
                hint="do not deposit; connect with the version of CoCoGen that deployed it, or deploy again",
            )
        for given in (encoded.terms_hash, bytes.fromhex(deployment.terms_hash.removeprefix("0x"))):
            if given != contract.terms_hash:
                raise TermsMismatch(given, contract.terms_hash)
        return ChainLedger(terms, encoded, contract, deployment, self._accounts)

    def inspect(self, terms: SettlementTerms, deployment: Deployment, *, receipts: bool = False) -> LedgerRecord:
        """Return everything an audit needs without judging it, unlike :meth:`connect`: that is the audit's task.

        ``receipts`` adds gas and status to the events, at one more query for every transaction.

        Raises
        ------
        NoContract
            There is no code at the address.
        WrongChain, DeploymentRecordWrong
            The chain contradicts the deployment record, which lies on somebody's disk: that is nobody's ledger.
        ChainUnavailable
            The chain does not hold still, or the node does not answer.
        """
        encoded, contract, _ = self._contract(terms, deployment)
        record = ChainLedger(terms, encoded, contract, deployment, self._accounts).collect(receipts=receipts)
        check_creation(self._backend, deployment)
        if record.storage.terms_hash == encoded.terms_hash != bytes.fromhex(deployment.terms_hash[2:]):
            raise DeploymentRecordWrong(
                f"the deployment record names the terms {deployment.terms_hash}; the ledger holds the agreed ones, "
                f"0x{encoded.terms_hash.hex()}",
                hint="restore deployment.json from a copy",
            )
        return record

    def is_wallet(self, address: str) -> bool:
        """Tell whether there is a contract at an address, which answers for its signatures itself (EIP-1271)."""
        return is_contract(self._backend.web3, address)

    def whereabouts(self, deployment: Deployment) -> Whereabouts:
        """Find out whether a deployment is there, under way or gone; raises as
        :func:`chain.contract.creation.whereabouts`."""
        return whereabouts(self._backend, deployment)

    @property
    def local(self) -> bool:
        """Whether the chain's money is worthless, and its clock can be moved."""
        return self._backend.local

    def before_sending(self, agreement: Agreement | None, *, rehearsal: bool = False) -> None:
        """Have every transaction agreed to before it is signed; see :class:`cocogen.fees.Paying`.

        On a chain that is not local, TooLittleEther comes before the question: from an account that does not hold what
        the gas can cost at most.
        """
        self._backend.agreement = agreement
        self._accounts.rehearsal = rehearsal

    def gas_price(self) -> int:
        """Wei for a unit of gas in the next block."""
        with node_errors():
            return present_price(self._backend.web3.eth)

    def spending(self, operation: str, name: str, gas: int) -> Spending:
        """What sending so much gas takes from the account of a role, whose key must open.

        Raises what :meth:`check_deployer` and :func:`chain.contract.transactions.spending` raise.
        """
        account = self._accounts.ready(self._accounts.signer(name))
        return spending(self._backend, Purpose(operation, 0, 0), account.address, gas)

    def ether(self, address: str) -> int:
        """Wei of ether that an account holds."""
        with node_errors():
            return int(self._backend.web3.eth.get_balance(checksum_address(address)))  # type: ignore[arg-type]

    def gas(self, members: int, *, token: bool) -> Gas:
        """Gas of a consortium's operations, as measured: :func:`chain.contract.gas.measured_gas`."""
        return measured_gas(members, token=token)

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    def _contract(
        self, terms: SettlementTerms, deployment: Deployment
    ) -> tuple[EncodedTerms, ConsortiumContract, bytes]:
        """Return the terms in the layout of what is deployed, its client and its code."""
        encoded = encode(terms)
        contract = ConsortiumContract(self._backend, deployment.address, name=encoded.contract_name)
        code = contract.code()
        if not code:
            raise NoContract(
                f"there is no contract at {deployment.address} on {self._backend.location}",
                hint=f"connect to the chain of the deployment record: {deployment.backend}; if a reorganization took "
                "it back, `cocogen deploy` finds out and goes on",
            )
        recorded = bytes.fromhex(deployment.terms_hash.removeprefix("0x"))
        return in_layout_of(encoded, code, recorded), contract, code
