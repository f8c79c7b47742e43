"""The sections of a terms file: their fields, types, ranges and defaults.

Both kinds of terms are made of them (``consortium``, ``tradefl``), and so are the documents that quote them
(``resolved``, ``accuracy``). Left out: what must hold between sections (``checks``).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from cocogen.addresses import Address
from cocogen.errors import InvalidAccuracy
from cocogen.game.calibrated import Calibrated, Loss
from cocogen.terms.checks import MAXIMUM_ORGANIZATIONS
from cocogen.terms.competition import competition_source, is_number
from cocogen.terms.fields import HOUR, Count, Duration, Slug, TermsSection, parse_duration
from cocogen.terms.schema import Schema

__all__ = [
    "HOUR",
    "OWN",
    "AccuracyTerms",
    "Address",
    "Attestation",
    "CalibratedTerms",
    "ConsortiumSection",
    "Count",
    "Duration",
    "Generation",
    "GenerationCost",
    "Incentive",
    "Learning",
    "LossTerms",
    "Market",
    "Metric",
    "Partition",
    "PowerLawTerms",
    "Privacy",
    "SaturatingTerms",
    "Server",
    "Settlement",
    "Slug",
    "SquareRootTerms",
    "TermsSection",
    "parse_duration",
]

OWN = "own"
"""What ``learning.dataset`` is called where every organization brings its own data."""


def _strength(value: object) -> object:
    if value == "auto":
        return value
    if is_number(value) and math.isfinite(value) and (value == 0 or value >= 1e-18):  # type: ignore[arg-type, operator]
        return float(value)  # type: ignore[arg-type]  # a number, tested above
    raise ValueError('"auto" or a finite number: 0, or at least 1e-18')


Metric = Literal["accuracy", "balanced-accuracy", "auroc"]
"""The unit of P(Ω) and of every report; all lie in [0, 1]."""


class ConsortiumSection(TermsSection):
    """``[consortium]``: what is run, for how many rounds, from which seed."""

    name: Slug
    mechanism: Literal["cocogen+", "cocogen", "vcfl", "wco", "radg"] = "cocogen+"
    rounds: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 5
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0


class Partition(TermsSection):
    """``[learning.partition]``: how one data set is split among the organizations, to play all of them.

    ``kind`` "dirichlet" skews labels and keeps sizes, "iid" skews nothing, "shards" deals ``shards_each`` shards of the
    samples sorted by label, "quantity" skews sizes, none below ``minimum``, "feature-shift" adds noise to features:
    none to the first organization's, up to a standard deviation of ``noise`` (of the standardized features) to the
    last one's. ``alpha``: concentration of the Dirichlet skew of labels or sizes; smaller is more skewed. ``sizes``:
    samples per organization, in the order of the organizations; as equal as possible when absent. Fields of another
    kind have no effect.
    """

    kind: Literal["dirichlet", "iid", "shards", "quantity", "feature-shift"] = "dirichlet"
    alpha: Annotated[float, Field(ge=1e-4, le=1e6)] = 0.5
    sizes: tuple[Count, ...] | None = None
    shards_each: Annotated[int, Field(ge=1, le=1000, strict=True)] = 2
    minimum: Count = 10
    noise: Annotated[float, Field(ge=0, le=10)] = 0.5

    @field_validator("sizes")
    @classmethod
    def _follow_from_the_kind(cls, sizes: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        if sizes is not None and info.data.get("kind") in ("shards", "quantity"):
            raise ValueError(f'none with kind = "{info.data["kind"]}", which sets the sizes itself')
        return sizes


class Privacy(TermsSection):
    """``[learning.privacy]``: differential privacy of every update that leaves an organization.

    ``clip``: longest update, Euclidean norm of all parameters. ``noise_multiplier``: standard deviation of the noise on
    each parameter, in units of ``clip``. ``delta``: δ at which ε is stated.
    """

    clip: Annotated[float, Field(ge=1e-9, le=1e6)]
    noise_multiplier: Annotated[float, Field(ge=1e-3, le=1e3)]
    delta: Annotated[float, Field(ge=1e-30, lt=1)] = 1e-5


class Server(TermsSection):
    """``[learning.server]``: what the attester does with the average of the accepted classifiers.

    ``optimizer``: "average" takes it (FedAvg), "momentum" and "adam" step towards it (FedAvgM, FedAdam).
    ``learning_rate``: of that step. ``momentum``: β_1, decay of the mean of the steps. ``second_moment``: β_2, decay
    of the mean of their squares, and ``adaptivity``: τ, what is added to its root; both for "adam" alone.
    """

    optimizer: Literal["average", "momentum", "adam"] = "average"
    learning_rate: Annotated[float, Field(ge=1e-9, le=10)] = 1.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    second_moment: Annotated[float, Field(ge=0, lt=1)] = 0.99
    adaptivity: Annotated[float, Field(ge=1e-9, le=1)] = 1e-3


class Learning(TermsSection):
    """``[learning]``: the shared model and how it is trained.

    ``dataset``: a name of :func:`cocogen.terms.datasets.known_datasets`, or a path relative to the terms file: a
    rehearsal, in which one data set is shared out. Or "own": every organization brings its own data, all of them read
    by ``schema``; then ``samples``, ``partition``, ``splits`` and ``holdout_fraction`` say nothing.
    ``metric``: the unit of P(Ω) and of every report; "balanced-accuracy" where classes are of different size (mean
    recall of the classes), "auroc" for two classes (area under the ROC curve, which no threshold enters).
    ``samples``: use at most so many of its samples, drawn with the mix of classes of the whole; all when absent.
    ``aggregation``: of the attested updates; "trimmed-mean" drops the share ``trim`` at either end of each coordinate.
    ``clip_norm``: longest update, in multiples of the round's median; none when absent.
    ``hidden``: width of the hidden layer of "mlp". ``proximal``: μ of FedProx, what holds local training near the
    shared model; 0 is FedAvg. ``scaffold``: correct local training by control variates (SCAFFOLD); then
    ``momentum`` and ``proximal`` are 0, the server takes the average, and updates are neither clipped, trimmed nor
    made private.
    """

    # The field is called as the section of the file; as an attribute pydantic has that name itself.
    model_config = ConfigDict(serialize_by_alias=True)

    dataset: str
    metric: Metric = "accuracy"
    schema_: Annotated[Schema | None, Field(alias="schema")] = None
    samples: Count | None = None
    model: Literal["logistic", "mlp", "lenet", "resnet18"] = "mlp"
    hidden: Annotated[int, Field(ge=1, le=4096, strict=True)] = 32
    local_epochs: Annotated[int, Field(ge=1, le=1000, strict=True)] = 5
    batch_size: Annotated[int, Field(ge=1, le=65_536, strict=True)] = 32
    learning_rate: Annotated[float, Field(ge=1e-9, le=10)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    proximal: Annotated[float, Field(ge=0, le=1e3)] = 0.0
    server: Server = Server()
    splits: Annotated[int, Field(ge=2, le=20, strict=True)] = 5
    holdout_fraction: Annotated[float, Field(ge=1e-6, lt=0.9)] = 0.15
    aggregation: Literal["average", "trimmed-mean"] = "average"
    trim: Annotated[float, Field(ge=1e-6, lt=0.5)] = 0.2
    clip_norm: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    privacy: Privacy | None = None
    scaffold: bool = False
    partition: Partition = Partition()

    @field_validator("scaffold")
    @classmethod
    def _has_what_control_variates_need(cls, scaffold: bool, info: ValidationInfo) -> bool:
        if not scaffold:
            return scaffold
        said = info.data
        server = said.get("server")
        obstacles = (
            (said.get("momentum"), "momentum = 0: a control variate is the mean of plain gradient steps"),
            (said.get("proximal"), "proximal = 0: its pull would be taken for a gradient, and both stop drift"),
            (
                server and server.optimizer != "average",
                'server.optimizer = "average": the shared control variate is the direction of one plain step',
            ),
            (
                said.get("aggregation") == "trimmed-mean",
                'aggregation = "average": what is trimmed from the model would return through the control variates',
            ),
            (
                said.get("clip_norm"),
                "no clip_norm: what is clipped from an update would return through the control variates",
            ),
            (said.get("privacy"), "no privacy: control variates would be made of its noise, and repeat it every round"),
        )
        if wanted := [need for present, need in obstacles if present]:
            raise ValueError(f"needs {'; '.join(wanted)}")
        return scaffold

    @model_serializer(mode="wrap")
    def _leaves_out_what_older_terms_did_not_know(self, as_it_is: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Resolved terms, whose digest is on ledgers, and calibrations of before keep their bytes."""
        plain: dict[str, Any] = as_it_is(self)
        if self.metric == "accuracy":
            del plain["metric"]
        if self.schema_ is None:
            del plain["schema"]
        return plain


class Attestation(TermsSection):
    """``[attestation]``: what the attester may ask of members beyond their evidence.

    ``openings``: k used rows of every member that are opened to the attester in each round, drawn after all evidence is
    in; 0 opens none. With k openings a share f of leaves without a row behind them is caught with 1 − (1 − f)^k.
    """

    openings: Annotated[int, Field(ge=0, le=1_000, strict=True)] = 0


class Generation(TermsSection):
    """``[generation]``: the generator of synthetic samples and how it is trained.

    ``training`` "federated": pretrained by federated averaging, so that an organization can generate what it lacks;
    "local": each alone, then it generates only classes that it holds. ``maximum``: the most samples an organization may
    generate in a round (g_max); where it is 0 for all there is no generator. ``components``: Gaussians of a class of
    the mixture.
    """

    generator: Literal["cvae", "mixture", "diffusion"] = "cvae"
    training: Literal["federated", "local"] = "federated"
    components: Annotated[int, Field(ge=1, le=32, strict=True)] = 1
    maximum: Annotated[int, Field(ge=0, lt=2**53, strict=True)] = 300
    pretraining_rounds: Annotated[int, Field(ge=1, le=1000, strict=True)] = 30
    epochs: Annotated[int, Field(ge=0, le=1000, strict=True)] = 1
    latent: Annotated[int, Field(ge=1, le=1024, strict=True)] = 8
    hidden: Annotated[int, Field(ge=1, le=4096, strict=True)] = 64
    learning_rate: Annotated[float, Field(ge=1e-9, le=10)] = 0.005
    batch_size: Annotated[int, Field(ge=1, le=65_536, strict=True)] = 32
    panel: Annotated[int, Field(ge=8, le=10_000, strict=True)] = 100


class PowerLawTerms(TermsSection):
    """P(Ω) = (1 - δ̄)(ceiling - scale · Ω^-exponent)."""

    kind: Literal["power-law"]
    ceiling: Annotated[float, Field(ge=1e-9, le=1)] = 1.0
    scale: Annotated[float, Field(ge=1e-9, le=1e15)]
    exponent: Annotated[float, Field(ge=1e-6, le=10)]


class SquareRootTerms(TermsSection):
    """P(Ω) = ceiling - 1/√(Ω·epochs) - 1/epochs."""

    kind: Literal["square-root"]
    ceiling: Annotated[float, Field(ge=1e-9, le=1)] = 1.0
    epochs: Annotated[float, Field(ge=1, le=1e15)]


class SaturatingTerms(TermsSection):
    """P(Ω) = ceiling · (1 - exp(-Ω/scale))."""

    kind: Literal["saturating"]
    ceiling: Annotated[float, Field(ge=1e-9, le=1)] = 1.0
    scale: Annotated[float, Field(ge=1e-3, le=1e15)]


class LossTerms(TermsSection):
    """(data + skew·δ̄)(1 + Ω/scale)^-exponent, a part of the error rate that shrinks with data."""

    scale: Annotated[float, Field(ge=1e-12, le=1e18)]
    exponent: Annotated[float, Field(ge=1e-9, le=100)]
    data: Annotated[float, Field(ge=0, le=1)]
    skew: Annotated[float, Field(ge=-1, le=1)]


class CalibratedTerms(TermsSection):
    """P(Ω) = 1 - floor - skew·δ̄ - Σ losses, fitted to measured accuracies (:mod:`cocogen.game.calibrated`).

    A terms file names the ``file`` that ``cocogen calibrate`` wrote; loading puts its content here, so that the
    resolved terms hold the function itself. ``dataset``, ``model``, ``metric``: what it was measured on, and in.
    ``samples``, ``heterogeneity``: least and largest Ω and δ̄ measured. ``rmse``: of the fit, in the metric.
    """

    kind: Literal["calibrated"]
    dataset: str
    model: str
    metric: Metric = "accuracy"
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

    @model_serializer(mode="wrap")
    def _says_the_metric_unless_it_is_the_accuracy(self, as_it_is: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files and resolved terms of before there were others keep their bytes."""
        plain: dict[str, Any] = as_it_is(self)
        if self.metric == "accuracy":
            del plain["metric"]
        return plain

    def function(self) -> Calibrated:
        """The accuracy function, without heterogeneity."""
        losses = tuple(Loss(loss.scale, loss.exponent, loss.data, loss.skew) for loss in self.losses)
        return Calibrated(self.floor, self.skew, losses, self.samples, self.heterogeneity)


AccuracyTerms = Annotated[
    PowerLawTerms | SquareRootTerms | SaturatingTerms | CalibratedTerms, Field(discriminator="kind")
]


class Market(TermsSection):
    """``[market]``: how accuracy grows with data, and who competes with whom.

    ``competition``: one number for every pair, a table (see :mod:`cocogen.terms.competition`) or a CSV file.
    ``damage``: χ, the share of competition that acts through shared accuracy (1: CoCoGen+; 0: relative standing, as in
    the conference version). ``private_gain``: ψ, accuracy; ``private_base``: effective samples at which it is ψ ln 2.
    """

    accuracy: AccuracyTerms
    competition: Annotated[Any, BeforeValidator(competition_source)]
    damage: Annotated[float, Field(ge=0, le=1)] = 1.0
    private_gain: Annotated[float, Field(ge=0, le=1)] = 0.0
    private_base: Annotated[float, Field(ge=1e-9, le=1e15)] = 100.0


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
    """``[settlement]``: what the ledger enforces. Durations are seconds or text such as "1 day".

    ``token``: the ERC-20 token in which bonds and payoffs are paid, ether when absent; ``wei_per_unit`` and
    ``dispute_bond`` are then its smallest units.
    ``absence``: what counts against a participant that hands in nothing (:mod:`cocogen.mechanisms.absence`): the agreed
    plan, the least that it could contribute, or nothing, so that it is masked.
    """

    wei_per_unit: Annotated[int, Field(ge=1, lt=2**127, strict=True)] = 10**15
    submit_window: Duration = 86_400
    dispute_window: Duration = 86_400
    arbiter_window: Duration = 86_400
    minimum_gap: Duration = HOUR
    quorum: Annotated[float, Field(ge=0.0001, le=1)] = 1.0
    minimum_members: Annotated[int, Field(ge=2, le=MAXIMUM_ORGANIZATIONS, strict=True)] = 2
    dispute_bond: Annotated[int, Field(ge=0, lt=2**127, strict=True)] = 0
    dispute_default: Literal["settle", "void"] = "settle"
    absence: Literal["planned", "least", "masked"] = "planned"
    test: bool = False
    token: Address | None = None
    attester: Address | None = None
    arbiter: Address | None = None


class GenerationCost(TermsSection):
    """C(g) = fixed + linear·g + ½·quadratic·g², in currency, g in raw synthetic samples."""

    linear: Annotated[float, Field(ge=0, le=1e15)] = 0.0
    quadratic: Annotated[float, Field(ge=1e-12, le=1e15)]
    fixed: Annotated[float, Field(ge=0, le=1e15)] = 0.0
