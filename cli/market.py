"""The market of a terms file of either kind, its rule agreed and on an in-memory ledger, to solve and to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cocogen.terms.consortium import Consortium
from cocogen.terms.sections import Incentive

if TYPE_CHECKING:
    from chain.twin.ledger import MemoryProvider
    from cli.output import Progress
    from cli.request import Request
    from cocogen.game.arrays import Array
    from cocogen.ledger import Ledger
    from cocogen.mechanisms.base import Market
    from cocogen.mechanisms.redistribution.agreement import Encoding
    from cocogen.terms.resolved import ResolvedTerms
    from cocogen.terms.tradefl import DataMarket

__all__ = ["OpenMarket", "open_market"]


@dataclass(frozen=True, slots=True, eq=False)
class OpenMarket:
    """``market`` on the agreed, decoded terms; ``uniform`` and ``optimal`` leave the rule open (for comparisons)."""

    name: str
    mechanism: str
    seed: int
    incentive: float
    wei_per_unit: int
    market: Market
    ledger: Ledger
    uniform: Encoding
    optimal: Encoding
    stated: float | None

    def strategy(self, strategies: Array, n: int) -> float | dict[str, float]:
        """One organization's strategy as plain values."""
        if strategies.ndim == 1:
            return float(strategies[n])
        return {"data_fraction": float(strategies[n, 0]), "compute": float(strategies[n, 1])}


def open_market(request: Request, bars: Progress) -> OpenMarket:
    """Load the terms, measure what they leave open if they train, agree on the rule, and deploy in memory."""
    terms = request.terms()
    return _training(request, terms, bars) if isinstance(terms, Consortium) else _stated(terms)


def _training(request: Request, consortium: Consortium, bars: Progress) -> OpenMarket:
    from chain.twin.ledger import MemoryProvider
    from cocogen.terms.market import encoding_of, market

    provider = MemoryProvider(consortium.consortium.seed)
    resolved = _resolved(request, consortium, provider, bars)
    ledger = provider.deploy(resolved.settlement_terms())
    encoding = encoding_of(resolved, provider.decode)
    return OpenMarket(
        name=resolved.consortium.name,
        mechanism=resolved.consortium.mechanism,
        seed=resolved.consortium.seed,
        incentive=resolved.incentive,
        wei_per_unit=resolved.settlement.wei_per_unit,
        market=market(resolved, ledger.decoded, resolved.quality),
        ledger=ledger,
        uniform=encoding,
        optimal=encoding,
        stated=_stated_strength(resolved.incentive_rule),
    )


def _resolved(request: Request, consortium: Consortium, provider: MemoryProvider, bars: Progress) -> ResolvedTerms:
    """The resolved terms of the workspace if they are of this file, else measured anew."""
    from cocogen.operations.session import load_resolved

    workspace = request.new_workspace(consortium)
    # Other schemes are asked what they would generate, even where that of the terms generates nothing.
    generates = any(consortium.generation_maximum())
    if workspace.resolved.exists():
        resolved = load_resolved(workspace)
        if resolved.generates == generates and not resolved.disagreements(consortium):
            return resolved
    from cocogen.evidence.local import LearningTask
    from cocogen.operations.registration import register

    task = LearningTask(
        consortium.learning,
        consortium.generation,
        consortium.names,
        consortium.consortium.seed,
        split=0,
        generates=generates,
        folders=request.folders(consortium),
    )
    return register(consortium.without_accounts(), provider, task, progress=bars).resolved


def _stated(terms: DataMarket) -> OpenMarket:
    from chain.twin.ledger import MemoryProvider
    from cocogen.mechanisms.redistribution.agreement import agree_optimal, agree_uniform

    provider = MemoryProvider(terms.consortium.seed)
    encoding = terms.encoding(provider.account, provider.decode)
    rule = terms.incentive
    if rule.redistribution == "optimal":
        agreed = agree_optimal(encoding, rule.sharing)
    else:
        agreed = agree_uniform(encoding, rule.strength)
    ledger = provider.deploy(terms.settlement_terms(provider.account, agreed.incentive, agreed.weights, agreed.offsets))
    both = [
        terms.with_incentive(Incentive(redistribution=kind)).encoding(provider.account, provider.decode)
        for kind in ("uniform", "optimal")
    ]
    return OpenMarket(
        name=terms.consortium.name,
        mechanism=terms.consortium.mechanism,
        seed=terms.consortium.seed,
        incentive=agreed.incentive,
        wei_per_unit=terms.settlement.wei_per_unit,
        market=terms.market_on(ledger.decoded),
        ledger=ledger,
        uniform=both[0],
        optimal=both[1],
        stated=_stated_strength(rule),
    )


def _stated_strength(rule: Incentive) -> float | None:
    return None if rule.strength == "auto" else float(rule.strength)
