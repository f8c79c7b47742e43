"""What the parties agree on: organizations, market, incentive, learning task and settlement terms.

:func:`load_consortium` reads a TOML terms file and validates all of it at once, so that everything behind this
module may trust its values. Left out: what only a measurement can tell (:mod:`cocogen.resolved`), and the integers
and hashes of the ledger (package ``chain``).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from cocogen.errors import ConfigurationError, FieldProblem, InvalidAccuracy
from cocogen.game.calibrated import Calibrated, Loss
from cocogen.terms_checks import MAXIMUM_ORGANIZATIONS, check_market, check_names, check_rule, load_competition, unique
from cocogen.terms_file import read_terms, validate_terms

__all__ = [
    "AccuracyTerms",
    "CalibratedTerms",
    "Consortium",
    "ConsortiumSection",
    "Generation",
    "GenerationCost",
    "Incentive",
    "Learning",
    "LossTerms",
    "Market",
    "Organization",
    "Partition",
    "PowerLawTerms",
    "SaturatingTerms",
    "Settlement",
    "SquareRootTerms",
    "TermsSection",
    "load_consortium",
    "parse_duration",
]

_DURATION = re.compile(r"^\s*(\d+)\s*(second|minute|hour|day|week)s?\s*$")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_HOUR, _YEAR = 3_600, 365 * 86_400


def parse_duration(value: object) -> object:
    """Seconds of a duration such as ``"1 day"``; an integer is taken as seconds, anything else is left to fail."""
    if isinstance(value, str):
        match = _DURATION.match(value)
        if match is None:
            raise ValueError('a number of seconds, or text such as "90 minutes" or "1 day"')
        return int(match[1]) * _SECONDS[match[2]]
    return value


def _strength(value: object) -> object:
    if value == "auto" or (_is_number(value) and math.isfinite(value) and value >= 0):  # type: ignore[arg-type, operator]
        return value if value == "auto" else float(value)  # type: ignore[arg-type]  # a number, tested above
    raise ValueError('"auto" or a finite number, at least 0')


def _competition_source(value: object) -> object:
    if _is_number(value):
        return float(value)  # type: ignore[arg-type]  # a number, tested above
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        rows = [entry for entry in value.values() if isinstance(entry, dict)]
        cells = [entry for entry in value.values() if not isinstance(entry, dict)]
        for entry in itertools.chain(cells, *(row.values() for row in rows)):
            if not _is_number(entry):
                raise ValueError(f"a table of numbers between 0 and 1, but it holds {entry!r}")
        return value
    raise ValueError("a number between 0 and 1, a table of rivals, or the name of a CSV file")


def _is_number(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 10**300  # larger ones have no float
    return isinstance(value, float)


Duration = Annotated[int, BeforeValidator(parse_duration), Field(ge=1, le=_YEAR, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class TermsSection(BaseModel):
    """A section of the terms: unknown keys, NaN and infinities are errors; immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ConsortiumSection(TermsSection):
    """``[consortium]``: what is run, for how many rounds, from which seed."""

    name: Slug
    mechanism: Literal["cocogen+", "cocogen", "vcfl", "wco", "radg"] = "cocogen+"
    rounds: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 5
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0


class Partition(TermsSection):
    """``[learning.partition]``: how the example splits one data set among the organizations.

    ``sizes``: real samples per organization, in the order of the organizations; as equal as possible when absent.
    ``alpha``: concentration of the Dirichlet label skew; smaller is more skewed.
    """

    kind: Literal["dirichlet", "iid"] = "dirichlet"
    alpha: Annotated[float, Field(gt=0, le=1e6)] = 0.5
    sizes: tuple[Count, ...] | None = None


class Learning(TermsSection):
    """``[learning]``: the shared model and how it is trained."""

    dataset: str
    model: Literal["logistic", "mlp"] = "mlp"
    hidden: Annotated[int, Field(ge=1, le=4096, strict=True)] = 32
    local_epochs: Annotated[int, Field(ge=1, le=1000, strict=True)] = 5
    batch_size: Annotated[int, Field(ge=1, le=65_536, strict=True)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    splits: Annotated[int, Field(ge=2, le=20, strict=True)] = 5
    holdout_fraction: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    partition: Partition = Partition()


class Generation(TermsSection):
    """``[generation]``: the generator of synthetic samples and how it is trained federatedly.

    ``maximum``: the most samples an organization may generate in a round (g_max).
    """

    generator: Literal["cvae"] = "cvae"
    maximum: Annotated[int, Field(ge=1, lt=2**53, strict=True)] = 300
    pretraining_rounds: Annotated[int, Field(ge=1, le=1000, strict=True)] = 30
    epochs: Annotated[int, Field(ge=0, le=1000, strict=True)] = 1
    latent: Annotated[int, Field(ge=1, le=1024, strict=True)] = 8
    hidden: Annotated[int, Field(ge=1, le=4096, strict=True)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.005
    batch_size: Annotated[int, Field(ge=1, le=65_536, strict=True)] = 32
    panel: Annotated[int, Field(ge=8, le=10_000, strict=True)] = 100


class PowerLawTerms(TermsSection):
    """P(Ω) = (1 - δ̄)(ceiling - scale · Ω^-exponent)."""

    kind: Literal["power-law"]
    ceiling: Annotated[float, Field(gt=0, le=1)] = 1.0
    scale: Annotated[float, Field(ge=1e-9, le=1e15)]
    exponent: Annotated[float, Field(ge=1e-6, le=10)]


class SquareRootTerms(TermsSection):
    """P(Ω) = ceiling - 1/√(Ω·epochs) - 1/epochs."""

    kind: Literal["square-root"]
    ceiling: Annotated[float, Field(gt=0, le=1)] = 1.0
    epochs: Annotated[float, Field(ge=1, le=1e15)]


class SaturatingTerms(TermsSection):
    """P(Ω) = ceiling · (1 - exp(-Ω/scale))."""

    kind: Literal["saturating"]
    ceiling: Annotated[float, Field(gt=0, le=1)] = 1.0
    scale: Annotated[float, Field(ge=1e-3, le=1e15)]


class LossTerms(TermsSection):
    """(data + skew·δ̄)(1 + Ω/scale)^-exponent, a part of the error rate that shrinks with data."""

    scale: Annotated[float, Field(gt=0)]
    exponent: Annotated[float, Field(gt=0, le=100)]
    data: Annotated[float, Field(ge=0, le=1)]
    skew: Annotated[float, Field(ge=-1, le=1)]


class CalibratedTerms(TermsSection):
    """P(Ω) = 1 - floor - skew·δ̄ - Σ losses, fitted to measured accuracies (:mod:`cocogen.game.calibrated`).

    A terms file names the ``file`` that ``cocogen calibrate`` wrote; loading puts its content here, so that the
    resolved terms hold the function itself. ``dataset``, ``model``: what it was measured on. ``samples``,
    ``heterogeneity``: least and largest Ω and δ̄ measured. ``rmse``: of the fit, in accuracy.
    """

    kind: Literal["calibrated"]
    dataset: str
    model: str
    floor: Annotated[float, Field(ge=0, le=1)]
    skew: Annotated[float, Field(ge=0, le=1)]
    losses: Annotated[tuple[LossTerms, ...], Field(max_length=200)]
    samples: tuple[float, float]
    heterogeneity: tuple[float, float]
    rmse: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def _is_increasing_and_concave(self) -> CalibratedTerms:
        try:
            self.function()
        except InvalidAccuracy as error:
            raise ValueError(str(error)) from error
        return self

    def function(self) -> Calibrated:
        """The accuracy function, without heterogeneity."""
        losses = tuple(Loss(loss.scale, loss.exponent, loss.data, loss.skew) for loss in self.losses)
        return Calibrated(self.floor, self.skew, losses, self.samples, self.heterogeneity)


AccuracyTerms = Annotated[
    PowerLawTerms | SquareRootTerms | SaturatingTerms | CalibratedTerms, Field(discriminator="kind")
]


class Market(TermsSection):
    """``[market]``: how accuracy grows with data, and who competes with whom.

    ``competition``: one number for every pair, a table (see :mod:`cocogen.competition_table`) or a CSV file.
    ``damage``: χ, the share of competition that acts through shared accuracy (1: CoCoGen+; 0: relative standing, as in
    the conference version). ``private_gain``: ψ, accuracy; ``private_base``: effective samples at which it is ψ ln 2.
    """

    accuracy: AccuracyTerms
    competition: Annotated[Any, BeforeValidator(_competition_source)]
    damage: Annotated[float, Field(ge=0, le=1)] = 1.0
    private_gain: Annotated[float, Field(ge=0, le=1)] = 0.0
    private_base: Annotated[float, Field(gt=0, le=1e15)] = 100.0


class Incentive(TermsSection):
    """``[incentive]``: the redistribution.

    ``redistribution`` "uniform" is the published rule: score weight 1, and ``offsets`` "local" makes the score count
    what goes beyond the registered local samples. ``strength``: currency per effective sample of difference, or "auto":
    welfare-maximising subject to individual rationality. ``redistribution`` "optimal" makes the planner's optimum the
    equilibrium; its strength follows ("auto"), and ``offsets`` share the surplus equally ("equal-surplus", the default)
    or need the least bonds that leave nobody worse off ("min-bond").
    """

    strength: Annotated[Any, BeforeValidator(_strength)] = "auto"
    redistribution: Literal["uniform", "optimal"] = "uniform"
    offsets: Literal["local", "equal-surplus", "min-bond"] | None = None

    @property
    def sharing(self) -> Literal["local", "equal-surplus", "min-bond"]:
        """The offsets in force."""
        return self.offsets or ("local" if self.redistribution == "uniform" else "equal-surplus")


class Settlement(TermsSection):
    """``[settlement]``: what the ledger enforces. Durations are seconds or text such as "1 day"."""

    wei_per_unit: Annotated[int, Field(ge=1, lt=2**127, strict=True)] = 10**15
    submit_window: Duration = 86_400
    dispute_window: Duration = 86_400
    arbiter_window: Duration = 86_400
    minimum_gap: Duration = _HOUR
    quorum: Annotated[float, Field(ge=0.0001, le=1)] = 1.0
    minimum_members: Annotated[int, Field(ge=2, le=MAXIMUM_ORGANIZATIONS, strict=True)] = 2
    dispute_bond: Annotated[int, Field(ge=0, lt=2**127, strict=True)] = 0
    dispute_default: Literal["settle", "void"] = "settle"
    test: bool = False
    attester: Address | None = None
    arbiter: Address | None = None


class GenerationCost(TermsSection):
    """C(g) = fixed + linear·g + ½·quadratic·g², in currency, g in raw synthetic samples."""

    linear: Annotated[float, Field(ge=0, le=1e15)] = 0.0
    quadratic: Annotated[float, Field(ge=1e-12, le=1e15)]
    fixed: Annotated[float, Field(ge=0, le=1e15)] = 0.0


class Organization(TermsSection):
    """``[[organization]]``: one participant. ``profitability`` is currency per unit of accuracy and round."""

    name: Slug
    profitability: Annotated[float, Field(gt=0, le=1e15)]
    generation_cost: GenerationCost
    generation_maximum: Annotated[int, Field(ge=1, lt=2**53, strict=True)] | None = None
    address: Address | None = None


class Consortium(TermsSection):
    """A validated terms file."""

    consortium: ConsortiumSection
    learning: Learning
    generation: Generation = Generation()
    market: Market
    incentive: Incentive = Incentive()
    settlement: Settlement = Settlement()
    organization: tuple[Organization, ...]
    _source: bytes = PrivateAttr(default=b"")
    _file: str = PrivateAttr(default="")
    _competition: NDArray[np.float64] = PrivateAttr(default_factory=lambda: np.zeros((0, 0)))

    @property
    def names(self) -> tuple[str, ...]:
        """Organization names in the order of the file: index n everywhere."""
        return tuple(organization.name for organization in self.organization)

    @property
    def file(self) -> str:
        """The path it was loaded from, for messages."""
        return self._file

    @property
    def source(self) -> bytes:
        """The terms file as it was read."""
        return self._source

    @property
    def source_digest(self) -> str:
        """SHA-256 of the terms file, as hexadecimal text."""
        return hashlib.sha256(self._source).hexdigest()

    @property
    def competition(self) -> NDArray[np.float64]:
        """ρ, shape (N, N), float64, entries in [0, 1], zero diagonal."""
        return self._competition

    @property
    def profitability(self) -> NDArray[np.float64]:
        """p, shape (N,), currency per unit of accuracy and round."""
        return np.array([organization.profitability for organization in self.organization])

    def generation_maximum(self) -> tuple[int, ...]:
        """g_max per organization, raw samples a round."""
        return tuple(o.generation_maximum or self.generation.maximum for o in self.organization)

    def with_incentive(self, strength: float) -> Consortium:
        """The same terms under the published rule with a stated strength, currency per unit of score difference."""
        copy = self.model_copy(update={"incentive": Incentive(strength=strength)})
        copy._source, copy._file, copy._competition = self._source, self._file, self._competition
        return copy

    def index(self, name: str) -> int:
        """The index of an organization; ConfigurationError lists the known names."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ConfigurationError(
                f"no organization is called {name!r}", file=self._file, hint=f"choose one of {', '.join(self.names)}"
            ) from None


def load_consortium(path: str | Path, *, accuracy: AccuracyTerms | None = None) -> Consortium:
    """Read and validate a terms file.

    ``accuracy`` stands in for the accuracy function that the file states: it may not have been measured yet.

    Raises
    ------
    ConfigurationError
        Naming the file and, for every field at fault, its value and its valid range.
    """
    from cocogen.calibration_record import inline_accuracy

    file = Path(path)
    source, document = read_terms(file)
    section = document.get("consortium")
    if isinstance(section, dict) and section.get("mechanism") == "tradefl":
        raise ConfigurationError(
            'mechanism = "tradefl" states resources and trains nothing, so it cannot be deployed or run',
            file=str(file),
            hint="use `cocogen solve` or `cocogen compare` with it",
        )
    consortium = validate_terms(Consortium, inline_accuracy(document, file, accuracy), file)
    problems = _cross_check(consortium)
    if not problems:
        competition, problems = load_competition(consortium.market.competition, consortium.names, file)
        if not problems:
            problems = check_market(consortium, competition)
            consortium._competition = competition
    if problems:
        raise ConfigurationError("the terms are not valid:", file=str(file), problems=problems)
    consortium._source = source
    consortium._file = str(file)
    return consortium


def _cross_check(terms: Consortium) -> list[FieldProblem]:
    from cocogen.learning.catalogue import known_datasets

    problems = check_names(terms.names)
    problems += unique("address", [o.address.lower() if o.address else None for o in terms.organization])
    count = len(terms.organization)
    for index, organization in enumerate(terms.organization):
        if organization.address is not None and int(organization.address, 16) == 0:
            problems.append(FieldProblem(f"organization[{index}].address", organization.address, "must not be zero"))
    if terms.learning.dataset not in known_datasets():
        valid = f"one of {', '.join(sorted(known_datasets()))}"
        problems.append(FieldProblem("learning.dataset", repr(terms.learning.dataset), valid))
    problems += _check_incentive(terms)
    problems += _check_calibration(terms)
    sizes = terms.learning.partition.sizes
    if sizes is not None and len(sizes) != count:
        valid = f"one size for each of the {count} organizations"
        problems.append(FieldProblem("learning.partition.sizes", f"{len(sizes)} sizes", valid))
    settlement = terms.settlement
    if settlement.minimum_members > count:
        valid = f"between 2 and the number of organizations, {count}"
        problems.append(FieldProblem("settlement.minimum_members", str(settlement.minimum_members), valid))
    if not settlement.test:
        for name in ("submit_window", "dispute_window", "arbiter_window", "minimum_gap"):
            if (value := getattr(settlement, name)) < _HOUR:
                valid = "at least 1 hour, unless settlement.test = true"
                problems.append(FieldProblem(f"settlement.{name}", f"{value} seconds", valid))
    return problems


def _check_calibration(terms: Consortium) -> list[FieldProblem]:
    accuracy, learning = terms.market.accuracy, terms.learning
    if not isinstance(accuracy, CalibratedTerms):
        return []
    pairs = {"dataset": (accuracy.dataset, learning.dataset), "model": (accuracy.model, learning.model)}
    return [
        FieldProblem("market.accuracy.file", f"measured with {name} {found!r}", f"the terms have {name} {needed!r}")
        for name, (found, needed) in pairs.items()
        if found != needed
    ]


def _check_incentive(terms: Consortium) -> list[FieldProblem]:
    rule, strength = terms.incentive, terms.incentive.strength
    if terms.consortium.mechanism != "cocogen+":
        if strength in ("auto", 0.0):
            return []
        valid = f'"auto" or 0: {terms.consortium.mechanism} redistributes nothing'
        return [FieldProblem("incentive.strength", f"{strength:g}", valid)]
    return check_rule(rule)
