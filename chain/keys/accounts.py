"""Whose key signs: the one rule that gives every name an account.

- The account of an organization or role ("operator", "attester", "arbiter") is the keystore of that name in the key
  folder. Where the terms name its address, the keystore must hold that address, and may have any name.
- On a local chain a name whose address the terms leave open is a development account, derived from the seed.
- On any other chain development accounts are refused: everybody who reads the terms file knows their keys.

Addresses are told without passwords, but for files of other clients that name none; a password is asked for once per
process and keystore, when it has to sign.
Left out: the files themselves (``chain.keys.keystores``) and sending ether to anybody (``chain.contract.ledger``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chain.abi import checksum_address
from chain.encoding.signatures import address_of
from chain.errors.chain import MissingKey
from chain.errors.keys import DevelopmentKeyRefused
from chain.keys.keystores import KeyFolder, Keystore, development_account, development_key

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["WELL_KNOWN", "Accounts", "KeySource"]

WELL_KNOWN = frozenset(
    {
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
        "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
        "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
        "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
        "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
        "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
    }
)
"""The accounts of "test test test … junk", which anvil and hardhat print when they start."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where keys come from: a folder, a way to learn a keystore's password, and the addresses that terms name.

    ``addresses`` maps names of organizations and roles to 0x addresses; names whose address is open are left out.
    """

    folder: KeyFolder
    password: Callable[[Keystore], str]
    addresses: Mapping[str, str] = field(default_factory=dict)


class Accounts:
    """The accounts of one consortium on one chain.

    Parameters
    ----------
    seed
        Any integer; development accounts derive from it.
    local
        Whether the chain's money is worthless.
    source
        Keystores; without one only development accounts exist.
    """

    def __init__(self, seed: int, *, local: bool, source: KeySource | None = None) -> None:
        self._seed = seed
        self._local = local
        self._folder = source.folder if source else None
        self._source = source
        stated = source.addresses if source else {}
        self._stated = {name: checksum_address(address) for name, address in stated.items()}
        self._signers: dict[str, LocalAccount] = {}
        self._open: dict[Path, LocalAccount] = {}

    def stated(self, name: str) -> str | None:
        """The address that the terms name for an organization or role, None where they leave it open."""
        return self._stated.get(name)

    def address(self, name: str) -> str:
        """Return the address of an organization or role.

        On a local chain an address that the terms name counts only if a keystore holds it: nobody else could sign
        there. On any other chain it counts as it is: its owner signs elsewhere.

        Raises
        ------
        MissingKey
            The terms name none, and there is no keystore of this name (only on a chain that is not local).
        DevelopmentKeyRefused
            It is that of a development account, and the chain is not local.
        MalformedKeystore
            The keystore is damaged.
        """
        development = address_of(development_key(self._seed, name))
        stated = self._stated.get(name)
        if self._local:
            foreign = stated is not None and stated != development and self._keystore(name, stated)
            return stated if stated is not None and foreign else development
        if stated is None:
            keystore = self._keystore(name, None)
            if keystore is None or self._source is None:
                raise self._missing("", name)
            # some clients' files do not say which account they hold
            stated = keystore.address or self._opened(keystore, self._source).address
        return self._not_public(stated, name, development)

    def signer(self, name: str, address: str | None = None) -> LocalAccount:
        """Return the account that signs for ``name``; ``address``: the one that the deployed terms give it.

        Raises what :meth:`address` raises, MissingKey also where nobody here has the key of ``address``, and what
        the password source raises (WrongPassword, PasswordMissing).
        """
        development = address_of(development_key(self._seed, name))
        wanted = self.address(name) if address is None else checksum_address(address)
        if not self._local:
            self._not_public(wanted, name, development)
        if wanted not in self._signers:
            self._signers[wanted] = self._unlocked(name, wanted, development)
        return self._signers[wanted]

    def _unlocked(self, name: str, wanted: str, development: str) -> LocalAccount:
        if wanted == development:
            return development_account(self._seed, name)
        keystore = self._keystore(name, wanted)
        if keystore is None or self._source is None:
            raise self._missing(wanted, name)
        account = self._opened(keystore, self._source)
        if account.address != wanted:
            raise self._missing(wanted, name)
        return account

    def _opened(self, keystore: Keystore, source: KeySource) -> LocalAccount:
        if keystore.path not in self._open:
            self._open[keystore.path] = source.folder.load(keystore, source.password(keystore))
        return self._open[keystore.path]

    def _keystore(self, name: str, address: str | None) -> Keystore | None:
        return self._folder.find(name, address) if self._folder else None

    def _not_public(self, address: str, name: str, development: str) -> str:
        if address in WELL_KNOWN:
            raise DevelopmentKeyRefused(
                f"{address}, stated for {name}, is an account that development nodes print: everybody has its key",
                hint=f"create a key of your own with `cocogen keys new {name}`, and name its address in the terms",
            )
        if address == development:
            raise DevelopmentKeyRefused(
                f"{address} is the development account of {name}: everybody who knows the seed has its key",
                hint=f"create a key of your own with `cocogen keys new {name}`, and name its address in the terms",
            )
        return address

    def _missing(self, address: str, name: str) -> MissingKey:
        if self._folder is None:
            return MissingKey(address, name)
        where = f"in {self._folder.path}, or name another folder with --keys"
        hint = f"create a keystore with `cocogen keys new {name}` or `cocogen keys import {name}` {where}"
        if not address:
            hint = (
                f"let {name} create a key on its own machine and state its address in the terms; for your own, {hint}"
            )
        if self._local:
            hint += "; on a local chain, leave the address out of the terms to use a development account"
        return MissingKey(address, name, hint=hint)
