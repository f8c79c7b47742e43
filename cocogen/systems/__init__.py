"""Systems of cooperation: one module or folder each, and the table of those that are there.

An entry (:class:`cocogen.systems.base.System`) says what a terms file of it is read into, what is agreed, what a round
plans, how it settles and whether models are shared or personal. A new system is a module here and a line below.
"""

from __future__ import annotations

from pathlib import Path

from cocogen.errors import ConfigurationError
from cocogen.systems.base import Systems
from cocogen.systems.cocogen import COCOGEN
from cocogen.systems.tradefl import TRADEFL
from cocogen.terms import consortium
from cocogen.terms.consortium import Consortium
from cocogen.terms.load import named_mechanism
from cocogen.terms.sections import AccuracyTerms

__all__ = ["SYSTEMS", "load_consortium"]

SYSTEMS = Systems((COCOGEN, TRADEFL))
"""The systems of this version."""


def load_consortium(
    path: str | Path, *, accuracy: AccuracyTerms | None = None, systems: Systems = SYSTEMS
) -> Consortium:
    """Read and validate the terms file of a consortium that trains, so that it can be deployed and run.

    ``accuracy`` stands in for the accuracy function that the file states: it may not have been measured yet.

    Raises
    ------
    ConfigurationError
        Naming the file and, for every field at fault, its value and its valid range; or the file is of a system that
        trains nothing, or whose rounds are not those that are played here.
    """
    name = named_mechanism(path)
    for system in systems.entries:
        if name not in system.rules:
            continue
        if system.state is not None:
            raise ConfigurationError(
                f'mechanism = "{name}" states resources and trains nothing, so it cannot be deployed or run',
                file=str(Path(path)),
                hint="use `cocogen solve` or `cocogen compare` with it",
            )
        if (system.models, system.settlement) != ("shared", "pairwise"):
            raise ConfigurationError(
                f'mechanism = "{name}" has {system.models} models and settles in mode {system.settlement}, so it '
                "cannot be deployed or run",
                file=str(Path(path)),
                hint="rounds train one shared model, and their contributions determine who pays whom",
            )
    return consortium.load_consortium(path, accuracy=accuracy)
