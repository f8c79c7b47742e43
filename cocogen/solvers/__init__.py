"""From a game to a certified equilibrium.

One algorithm is one module: ``fixed_point`` (bracketing and the published damped iteration), ``best_response``
(sequential best responses), ``improvement`` (improving moves on a grid), ``benders`` (the global maximum over discrete
levels), ``enumeration`` (the same by exhaustion), ``planner`` (the welfare maximiser). :func:`solve` runs one of them
and certifies its result with ``certificate``, which shares nothing with any of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.coopetition import CoopetitionGame
from cocogen.solvers.benders import generalized_benders
from cocogen.solvers.best_response import best_response_dynamics
from cocogen.solvers.certificate import Certificate, certify
from cocogen.solvers.enumeration import exhaustive_search
from cocogen.solvers.equilibrium import Candidate, Equilibrium, Trace, conclude
from cocogen.solvers.fixed_point import bracketing, damped_iteration
from cocogen.solvers.improvement import finite_improvement
from cocogen.solvers.planner import planner_optimum

__all__ = ["METHODS", "Certificate", "Equilibrium", "Trace", "certify", "solve"]

METHODS: dict[str, Callable[..., Candidate]] = {
    "fixed-point": bracketing,
    "damped": damped_iteration,
    "best-response": best_response_dynamics,
    "benders": generalized_benders,
    "enumeration": exhaustive_search,
    "planner": planner_optimum,
    "improvement": finite_improvement,
}
"""Every algorithm by its name. The planner's result is an optimum; its certificate says how far it is from stable."""


def solve(game: CoopetitionGame, method: str = "fixed-point", **options: Any) -> Equilibrium:
    """Solve a game and certify the result.

    Parameters
    ----------
    game : CoopetitionGame
        The game.
    method : str
        A key of :data:`METHODS`.
    **options
        Handed to the algorithm.

    Returns
    -------
    Equilibrium
        Also when the algorithm gave up: look at ``converged`` and ``epsilon``.

    Raises
    ------
    ConfigurationError
        Unknown method, or an option out of range.
    SolverError
        The game is outside the algorithm's domain.
    """
    if method not in METHODS:
        problem = FieldProblem("method", repr(method), "one of " + ", ".join(METHODS))
        raise ConfigurationError("there is no such solver", problems=[problem])
    begin = time.perf_counter()
    candidate = METHODS[method](game, **options)
    return conclude(game, candidate, time.perf_counter() - begin)
