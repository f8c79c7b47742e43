"""What a system of cooperation says of itself, so that nothing outside its own module has to ask which one it is.

A :class:`System` is the whole seam: from a terms file to terms that a ledger can hold, from those to one round's market
and plan, and from what was recorded to who pays whom. :class:`Systems` is the table of them, a value that is passed on.
Left out: measuring what terms leave open (``cocogen.operations.registration``), and the steps of a round
(``cocogen.rounds.loop``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from cocogen.game.arrays import Array
from cocogen.ledger import Contribution, DecodedTerms, Ledger, LedgerProvider, SettlementTerms
from cocogen.mechanisms.base import Planned, Rule
from cocogen.mechanisms.comparison import Schemes
from cocogen.mechanisms.redistribution.agreement import Encoding
from cocogen.terms.load import Terms
from cocogen.terms.sections import Incentive

__all__ = ["Column", "Coopetition", "Decode", "Resolved", "System", "Systems"]

Decode: TypeAlias = Callable[[SettlementTerms], DecodedTerms]
"""A ledger's rounding: what terms become in its integers, as floats again."""


class Resolved(Protocol):
    """Terms with everything measured; nothing is left open once they are agreed."""

    def settlement_terms(self) -> SettlementTerms:
        """What goes on the ledger."""
        ...


TermsT = TypeVar("TermsT", bound=Terms)
ResolvedT = TypeVar("ResolvedT", bound=Resolved)
MarketT = TypeVar("MarketT")
PlanT = TypeVar("PlanT", bound=Planned)


@dataclass(frozen=True, slots=True)
class Column:
    """One component of a strategy: its ``key`` in JSON; in tables a ``title``, a number format and the unit shown."""

    key: str
    title: str
    form: str
    unit: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coopetition(Generic[ResolvedT]):
    """What can be solved and compared of a system whose market is a coopetition game.

    Attributes
    ----------
    encoding : callable
        (terms, kind, decode) → the market with its redistribution open, for the uniform or for the optimal one.
    incentive : callable
        terms → ``[incentive]``, as it was asked for.
    columns : tuple of Column
        The components of a strategy.
    schemes : Schemes
        What it is compared with.
    """

    encoding: Callable[[ResolvedT, Literal["uniform", "optimal"], Decode], Encoding]
    incentive: Callable[[ResolvedT], Incentive]
    columns: tuple[Column, ...]
    schemes: Schemes

    def plain(self, strategies: Array, n: int) -> float | dict[str, float]:
        """One organization's strategy as plain values: a number, or one for each component by its key."""
        if strategies.ndim == 1:
            return float(strategies[n])
        return {column.key: float(value) for column, value in zip(self.columns, strategies[n], strict=True)}

    def cells(self, strategy: float | Mapping[str, float]) -> list[str]:
        """What :meth:`plain` answered as text, one cell for each column."""
        values = [strategy[column.key] for column in self.columns] if isinstance(strategy, Mapping) else [strategy]
        return [f"{v / column.unit:{column.form}}" for column, v in zip(self.columns, values, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class System(Generic[TermsT, ResolvedT, MarketT, PlanT]):
    """One system of cooperation.

    Attributes
    ----------
    rules : mapping
        What plans a round, by its name in ``consortium.mechanism``.
    load : callable
        Reads a terms file into the system's own model; ConfigurationError names every field at fault.
    agree : callable
        (terms with everything measured, decode) → the same terms with nothing open, on the ledger's decoded integers:
        a redistribution, a price, a bond. GameError where the rule has no answer.
    market : callable
        (agreed terms, decoded terms) → the first round's market, everybody taking part.
    state : callable or None
        (terms file, provider) → terms with everything measured, where the file states it all. None: it has to be
        measured, so such a consortium trains, and can be deployed and run.
    clear : callable or None
        (agreed terms, recorded contributions by organization) → transfers, wei, which the attester then signs: integers
        that sum to 0, none for whoever contributed nothing. None: the ledger computes them from the contributions.
    models : str
        "shared": one model, of which every contributor is given the same; "personal": each has its own.
    baselines : tuple of str
        Rules that others are compared with; they solve no equilibrium of their own.
    game : Coopetition or None
        What can be solved and compared of it, where its market is a coopetition game.
    """

    rules: Mapping[str, Rule[MarketT, PlanT]]
    load: Callable[[str | Path], TermsT]
    agree: Callable[[ResolvedT, Decode], ResolvedT]
    market: Callable[[ResolvedT, DecodedTerms], MarketT]
    state: Callable[[TermsT, LedgerProvider], ResolvedT] | None = None
    clear: Callable[[ResolvedT, Sequence[Contribution | None]], tuple[int, ...]] | None = None
    models: Literal["shared", "personal"] = "shared"
    baselines: tuple[str, ...] = ()
    game: Coopetition[ResolvedT] | None = None

    @property
    def settlement(self) -> Literal["pairwise", "vector"]:
        """How a round is settled: the ledger computes the transfers, or the attester signs them."""
        return "pairwise" if self.clear is None else "vector"

    def deploy(self, agreed: ResolvedT, provider: LedgerProvider) -> Ledger:
        """Put agreed terms on a ledger; ValueError where they would be settled otherwise than the system settles."""
        terms = agreed.settlement_terms()
        if terms.mode != self.settlement:
            raise ValueError(
                f"{next(iter(self.rules))} settles in mode {self.settlement!r}, its terms in {terms.mode!r}"
            )
        return provider.deploy(terms)


@dataclass(frozen=True, slots=True)
class Systems:
    """Systems by the names of their rules. The first also reads what names no known one, and says what is wrong."""

    entries: tuple[System[Any, Any, Any, Any], ...]

    def __post_init__(self) -> None:
        names = [name for system in self.entries for name in system.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two systems are called {', '.join(twice)}")

    def __contains__(self, name: object) -> bool:
        return any(name in system.rules for system in self.entries)

    def of(self, terms: Terms) -> System[Any, Any, Any, Any]:
        """The system that terms are of; KeyError where no system here reads such terms."""
        name = terms.consortium.mechanism
        for system in self.entries:
            if name in system.rules:
                return system
        raise KeyError(name)

    @property
    def table(self) -> dict[str, Callable[[str | Path], Terms]]:
        """What reads a terms file, by the mechanism that it names: for :func:`cocogen.terms.load.load_terms`."""
        return {name: system.load for system in self.entries for name in system.rules}

    def extended(self, *systems: System[Any, Any, Any, Any]) -> Systems:
        """A table that holds these besides; this one stays as it is."""
        return Systems((*self.entries, *systems))
