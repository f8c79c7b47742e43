"""How much did each organization contribute? By its resources, and by what the result loses without it.

A *utility* says what a coalition's aggregate is worth (:mod:`~cocogen.contribution.coalitions`); a *sampler*
says which orders of joining are looked at (:mod:`~cocogen.contribution.samplers`); a *stopping rule* says when
that is enough (:mod:`~cocogen.contribution.stopping`); an *estimator* turns all of it into one
:class:`Valuation`. The separation is that of pyDVL. Nothing here is trained again and nothing imports torch: a round's
utility is the held-out performance of its updates aggregated again without some of them.

Players are numbered 0 … N-1 in the order of the terms. Left out: what is paid (``cocogen.mechanisms``). Transfers
follow from contributions that an organization chooses itself; a Shapley value depends on the strategies of all, and
inside the redistribution it would destroy the potential of the game.
"""

from __future__ import annotations

from cocogen.contribution.coalitions import Coalition, Coalitions, Utility
from cocogen.contribution.exact import EXACT_UP_TO, exact_shapley, leave_one_out
from cocogen.contribution.reaggregation import reaggregated
from cocogen.contribution.resources import resources
from cocogen.contribution.samplers import Antithetic, Guided, Sampler, Uniform
from cocogen.contribution.sampling import guided_truncated, sampled_shapley, shapley, truncated_monte_carlo
from cocogen.contribution.stopping import Budget, Either, Sampled, StandardError, StoppingRule
from cocogen.contribution.valuation import Valuation

__all__ = [
    "EXACT_UP_TO",
    "Antithetic",
    "Budget",
    "Coalition",
    "Coalitions",
    "Either",
    "Guided",
    "Sampled",
    "Sampler",
    "StandardError",
    "StoppingRule",
    "Uniform",
    "Utility",
    "Valuation",
    "exact_shapley",
    "guided_truncated",
    "leave_one_out",
    "reaggregated",
    "resources",
    "sampled_shapley",
    "shapley",
    "truncated_monte_carlo",
]
