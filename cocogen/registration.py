"""From a terms file to resolved terms: everything that is measured before the ledger holds the agreement.

The members' registered samples and label mixes are counted, the generator is pretrained federatedly, the attester
measures every κ on its own holdout, and the incentive is chosen; the floats that enter the resolved terms are the
ones that the ledger's integers decode to (encode first, then play).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocogen.consortium import AccuracyTerms, Consortium
from cocogen.errors import ConfigurationError
from cocogen.game.accuracy import AccuracyFunction, PowerLaw, Saturating, SquareRootBound
from cocogen.ledger import DecodedTerms, LedgerProvider
from cocogen.mechanisms import BASELINES
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.incentive import IncentiveReport, automatic_incentive
from cocogen.mechanisms.resources import GenerationResources
from cocogen.resolved import ResolvedOrganization, ResolvedTerms

if TYPE_CHECKING:
    from cocogen.learning.task import LearningTask, SharedModel

__all__ = ["Registration", "accuracy_function", "market", "register"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Registration:
    """The resolved terms, the shared model that they name by digest, and how the incentive was chosen.

    ``incentive`` is None when the terms file states the strength.
    """

    resolved: ResolvedTerms
    shared: SharedModel
    incentive: IncentiveReport | None


def register(
    consortium: Consortium, provider: LedgerProvider, task: LearningTask, *, progress: Progress | None = None
) -> Registration:
    """Measure what the terms file leaves open and resolve the terms.

    Raises
    ------
    ConfigurationError
        An organization states an address that the provider's account does not have.
    NoRationalIncentive
        ``strength = "auto"`` and no incentive leaves everyone at least as well off as alone.
    LedgerError
        The resolved amounts do not fit the ledger's integers.
    """
    shared = task.pretrain(progress)
    quality = task.measure_quality(shared)
    heterogeneity = np.asarray(task.heterogeneity, dtype=np.float64)
    local = np.asarray(task.registered, dtype=np.int64)
    organizations = tuple(
        ResolvedOrganization(
            name=organization.name,
            address=_address(consortium, provider, organization.name, organization.address),
            profitability=organization.profitability,
            generation_cost=organization.generation_cost,
            generation_maximum=maximum,
            local=int(local[n]),
            label_mix=tuple(float(share) for share in task.label_mix[n]),
            heterogeneity=float(heterogeneity[n]),
            quality=float(quality[n]),
            data_cap=int(local[n]),
            generated_cap=maximum,
            compute_cap=0,
            score_weight=1.0,
            score_offset=-float(local[n]),
        )
        for n, (organization, maximum) in enumerate(
            zip(consortium.organization, consortium.generation_maximum(), strict=True)
        )
    )
    strength = consortium.incentive.strength
    settlement = consortium.settlement
    draft = ResolvedTerms(
        terms_sha256=consortium.source_digest,
        model_digest=shared.digest(),
        consortium=consortium.consortium,
        learning=consortium.learning,
        generation=consortium.generation,
        settlement=settlement,
        accuracy=consortium.market.accuracy,
        heterogeneity=float(heterogeneity @ local / local.sum()),
        competition=tuple(tuple(float(entry) for entry in row) for row in consortium.competition),
        incentive=0.0 if strength == "auto" else strength,
        incentive_rule=consortium.incentive,
        attester=settlement.attester or provider.account("attester"),
        arbiter=settlement.arbiter or provider.account("arbiter"),
        organization=organizations,
    )

    def decode(incentive: float) -> DecodedTerms:
        return provider.decode(draft.model_copy(update={"incentive": incentive}).settlement_terms())

    report = None
    incentive = draft.incentive
    if consortium.consortium.mechanism in BASELINES:
        incentive = 0.0
    elif strength == "auto":
        base = decode(incentive)
        report = automatic_incentive(market(draft, base, quality), decode)
        incentive = report.incentive
    return Registration(draft.model_copy(update={"incentive": incentive}), shared, report)


def _address(consortium: Consortium, provider: LedgerProvider, name: str, stated: str | None) -> str:
    account = provider.account(name)
    if stated is not None and stated.lower() != account.lower():
        raise ConfigurationError(
            f"organization {name} states address {stated}, but its account here is {account}",
            file=consortium.file,
            hint="local ledgers derive accounts from the seed: leave the address out of the terms file",
        )
    return account


def accuracy_function(terms: AccuracyTerms) -> AccuracyFunction:
    """The accuracy function of the terms, without heterogeneity."""
    if terms.kind == "power-law":
        return PowerLaw(terms.ceiling, terms.scale, terms.exponent)
    if terms.kind == "square-root":
        return SquareRootBound(terms.ceiling, terms.epochs)
    return Saturating(terms.ceiling, terms.scale)


def market(
    resolved: ResolvedTerms,
    decoded: DecodedTerms,
    quality: NDArray[np.float64],
    participants: Sequence[bool] | None = None,
    *,
    local: NDArray[np.int64] | None = None,
) -> Market:
    """One round's market: the resolved terms, the κ in force (shape (N,)) and who takes part (default: everyone).

    ``local`` (int64, shape (N,)) replaces the registered samples by those that were contributed.
    """
    organizations = resolved.organization
    return Market(
        names=resolved.names,
        profitability=np.array([o.profitability for o in organizations]),
        competition=np.array(resolved.competition),
        accuracy=accuracy_function(resolved.accuracy),
        heterogeneity=np.array([o.heterogeneity for o in organizations]),
        resources=GenerationResources(
            local=np.array([o.local for o in organizations], dtype=np.int64) if local is None else local,
            quality=np.asarray(quality, dtype=np.float64),
            cost_linear=np.array([o.generation_cost.linear for o in organizations]),
            cost_quadratic=np.array([o.generation_cost.quadratic for o in organizations]),
            cost_fixed=np.array([o.generation_cost.fixed for o in organizations]),
            maximum=np.array([o.generation_maximum for o in organizations], dtype=np.float64),
            data_cap=np.array([o.data_cap for o in organizations], dtype=np.int64),
            generated_cap=np.array([o.generated_cap for o in organizations], dtype=np.int64),
        ),
        decoded=decoded,
        participants=np.ones(len(organizations), dtype=bool) if participants is None else np.array(participants),
    )
