"""The market of a terms file of any system, its rule agreed and on a ledger, to solve and to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cocogen.errors import ConfigurationError
from cocogen.ledger import Ledger, LedgerProvider
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.redistribution.agreement import Encoding
from cocogen.operations.registration import register
from cocogen.operations.session import load_resolved
from cocogen.rounds.workspace import Workspace
from cocogen.systems.base import Coopetition, System, Systems
from cocogen.terms.consortium import Consortium
from cocogen.terms.load import Terms
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cocogen.data.sets import DataFolders

__all__ = ["OpenMarket", "measured", "open_market"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class OpenMarket:
    """``market`` on the agreed, decoded terms; ``uniform`` and ``optimal`` leave the rule open (for comparisons).

    ``system`` is that of the terms, ``game`` what it says of its coopetition game; ``stated`` is the strength of the
    published rule that the terms state, None where it is searched for.
    """

    terms: Terms
    system: System[Any, Any, Any, Any]
    game: Coopetition[Any]
    market: Market
    ledger: Ledger
    uniform: Encoding
    optimal: Encoding
    stated: float | None

    @property
    def name(self) -> str:
        """The consortium's."""
        return self.terms.consortium.name

    @property
    def mechanism(self) -> str:
        """The rule that the terms name."""
        return self.terms.consortium.mechanism


def open_market(terms: Terms, provider: LedgerProvider, systems: Systems, measure: Callable[[Any], Any]) -> OpenMarket:
    """Agree on what the terms leave to a rule, and put them on a ledger of ``provider``.

    ``measure`` turns terms that leave something to be measured into agreed ones.

    Raises
    ------
    ConfigurationError
        The system's market is no coopetition game.
    GameError
        The rule has no answer in this market.
    """
    system = systems.of(terms)
    if (game := system.game) is None:
        raise ConfigurationError(
            f"the market of {terms.consortium.mechanism} is no coopetition game, so there is no equilibrium in it",
            hint="see docs/terms.md for the mechanisms that have one",
        )
    agreed = measure(terms) if system.state is None else system.agree(system.state(terms, provider), provider.decode)
    ledger, strength = system.deploy(agreed, provider), game.incentive(agreed).strength
    return OpenMarket(
        terms=terms,
        system=system,
        game=game,
        market=system.market(agreed, ledger.decoded),
        ledger=ledger,
        uniform=game.encoding(agreed, "uniform", provider.decode),
        optimal=game.encoding(agreed, "optimal", provider.decode),
        stated=None if strength == "auto" else float(strength),
    )


def measured(
    consortium: Consortium,
    provider: LedgerProvider,
    workspace: Workspace,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
) -> ResolvedTerms:
    """The resolved terms of a workspace if they are of this file, else measured anew from the data in ``folders``.

    Raises
    ------
    LearningError
        The data are not there, or cannot be trained on.
    GameError
        The rule has no answer for what was measured.
    """
    # Other schemes are asked what they would generate, even where that of the terms generates nothing.
    generates = any(consortium.generation_maximum())
    if workspace.resolved.exists():
        resolved = load_resolved(workspace)
        if resolved.generates == generates and not resolved.disagreements(consortium):
            return resolved
    from cocogen.evidence.local import Agreed, Local

    agreed = replace(Agreed.of(consortium), generates=generates)
    task = Local(agreed, agreed.source(folders))
    return register(consortium.without_accounts(), provider, task, progress=progress).resolved
