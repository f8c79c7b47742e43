"""What may be shown and stored of a node's URL: providers of nodes put passwords and tokens into it.

A token can stand in the user part, in the path (``/v3/TOKEN``) or in the query. All that could be one is masked in
messages and in stored records; whoever needs the whole URL gives it again. Left out: tokens in the host name, which
every look-up of the name shows to the network anyway.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from cocogen.errors import ConfigurationError, FieldProblem

__all__ = ["MASK", "checked_url", "is_loopback", "is_url", "masked"]

MASK = "***"
"""What stands in the place of a secret; no URL that holds it can be opened."""

# shorter parts of a path ("v3", "rpc", "mainnet") name a service, not a customer
_TOKEN = re.compile(r"[^/]{12,}")


def is_url(specification: str) -> bool:
    """Whether a ledger specification names a node by its URL."""
    return specification.strip().lower().startswith(("http://", "https://"))


def masked(specification: str) -> str:
    """Return the specification without secrets; one that holds none comes back unchanged."""
    if "://" not in specification:
        return specification
    scheme, _, rest = specification.partition("://")
    # the last @ ends the user part, whatever it holds: a mistyped password can hold any character
    user, at, rest = rest.rpartition("@")
    rest, separator, _ = rest.partition("#")
    rest, query, _ = rest.partition("?")
    host, slash, path = rest.partition("/")
    shown = (f"{MASK}@" if user or at else "") + host + slash + _TOKEN.sub(MASK, path)
    return f"{scheme}://{shown}" + (f"?{MASK}" if query else "") + (f"#{MASK}" if separator else "")


def checked_url(specification: str) -> str:
    """Return the URL as it can be opened.

    Raises
    ------
    ConfigurationError
        It names no host, has an impossible port, or is the masked form that was stored in the place of a secret one.
    """
    if MASK in specification:
        raise ConfigurationError(
            f"the node's URL {specification} was stored without its secret part",
            hint="give the whole URL with --ledger, or in the environment variable COCOGEN_LEDGER",
        )
    try:
        parts = urlsplit(specification)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            "no node can be reached there",
            problems=[FieldProblem("ledger", repr(masked(specification)), "a URL such as http://127.0.0.1:8545")],
        )
    return specification


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
