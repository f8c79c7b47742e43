"""What the parties agree on: organizations, market, incentive, learning task and settlement terms.

:func:`load_consortium` reads a TOML terms file and validates all of it at once, so that everything behind this
module may trust its values. Left out: what only a measurement can tell (:mod:`cocogen.terms.resolved`), and the
integers and hashes of the ledger (package ``chain``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.mechanisms import UNPAID
from cocogen.terms.accuracy import inline_accuracy
from cocogen.terms.checks import check_market, check_names, check_rule, load_competition, unique
from cocogen.terms.reading import read_terms, validate_terms
from cocogen.terms.sections import (
    HOUR,
    OWN,
    AccuracyTerms,
    Address,
    Attestation,
    CalibratedTerms,
    ConsortiumSection,
    Generation,
    GenerationCost,
    Incentive,
    Learning,
    Market,
    Settlement,
    Slug,
    TermsSection,
)

__all__ = ["Consortium", "Organization", "load_consortium"]


class Organization(TermsSection):
    """``[[organization]]``: one participant. ``profitability`` is currency per unit of accuracy and round."""

    name: Slug
    profitability: Annotated[float, Field(ge=1e-12, le=1e15)]
    generation_cost: GenerationCost
    generation_maximum: Annotated[int, Field(ge=0, lt=2**53, strict=True)] | None = None
    address: Address | None = None


class Consortium(TermsSection):
    """A validated terms file."""

    consortium: ConsortiumSection
    learning: Learning
    generation: Generation = Generation()
    market: Market
    incentive: Incentive = Incentive()
    settlement: Settlement = Settlement()
    attestation: Attestation = Attestation()
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
    def folder(self) -> Path:
        """The folder it was loaded from: paths in the terms are relative to it."""
        return Path(self._file).parent

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
        common = self.generation.maximum
        return tuple(common if o.generation_maximum is None else o.generation_maximum for o in self.organization)

    @property
    def generates(self) -> bool:
        """Whether anybody may generate synthetic samples; otherwise there is no generator and no κ."""
        return self.consortium.mechanism != "vcfl" and any(self.generation_maximum())

    def with_incentive(self, strength: float) -> Consortium:
        """The same terms under the published rule with a stated strength, currency per unit of score difference."""
        return self._with(incentive=Incentive(strength=strength))

    def without_accounts(self) -> Consortium:
        """The same terms with every address left open: to be played where nobody's keys are, for a comparison."""
        organizations = tuple(organization.model_copy(update={"address": None}) for organization in self.organization)
        settlement = self.settlement.model_copy(update={"attester": None, "arbiter": None})
        return self._with(organization=organizations, settlement=settlement)

    def _with(self, **changes: object) -> Consortium:
        copy = self.model_copy(update=changes)
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
    file = Path(path)
    source, document = read_terms(file)
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
    from cocogen.terms.datasets import is_path, known_datasets

    problems = check_names(terms.names)
    problems += unique("address", [o.address.lower() if o.address else None for o in terms.organization])
    count = len(terms.organization)
    for index, organization in enumerate(terms.organization):
        if organization.address is not None and int(organization.address, 16) == 0:
            problems.append(FieldProblem(f"organization[{index}].address", organization.address, "must not be zero"))
    if terms.learning.dataset not in (OWN, *known_datasets()) and not is_path(terms.learning.dataset):
        names = ", ".join(sorted(known_datasets()))
        valid = f'"own" with a schema; one of {names}; or a path, such as "./scans/" or "table.npz"'
        problems.append(FieldProblem("learning.dataset", repr(terms.learning.dataset), valid))
    problems += _check_schema(terms)
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
            if (value := getattr(settlement, name)) < HOUR:
                valid = "at least 1 hour, unless settlement.test = true"
                problems.append(FieldProblem(f"settlement.{name}", f"{value} seconds", valid))
    return problems


def _check_schema(terms: Consortium) -> list[FieldProblem]:
    """Own data have a schema, named data sets none; and what else follows from who brings the data."""
    learning, schema = terms.learning, terms.learning.schema_
    problems = []
    if learning.dataset != OWN:
        if schema is not None:
            valid = f'none, unless learning.dataset = "{OWN}"'
            problems.append(FieldProblem("learning.schema", f'beside dataset = "{learning.dataset}"', valid))
        if terms.attestation.openings:
            valid = f'0, unless learning.dataset = "{OWN}": only registered rows can be opened'
            problems.append(FieldProblem("attestation.openings", str(terms.attestation.openings), valid))
        return problems
    if schema is None:
        valid = f'required with dataset = "{OWN}": kind, label, classes and features; docs/own-data.md has one'
        return [FieldProblem("learning.schema", "nothing", valid)]
    said = [
        name
        for name in ("samples", "partition")
        if getattr(learning, name) != type(learning).model_fields[name].default
    ]
    problems += [
        FieldProblem(f"learning.{name}", "there", f'none with dataset = "{OWN}": every organization brings its own')
        for name in said
    ]
    images = schema.kind == "images"
    if learning.model in ("lenet", "resnet18") and not images:
        problems.append(FieldProblem("learning.model", f'"{learning.model}"', '"logistic" or "mlp" for a table'))
    if learning.metric == "auroc" and len(schema.classes) != 2:
        valid = f'for two classes; "balanced-accuracy" serves {len(schema.classes)}'
        problems.append(FieldProblem("learning.metric", '"auroc"', valid))
    return problems


def _check_calibration(terms: Consortium) -> list[FieldProblem]:
    accuracy, learning = terms.market.accuracy, terms.learning
    if not isinstance(accuracy, CalibratedTerms):
        return []
    pairs = {name: (getattr(accuracy, name), getattr(learning, name)) for name in ("dataset", "model", "metric")}
    return [
        FieldProblem("market.accuracy.file", f"measured with {name} {found!r}", f"the terms have {name} {needed!r}")
        for name, (found, needed) in pairs.items()
        if found != needed
    ]


def _check_incentive(terms: Consortium) -> list[FieldProblem]:
    rule, strength = terms.incentive, terms.incentive.strength
    if terms.consortium.mechanism in UNPAID:
        if strength in ("auto", 0.0):
            return []
        valid = f'"auto" or 0: {terms.consortium.mechanism} redistributes nothing'
        return [FieldProblem("incentive.strength", f"{strength:g}", valid)]
    return check_rule(rule)
