"""Development accounts: keys that anyone can derive, for local chains and tests only.

A seed and a name give the same account everywhere, so that local runs need no key files and can be repeated. Such
keys are worthless outside local chains: whoever reads the terms file knows them. Keystores for real money are not
here. Nothing in this module prints a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain.abi import keccak256

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["development_account", "development_key"]

_PURPOSE = b"CoCoGen development account, worthless outside local chains"


def development_key(seed: int, name: str) -> bytes:
    """Return the 32-byte private key of a development account: keccak-256 of purpose, seed and name.

    ``seed`` is any integer; ``name`` an organization's name or a role ("attester", "arbiter", "operator").
    """
    # a digest outside [1, group order) has probability 2^-127, below that of guessing a key
    return keccak256(b"\0".join((_PURPOSE, str(seed).encode(), name.encode())))


def development_account(seed: int, name: str) -> LocalAccount:
    """Return the ``eth_account`` signer of a development account, which signs transactions too."""
    # eth_account takes most of a second to import, and the in-memory ledger never needs it
    from eth_account import Account

    account: LocalAccount = Account.from_key(development_key(seed, name))
    return account
