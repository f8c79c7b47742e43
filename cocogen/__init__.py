"""CoCoGen: a consortium of competing organizations decides what to contribute, trains together and settles.

The names below load on first use, so that ``import cocogen`` stays light: it needs neither torch, web3 nor
scipy.optimize. Subpackages: ``cocogen.game`` (the model), ``cocogen.solvers`` (equilibria and their certificate),
``cocogen.mechanisms`` (one round's plan), ``cocogen.learning`` (training, the only place that imports torch),
``cocogen.operations`` (what one does with a consortium).

Examples
--------
>>> import numpy as np
>>> from cocogen import CoopetitionGame, GenerationAmounts, PowerLaw, Redistribution, UniformCompetition, solve
>>> local = np.array([300.0, 200.0, 120.0])
>>> family = GenerationAmounts(local, quality=0.8, cost_linear=0.02, cost_quadratic=0.002, maximum=400.0)
>>> competition = UniformCompetition(0.04, 3)
>>> game = CoopetitionGame(
...     np.array([900.0, 700.0, 500.0]), competition, PowerLaw(1.0, 4.0, 0.5), family,
...     Redistribution.uniform(competition, 0.5, local))
>>> equilibrium = solve(game)
>>> equilibrium.converged, equilibrium.epsilon < 1e-12
(True, True)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cocogen.errors import CoCoGenError
    from cocogen.game.accuracy import AccuracyFunction, PowerLaw, Saturating, SquareRootBound
    from cocogen.game.calibrated import Calibrated
    from cocogen.game.competition import DenseCompetition, SparseCompetition, UniformCompetition
    from cocogen.game.coopetition import CoopetitionGame
    from cocogen.game.data_fractions import DataFractions
    from cocogen.game.redistribution import Redistribution
    from cocogen.game.strategies import GenerationAmounts, StrategyFamily
    from cocogen.mechanisms import mechanism
    from cocogen.mechanisms.redistribution.optimal import optimal_redistribution
    from cocogen.operations.deploy import deploy
    from cocogen.operations.run import run
    from cocogen.operations.session import open_consortium
    from cocogen.operations.status import status
    from cocogen.operations.verdict import audit
    from cocogen.solvers import solve
    from cocogen.solvers.certificate import Certificate, certify
    from cocogen.solvers.equilibrium import Equilibrium
    from cocogen.systems import load_consortium

__all__ = [
    "AccuracyFunction",
    "Calibrated",
    "Certificate",
    "CoCoGenError",
    "CoopetitionGame",
    "DataFractions",
    "DenseCompetition",
    "Equilibrium",
    "GenerationAmounts",
    "PowerLaw",
    "Redistribution",
    "Saturating",
    "SparseCompetition",
    "SquareRootBound",
    "StrategyFamily",
    "UniformCompetition",
    "audit",
    "certify",
    "deploy",
    "load_consortium",
    "mechanism",
    "open_consortium",
    "optimal_redistribution",
    "run",
    "solve",
    "status",
]

_HOME = {
    "AccuracyFunction": "cocogen.game.accuracy",
    "Calibrated": "cocogen.game.calibrated",
    "Certificate": "cocogen.solvers.certificate",
    "CoCoGenError": "cocogen.errors",
    "CoopetitionGame": "cocogen.game.coopetition",
    "DataFractions": "cocogen.game.data_fractions",
    "DenseCompetition": "cocogen.game.competition",
    "Equilibrium": "cocogen.solvers.equilibrium",
    "GenerationAmounts": "cocogen.game.strategies",
    "PowerLaw": "cocogen.game.accuracy",
    "Redistribution": "cocogen.game.redistribution",
    "Saturating": "cocogen.game.accuracy",
    "SparseCompetition": "cocogen.game.competition",
    "SquareRootBound": "cocogen.game.accuracy",
    "StrategyFamily": "cocogen.game.strategies",
    "UniformCompetition": "cocogen.game.competition",
    "audit": "cocogen.operations.verdict",
    "certify": "cocogen.solvers.certificate",
    "deploy": "cocogen.operations.deploy",
    "load_consortium": "cocogen.systems",
    "mechanism": "cocogen.mechanisms",
    "open_consortium": "cocogen.operations.session",
    "optimal_redistribution": "cocogen.mechanisms.redistribution.optimal",
    "run": "cocogen.operations.run",
    "solve": "cocogen.solvers",
    "status": "cocogen.operations.status",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
