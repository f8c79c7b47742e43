"""What an accepted bundle counts for, and the documents of a round that say so.

Left out: whether a bundle is accepted (:mod:`cocogen.evidence.attester`), and what a contribution is worth in money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.evidence.bundle import Bundle
from cocogen.evidence.checks import Expectation
from cocogen.game.effective import effective_samples
from cocogen.learning.metrics import Evaluation
from cocogen.learning.models.states import SharedModel
from cocogen.ledger import Contribution

__all__ = ["Caps", "Credit", "Measurement", "RoundEvidence", "credit_of"]


class Caps(Protocol):
    """The largest contribution that the ledger accepts, as :class:`cocogen.ledger.Member` states it."""

    @property
    def data_cap(self) -> int: ...
    @property
    def generated_cap(self) -> int: ...
    @property
    def compute_cap(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Credit:
    """What is credited of one bundle: real samples, effective synthetic samples, gradient steps, each at least 0."""

    data: int
    generated: int
    compute: int

    @property
    def weight(self) -> int:
        """That of the classifier in the aggregate, samples."""
        return self.data + self.generated


def credit_of(bundle: Bundle, quality: float, caps: Caps, planned: int | None = None) -> Credit:
    """Counts of a checked ``bundle`` at κ = ``quality``, no more than ``caps`` and ``planned`` effective samples."""
    raw = len(bundle.synthetic.labels)
    generated = min(effective_samples(raw, float(quality)), caps.generated_cap) if raw else 0
    if planned is not None:
        generated = min(generated, planned)
    return Credit(
        data=min(bundle.manifest.real, caps.data_cap),
        generated=generated,
        compute=min(len(bundle.manifest.training.real), caps.compute_cap),
    )


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the attester found in one accepted bundle.

    ``data``: real samples used; ``raw``: synthetic samples used; ``generated``: ⌊κ · raw⌋ with κ =
    ``quality_in_force``; ``compute``: gradient steps; all capped by the terms but ``raw``. ``quality``: κ measured now,
    in force next round; both None where nobody generates. ``update_ratio``: distance of the update over the reference
    distance (limit :data:`cocogen.evidence.outliers.UPDATE_FACTOR`). ``gain``: held-out loss of the aggregate without
    this organization minus with it, nats. ``bundle``: digest of the bundle, hexadecimal.
    """

    organization: str
    data: int
    generated: int
    compute: int
    raw: int
    quality_in_force: float | None
    quality: float | None
    update_ratio: float
    gain: float
    bundle: str

    def document(
        self,
        expected: Expectation,
        aggregated: str,
        evaluation: Evaluation,
        rejected: Mapping[str, str],
        opened: str | None = None,
    ) -> dict[str, Any]:
        """The JSON object whose digest the ledger carries.

        ``aggregated``: digest of the round's model, of which ``evaluation`` is; ``rejected``: whose evidence does not
        count, and why. Documents of version 1 lack these two. ``opened``: digest of the rows that it opened, where some
        are agreed to be; the rows are in no document.
        """
        openings = {} if opened is None else {"openings": opened}
        return {
            "version": 2,
            "round": expected.round,
            "terms_hash": expected.terms_hash.hex(),
            "base_model": expected.base.digest(),
            "aggregated_model": aggregated,
            "evaluation": evaluation.to_dict(),
            "rejected": dict(rejected),
            "measurement": asdict(self),
            **openings,
        }


@dataclass(frozen=True, slots=True)
class RoundEvidence:
    """A round as attested; everything is in the order of the organizations, None for those without contribution.

    ``rejected``: reason by organization. ``aggregated``: the shared model of the accepted updates.
    ``evaluation``: of that model on the test fold. ``quality_next``: κ in force next round, shape (N,), NaN where
    nobody generates. ``documents``: the JSON objects whose digests the ``contributions`` carry.
    """

    measurements: tuple[Measurement | None, ...]
    contributions: tuple[Contribution | None, ...]
    documents: tuple[dict[str, Any] | None, ...]
    rejected: dict[str, str]
    aggregated: SharedModel
    evaluation: Evaluation
    quality_next: NDArray[np.float64]
