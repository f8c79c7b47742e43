"""What the accepted updates of a round make together, and what each of them adds to it.

Left out: the rules of aggregation themselves (:mod:`cocogen.learning.aggregation`), and the values of coalitions
(:mod:`cocogen.contribution`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cocogen.evidence.bundle import Bundle
from cocogen.evidence.checks import Expectation
from cocogen.evidence.measurement import Credit
from cocogen.learning.aggregation.base import Aggregation
from cocogen.learning.aggregation.server import newest
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.learning.training.scaffold import remembered

__all__ = ["Pool", "with_variates"]


class Pool:
    """The updates of those accepted, clipped by the norms of all of them, with the weights that were measured.

    Classifiers are averaged with weights data + generated, generators with data, so that nobody gains weight by a claim
    that is not attested. ``bases``: the model that each organization was given, the accepted or not. ``generators``:
    False leaves the shared generator as it is.
    """

    def __init__(
        self,
        bundles: Mapping[int, Bundle],
        credit: Mapping[int, Credit],
        bases: Sequence[SharedModel],
        aggregation: Aggregation,
        *,
        generators: bool,
    ) -> None:
        self.members = sorted(bundles)
        self._credit = credit
        self._bases = bases
        self._aggregation = aggregation
        self._generators = generators
        chosen, own = [bundles[n] for n in self.members], [bases[n] for n in self.members]
        classifiers = aggregation.clip([b.classifier for b in chosen], [base.classifier for base in own])
        fitted = aggregation.clip([b.generator for b in chosen], [base.generator for base in own])
        self._updates = {n: SharedModel(*parts) for n, *parts in zip(self.members, classifiers, fitted, strict=True)}

    def aggregate(self, members: Sequence[int], base: SharedModel) -> SharedModel:
        """The average of the updates of ``members``; without weight a part is that of ``base``."""
        chosen, combine = [self._updates[n] for n in members], self._aggregation.combine
        weights = [self._credit[n].weight for n in members]
        data = [self._credit[n].data for n in members]
        averaged = self._generators and any(data)
        return SharedModel(
            classifier=combine([u.classifier for u in chosen], weights) if any(weights) else base.classifier,
            generator=combine([u.generator for u in chosen], data) if averaged else base.generator,
        )

    def step(self) -> SharedModel:
        """The next shared model: the server steps from the newest base towards the average.

        Without any weight the base stands: the newest that an optimizer made, or that of the first organization.
        """
        current = newest(self._bases)
        mean = self.aggregate(self.members, current)
        if not any(self._credit[n].weight for n in self.members):
            return SharedModel(mean.classifier, mean.generator, current.server)
        classifier, remembered = self._aggregation.step(current.classifier, mean.classifier, current.server)
        return SharedModel(classifier, mean.generator, remembered)

    def gains(self, loss: Callable[[ModelState], float]) -> dict[int, float]:
        """How much each member lowers the ``loss`` of the average of all, in its unit; before the server's step."""
        together = loss(self.aggregate(self.members, self._bases[0]).classifier)
        return {
            n: loss(self.aggregate([m for m in self.members if m != n], self._bases[n]).classifier) - together
            for n in self.members
        }


def with_variates(
    aggregated: SharedModel,
    accepted: Mapping[int, Bundle],
    credit: Mapping[int, Credit],
    expectations: Sequence[Expectation],
) -> SharedModel:
    """The aggregate with SCAFFOLD's shared control variate, unchanged where it is not agreed or nobody counts."""
    if not any(credit[n].weight for n in accepted):
        return aggregated
    variates = []
    for n, expected in enumerate(expectations):
        if (variate := expected.variate) is None:
            return aggregated
        if n in accepted:
            steps, rate = len(accepted[n].manifest.training.real), expected.schedule.learning_rate
            variate = variate.renewed(expected.base, accepted[n].classifier, steps, rate, credit[n].weight)
        variates.append(variate)
    return replace(aggregated, server=remembered(variates, aggregated.server))
