"""The utility of a coalition in a finished round: its updates aggregated again, and nothing trained again.

What an organization would have done had others been absent is not asked: its update is the one that it made. That is
the "gradient" of GTG-Shapley's name, and what makes 2^N coalitions affordable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cocogen.contribution.coalitions import Coalition, Utility
from cocogen.errors import ConfigurationError
from cocogen.learning.models.states import ModelState, average

__all__ = ["reaggregated"]

Aggregate = Callable[[Sequence[ModelState], Sequence[int]], ModelState]


def reaggregated(
    updates: Sequence[ModelState],
    weights: Sequence[int],
    base: ModelState,
    measure: Callable[[ModelState], float],
    aggregate: Aggregate = average,
) -> Utility:
    """v(S) = ``measure`` (the aggregate of S's ``updates``); v(∅), and v of coalitions without weight, is that of
    ``base``.

    ``updates``: the organizations' models after local training, one layout. ``weights``: those of the round, integers
    of at least 0. ``aggregate``: the aggregation of the round.

    Raises
    ------
    ConfigurationError
        When updates and weights differ in number, or a weight is negative.
    """
    if len(updates) != len(weights) or any(weight < 0 for weight in weights):
        raise ConfigurationError(
            f"{len(updates)} updates with the weights {list(weights)}",
            hint="give one weight of at least 0 for each update",
        )

    def utility(coalition: Coalition) -> float:
        chosen = [weights[n] for n in coalition]
        if not any(chosen):
            return measure(base)
        return measure(aggregate([updates[n] for n in coalition], chosen))

    return utility
