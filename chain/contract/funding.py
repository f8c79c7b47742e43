"""Accounts that can pay for what they send: on a local chain they are filled with ether first.

Left out: which key belongs to whom (``chain.keys.accounts``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.errors.chain import TooLittleEther
from chain.keys.accounts import Accounts

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["FundedAccounts"]

_GAS_LOW = 10**17
"""Wei below which a local account is filled up; the dearest transaction, a deployment, costs a tenth of it."""
_GAS_MONEY = 10**18
"""Wei for gas after filling up: thousands of transactions."""


class FundedAccounts:
    """One consortium's accounts on one chain, whose money is worthless on a local chain and must be there on others."""

    def __init__(self, backend: Backend, accounts: Accounts) -> None:
        self._backend = backend
        self._accounts = accounts

    rehearsal = False
    """Whether nothing will be sent, so that no local account is filled up but for estimates."""

    def signer(self, name: str, address: str | None = None) -> LocalAccount:
        """Return the account that signs for ``name``; see :meth:`chain.keys.accounts.Accounts.signer`."""
        return self._accounts.signer(name, address)

    def ready(self, account: LocalAccount, value: int = 0) -> LocalAccount:
        """Return the account once it holds more than ``value`` wei; on a local chain it is filled up for gas.

        Raises
        ------
        TooLittleEther
            It holds no more than ``value``, and nobody here can fill it.
        """
        with node_errors():
            balance = self._backend.web3.eth.get_balance(account.address)
        if self._backend.local and balance < value + _GAS_LOW:
            (self._backend.assume if self.rehearsal else self._backend.fund)(account.address, value + _GAS_MONEY)
        elif balance <= value:
            raise TooLittleEther(account.address, balance, value)
        return account
