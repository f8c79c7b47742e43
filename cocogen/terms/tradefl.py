"""TradeFL's terms: a market in which organizations choose how much of their data to train on, and how fast.

:func:`load_data_market` reads a TOML file with ``mechanism = "tradefl"``. Unlike a consortium's terms (``consortium``)
it leaves nothing to be measured: samples, bits, energies and times are stated. Left out: training. Compute in Hz is
what the scores pay for, and nothing here measures it, so such a market is solved, compared and settled on stated
contributions, but not run.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array
from cocogen.ledger import DecodedTerms, Member, SettlementTerms
from cocogen.mechanisms import base
from cocogen.mechanisms.redistribution.agreement import Encoding
from cocogen.mechanisms.resources import DataResources
from cocogen.terms.accuracy import accuracy_function, inline_accuracy
from cocogen.terms.checks import check_market, check_names, check_rule, load_competition
from cocogen.terms.reading import read_terms, validate_terms
from cocogen.terms.sections import ConsortiumSection, Count, Incentive, Market, Settlement, Slug, TermsSection

__all__ = ["DataMarket", "DataOrganization", "Resources", "load_data_market"]

Positive = Annotated[float, Field(ge=1e-9, le=1e18)]


class DataConsortium(ConsortiumSection):
    """``[consortium]`` of a TradeFL market."""

    mechanism: Literal["tradefl"]  # type: ignore[assignment]  # the other family's rules do not apply


class Resources(TermsSection):
    """``[resources]``: what training costs and how long it may take.

    ``deadline``: τ, seconds. ``minimum_fraction``: D_min. ``capacitance``: κ, joules per cycle and Hz².
    ``overhead_weight``: ϖ, currency per joule. ``compute_weight``: λ, bits of score per Hz; the optimal redistribution
    scores data alone.
    """

    deadline: Positive
    minimum_fraction: Annotated[float, Field(ge=1e-9, le=1)] = 0.01
    capacitance: Annotated[float, Field(ge=1e-60, le=1)] = 1e-27
    overhead_weight: Annotated[float, Field(ge=0, le=1e15)] = 1.0
    compute_weight: Annotated[float, Field(ge=0, le=1e6)] = 1.0


class DataOrganization(TermsSection):
    """``[[organization]]``: bits and samples of its data, cycles per bit, compute levels in whole Hz, communication."""

    name: Slug
    profitability: Annotated[float, Field(ge=1e-12, le=1e15)]
    bits: Annotated[int, Field(ge=1, lt=2**53, strict=True)]
    samples: Count
    compute_levels: Annotated[tuple[Annotated[int, Field(ge=1, lt=2**53)], ...], Field(min_length=1, max_length=64)]
    cycles_per_bit: Positive = 1.0
    communication_time: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    communication_energy: Annotated[float, Field(ge=0, le=1e15)] = 0.0
    heterogeneity: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DataMarket(TermsSection):
    """A validated TradeFL terms file; index n is the n-th organization."""

    consortium: DataConsortium
    market: Market
    resources: Resources
    incentive: Incentive = Incentive()
    settlement: Settlement = Settlement()
    organization: tuple[DataOrganization, ...]
    _source: bytes = PrivateAttr(default=b"")
    _competition: NDArray[np.float64] = PrivateAttr(default_factory=lambda: np.zeros((0, 0)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(organization.name for organization in self.organization)

    @property
    def profitability(self) -> NDArray[np.float64]:
        """p, shape (N,), currency per unit of accuracy and round."""
        return self._column("profitability")

    @property
    def competition(self) -> NDArray[np.float64]:
        """ρ, shape (N, N), entries in [0, 1], zero diagonal."""
        return self._competition

    def encoding(self, account: Callable[[str], str], decode: Callable[[SettlementTerms], DecodedTerms]) -> Encoding:
        """The market with its redistribution open; ``account`` gives addresses, ``decode`` is the ledger's rounding."""
        bits, fastest = self._column("bits"), self._levels()[:, -1]

        def decoded(incentive: float, weights: Array, offsets: Array) -> DecodedTerms:
            return decode(self.settlement_terms(account, incentive, weights, offsets))

        return Encoding(
            decode=decoded,
            market=self.market_on,
            published_offsets=np.zeros(len(self.organization)),
            largest_inputs=bits + self.compute_weight * fastest,
        )

    @property
    def compute_weight(self) -> float:
        """λ in force: the optimal redistribution pays for data only."""
        return 0.0 if self.incentive.redistribution == "optimal" else self.resources.compute_weight

    def with_incentive(self, incentive: Incentive) -> DataMarket:
        """The same market under another rule."""
        copy = self.model_copy(update={"incentive": incentive})
        copy._source, copy._competition = self._source, self._competition
        return copy

    def market_on(self, decoded: DecodedTerms) -> base.Market:
        """The market that a mechanism plans in, on the ledger's decoded terms."""
        resources = self.resources
        return base.Market(
            names=self.names,
            profitability=self.profitability,
            competition=self.competition,
            accuracy=accuracy_function(self.market.accuracy),
            heterogeneity=self._column("heterogeneity"),
            resources=DataResources(
                samples=self._column("samples"),
                bits=self._column("bits"),
                compute_levels=self._levels(),
                cycles_per_bit=self._column("cycles_per_bit"),
                communication_time=self._column("communication_time"),
                communication_energy=self._column("communication_energy"),
                deadline=resources.deadline,
                overhead_weight=resources.overhead_weight,
                capacitance=resources.capacitance,
                minimum_fraction=resources.minimum_fraction,
            ),
            decoded=decoded,
            participants=np.ones(len(self.organization), dtype=np.bool_),
            damage=self.market.damage,
            private_gain=self.market.private_gain,
            private_base=self.market.private_base,
        )

    def settlement_terms(
        self, account: Callable[[str], str], incentive: float, weights: Array, offsets: Array
    ) -> SettlementTerms:
        """What would go on the ledger: caps are all bits and the fastest level."""
        settlement = self.settlement
        return SettlementTerms(
            members=tuple(
                Member(o.name, account(o.name), o.bits, 0, o.compute_levels[-1], float(weight), float(offset))
                for o, weight, offset in zip(self.organization, weights, offsets, strict=True)
            ),
            competition=tuple(tuple(row) for row in self.competition.tolist()),
            incentive=float(incentive),
            wei_per_unit=settlement.wei_per_unit,
            attester=settlement.attester or account("attester"),
            arbiter=settlement.arbiter or account("arbiter"),
            document_hash=hashlib.sha256(self._source).digest(),
            compute_weight=self.compute_weight,
            maximum_rounds=self.consortium.rounds,
        )

    def _column(self, field: str) -> Array:
        return np.array([getattr(organization, field) for organization in self.organization], dtype=np.float64)

    def _levels(self) -> Array:
        return np.array([organization.compute_levels for organization in self.organization], dtype=np.float64)


def load_data_market(path: str | Path) -> DataMarket:
    """Read and validate a TradeFL terms file.

    Raises
    ------
    ConfigurationError
        Naming the file and, for every field at fault, its value and its valid range.
    EmptyStrategySet
        An organization misses the deadline at every level.
    """
    file = Path(path)
    source, document = read_terms(file)
    terms = validate_terms(DataMarket, inline_accuracy(document, file), file)
    problems = check_names(terms.names) + check_rule(terms.incentive) + _check_levels(terms)
    if not problems:
        competition, problems = load_competition(terms.market.competition, terms.names, file)
        terms._competition = competition
        problems = problems or check_market(terms, competition)
    if problems:
        raise ConfigurationError(
            "the terms are not valid:",
            file=str(file),
            problems=problems,
            hint="correct these fields; see examples/tradefl.toml and docs/terms.md for their meaning",
        )
    terms._source = source
    everyone, unpaid = np.ones(len(terms.names), dtype=np.bool_), np.zeros(len(terms.names))
    decoded = DecodedTerms(np.diag(unpaid), unpaid, unpaid, 1.0, terms.compute_weight, 1, (), bytes(32))
    terms.market_on(decoded).resources.family(everyone, decoded, terms.names)  # refuses deadlines that nobody can meet
    return terms


def _check_levels(terms: DataMarket) -> list[FieldProblem]:
    problems = []
    count = len(terms.organization[0].compute_levels) if terms.organization else 0
    for index, organization in enumerate(terms.organization):
        levels = organization.compute_levels
        if len(levels) != count or any(b <= a for a, b in itertools.pairwise(levels)):
            valid = f"{count} increasing levels, as many as organization[0] has"
            problems.append(FieldProblem(f"organization[{index}].compute_levels", str(list(levels)), valid))
    return problems
