"""The studies by their names, as the command line offers them. Left out of the package's root: it loads solvers."""

from __future__ import annotations

from collections.abc import Sequence

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.experiments import (
    cocogen_plus,
    cocogen_rationality,
    cocogen_sweeps,
    deviation,
    misreport,
    silent,
    tradefl,
    tradefl_comparison,
    tradefl_sweeps,
)
from cocogen.experiments.study import Experiment

__all__ = ["STUDIES", "select"]

STUDIES: dict[str, tuple[Experiment, ...]] = {
    "tradefl": (
        tradefl.POTENTIAL_DYNAMICS,
        tradefl.PAYOFF_DYNAMICS,
        tradefl_comparison.WELFARE_BY_SCHEME,
        tradefl_comparison.DATA_AND_ACCURACY,
        tradefl_sweeps.INCENTIVE_SWEEP,
        tradefl_sweeps.OVERHEAD_SWEEP,
        tradefl_sweeps.COMPETITION_MAP,
        tradefl_sweeps.OVERHEAD_MAP,
    ),
    "cocogen": (
        cocogen_plus.DYNAMICS,
        cocogen_plus.SCHEMES,
        cocogen_plus.INCENTIVE_SWEEP,
        cocogen_plus.DIFFICULTY,
        cocogen_sweeps.COMPETITION,
        cocogen_sweeps.HETEROGENEITY,
        cocogen_sweeps.COMPETITION_MAP,
        cocogen_sweeps.COST_MAP,
        cocogen_rationality.RATIONALITY,
    ),
    "deviation": (deviation.DEVIATION, silent.SILENCE),
    "misreport": (misreport.MISREPORT,),
}
"""Experiments of each study, in the order in which they run."""


def select(study: str, only: Sequence[str] = ()) -> tuple[Experiment, ...]:
    """The experiments of a study, all or the named ones, in the study's order.

    Raises
    ------
    ConfigurationError
        There is no such study, or it has no such experiment; the problem lists the valid names.
    """
    if study not in STUDIES:
        problem = FieldProblem("study", repr(study), "one of " + ", ".join(STUDIES))
        raise ConfigurationError("there is no such study", problems=[problem])
    known = {experiment.name: experiment for experiment in STUDIES[study]}
    problems = [FieldProblem("only", repr(name), "one of " + ", ".join(known)) for name in only if name not in known]
    if problems:
        raise ConfigurationError(f"the study {study!r} has no such experiment", problems=problems)
    return tuple(experiment for name, experiment in known.items() if not only or name in only)
