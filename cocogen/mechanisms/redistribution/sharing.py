"""Score offsets that share a surplus: transfers of any zero-sum vector through the Laplacian of the ledger's rates.

At a fixed profile the transfers are R = L X with X = offset + weight · x, so offsets move money between organizations
without touching anyone's incentives. In a connected component every vector that sums to zero can be reached; between
components no money can move. The gauge, a constant for each component, makes the scores of registered data sum to zero.
All of it is ours. Left out: which profile and weights (``optimal``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cocogen.errors import NoRationalSharing, SolverError
from cocogen.game.arrays import Array, IntArray
from cocogen.game.redistribution import Redistribution

__all__ = ["bonds", "components", "equal_surplus", "least_bonds"]

Label = Callable[[int], str]


def equal_surplus(
    rule: Redistribution, inputs: Array, unpaid: Array, outside: Array, reference: Array, label: Label
) -> Array:
    """Offsets that leave everyone its outside option and an equal share of its component's surplus.

    Parameters
    ----------
    rule : Redistribution
        Decoded rates and weights; its offsets are ignored.
    inputs : ndarray
        Score inputs x at the equilibrium, shape (N,).
    unpaid : ndarray
        Payoffs there without transfers, shape (N,), currency.
    outside : ndarray
        Outside options, shape (N,), currency.
    reference : ndarray
        Score inputs at which the scores of a component sum to zero, shape (N,).
    label : callable
        How messages call an organization.

    Returns
    -------
    ndarray
        Shape (N,), in units of score.

    Raises
    ------
    NoRationalSharing
        A component's surplus is negative.
    """
    rates = rule.rates.symmetric()
    member = components(rates)
    wanted = _targets(member, unpaid, outside, label) - unpaid
    scores = np.zeros(rule.size)
    for component in range(int(member.max()) + 1):
        here = np.flatnonzero(member == component)
        if here.size > 1:
            block = rates[np.ix_(here, here)]
            laplacian = np.diag(block.sum(axis=1)) - block
            scores[here[1:]] = np.linalg.solve(laplacian[1:, 1:], wanted[here[1:]])
    return _in_gauge(scores - rule.score_weights * inputs, rule.score_weights, reference, member)


def least_bonds(
    rule: Redistribution, inputs: Array, unpaid: Array, outside: Array, reference: Array, label: Label, largest: Array
) -> Array:
    """Offsets with the least Σ L_n among those that leave every surplus at 0 or above: a linear programme.

    L_n = Σ_m rate_nm max(0, offset_m + weight_m · largest_m − offset_n) is what :func:`bonds` gives and what the ledger
    asks for; ``largest`` are the largest score inputs, shape (N,). The rest, and the errors, are as in
    :func:`equal_surplus`; SolverError when HiGHS does not finish.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, hstack, vstack

    rates = rule.rates.symmetric()
    member = components(rates)
    _targets(member, unpaid, outside, label)
    shared = equal_surplus(rule, inputs, unpaid, outside, reference, label)
    count = rule.size
    first, second = np.nonzero(rates)
    pairs = first.size
    if pairs == 0:
        return shared
    # Offsets are looked for as deviations from the equal-surplus ones, in units of the largest score.
    unit = float(np.abs(rule.score_weights * largest + shared).max()) or 1.0
    best = (shared + rule.score_weights * largest) / unit
    money = unit * float(rates.max())
    weight = rates[first, second] / rates.max()
    row = np.arange(pairs)
    # u_nm ≥ best_m + v_m − (shared_n + v_n)
    excess = coo_array(
        (np.concatenate([np.ones(pairs), -np.ones(pairs)]), (np.tile(row, 2), np.concatenate([second, first]))),
        shape=(pairs, count),
    )
    over = hstack([excess, -coo_array((np.ones(pairs), (row, row)), shape=(pairs, pairs))])
    limit = shared[first] / unit - best[second]
    laplacian = (np.diag(rates.sum(axis=1)) - rates) / rates.max()
    rational = hstack([coo_array(-laplacian), coo_array((count, pairs))])
    surplus = (unpaid - outside + rule.rates.laplacian(shared + rule.score_weights * inputs)) / money
    gauge = coo_array((np.ones(count), (member, np.arange(count))), shape=(int(member.max()) + 1, count))
    found = linprog(  # type: ignore[call-overload]  # the stubs know dense matrices only
        np.concatenate([np.zeros(count), weight]),
        A_ub=vstack([over, rational]).tocsr(),
        b_ub=np.concatenate([limit, np.maximum(surplus, 0.0)]),
        A_eq=hstack([gauge, coo_array((gauge.shape[0], pairs))]).tocsr(),
        b_eq=np.zeros(gauge.shape[0]),
        bounds=[(None, None)] * count + [(0.0, None)] * pairs,
        method="highs",
    )
    if not found.success:
        raise SolverError(f"the least bonds were not found: {found.message}", hint='use offsets = "equal-surplus"')
    moved = unit * found.x[:count]
    # The programme's tolerance may leave a surplus just below 0; going a little back towards equal shares mends it.
    change = rule.rates.laplacian(moved)
    equal = unpaid - outside + rule.rates.laplacian(shared + rule.score_weights * inputs)
    short = (equal + change < 0.0) & (change < 0.0)
    kept = float((np.maximum(equal[short], 0.0) / -change[short]).min()) if short.any() else 1.0
    return np.asarray(shared + kept * moved)


def bonds(rule: Redistribution, largest: Array) -> Array:
    """L_n, the most that a round can take from each, who contributes nothing while all others reach their best scores.

    Returns
    -------
    ndarray
        Shape (N,), currency; the ledger's liability but for its rounding to wei.
    """
    best = rule.score_offsets + rule.score_weights * largest
    gaps = np.maximum(best[None, :] - rule.score_offsets[:, None], 0.0)
    return np.asarray((rule.rates.symmetric() * gaps).sum(axis=1))


def components(rates: Array) -> IntArray:
    """Which connected component of the transfer graph each organization is in, shape (N,), int64, from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(coo_array(rates), directed=False)[1], dtype=np.int64)


def _targets(member: IntArray, unpaid: Array, outside: Array, label: Label) -> Array:
    """Payoffs with equal surplus in each component."""
    wanted = outside.copy()
    for component in range(int(member.max()) + 1):
        here = np.flatnonzero(member == component)
        surplus = float((unpaid[here] - outside[here]).sum())
        if surplus < -1e-12 * float(np.abs(outside[here]).sum()):
            who = "all organizations" if here.size == member.size else ", ".join(label(int(n)) for n in here)
            raise NoRationalSharing(
                f"together at the planner's optimum, {who} would be {-surplus:.6g} below what they earn alone: less "
                "than nothing is left to share",
                hint="lower the competition between them or their costs, or leave out whom the others harm most",
            )
        wanted[here] += surplus / here.size
    return wanted


def _in_gauge(offsets: Array, weights: Array, reference: Array, member: IntArray) -> Array:
    """Shift each component's offsets by a constant so that Σ (offset + weight · reference) = 0."""
    totals = np.bincount(member, weights=offsets + weights * reference)
    return np.asarray(offsets - (totals / np.bincount(member))[member])
