"""One door for both kinds of terms files: a consortium that trains, or TradeFL's market of stated resources."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from cocogen.terms.consortium import Consortium, load_consortium
from cocogen.terms.reading import read_terms
from cocogen.terms.tradefl import DataMarket, load_data_market

__all__ = ["Terms", "load_terms"]

Terms: TypeAlias = Consortium | DataMarket


def load_terms(path: str | Path) -> Terms:
    """Read and validate a terms file of either kind; ``consortium.mechanism`` tells which.

    Raises
    ------
    ConfigurationError
        Naming the file and every field at fault.
    EmptyStrategySet
        A TradeFL market in which an organization misses the deadline at every level.
    """
    _, document = read_terms(path)
    section = document.get("consortium")
    if isinstance(section, dict) and section.get("mechanism") == "tradefl":
        return load_data_market(path)
    return load_consortium(path)
