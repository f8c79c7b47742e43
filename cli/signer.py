"""Whose key signs for a site, where there is no ledger yet to say it: registrations, answers before a deployment."""

from __future__ import annotations

from dataclasses import dataclass

from chain.encoding.signatures import address_of, sign
from chain.errors.chain import MissingKey
from chain.keys.accounts import Accounts
from chain.keys.keystores import development_key
from cli.passwords import key_source
from cocogen.operations.session import stated_addresses
from cocogen.terms.consortium import Consortium

__all__ = ["SiteSigner", "site_signer"]


@dataclass(frozen=True, slots=True)
class SiteSigner:
    """Whose key signs for a site. ``development``: everybody who reads the terms knows it."""

    name: str
    address: str
    development: bool
    accounts: Accounts

    def sign(self, digest: bytes) -> bytes | None:
        """Its signature; None where its owner signs elsewhere, as a contract wallet's do."""
        try:
            return sign(digest, bytes(self.accounts.signer(self.name, self.address).key))
        except MissingKey:
            return None


def site_signer(name: str, terms: Consortium, keys: str | None, password_file: str | None) -> SiteSigner:
    """The keystore of the organization's name or address; a development account where the terms leave both open."""
    seed = terms.consortium.seed
    stated = {who: address for who, address in stated_addresses(terms).items() if address is not None}
    source = key_source(keys, password_file, stated)
    development = address_of(development_key(seed, name))
    local = stated.get(name, development) == development and source.folder.find(name, None) is None
    accounts = Accounts(seed, local=local, source=source)
    address = accounts.address(name)
    return SiteSigner(name, address, address == development, accounts)
