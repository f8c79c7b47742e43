"""Checked, read-only arrays: the edge at which numbers enter the game; behind it arrays are trusted.

Left out: the checks of a terms file, which know its fields (``cocogen.terms.consortium``).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cocogen.errors import ConfigurationError, FieldProblem

__all__ = ["Array", "BoolArray", "IntArray", "frozen", "scalar", "vector"]

Array: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


def frozen(array: Array) -> Array:
    """Return a read-only view, so that a validated value cannot be changed behind the game's back."""
    view = array.view()
    view.flags.writeable = False
    return view


def vector(
    field: str,
    value: ArrayLike,
    size: int,
    *,
    lower: float = -math.inf,
    upper: float = math.inf,
    positive: bool = False,
) -> Array:
    """One number per organization, checked.

    Parameters
    ----------
    field : str
        Its name in error messages.
    value : array_like
        Shape (size,), or a scalar that holds for every organization.
    size : int
        N.
    lower, upper : float
        The valid range, inclusive.
    positive : bool
        Also refuse 0.

    Returns
    -------
    ndarray
        Shape (size,), float64, read-only.

    Raises
    ------
    ConfigurationError
        Wrong shape, not finite, or out of range; the problem names the first entry at fault.
    """
    array = np.array(value, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(size, array)
    if array.shape != (size,):
        problem = FieldProblem(field, f"shape {array.shape}", f"shape ({size},) or a scalar")
        raise ConfigurationError("an array does not fit the number of organizations", problems=[problem])
    wrong = ~np.isfinite(array) | (array < lower) | (array > upper)
    if positive:
        wrong |= array <= 0.0
    if wrong.any():
        n = int(np.argmax(wrong))
        problem = FieldProblem(f"{field}[{n}]", repr(float(array[n])), _range(lower, upper, positive))
        raise ConfigurationError("a parameter of the game is out of range", problems=[problem])
    return frozen(array)


def scalar(
    field: str, value: float, *, lower: float = -math.inf, upper: float = math.inf, positive: bool = False
) -> float:
    """One number of the whole market, checked as :func:`vector` checks an entry."""
    number = float(value)
    if not math.isfinite(number) or not lower <= number <= upper or (positive and number <= 0.0):
        problem = FieldProblem(field, repr(number), _range(lower, upper, positive))
        raise ConfigurationError("a parameter of the game is out of range", problems=[problem])
    return number


def _range(lower: float, upper: float, positive: bool) -> str:
    least = "greater than 0" if positive else (f"at least {lower:g}" if lower > -math.inf else "")
    most = f"at most {upper:g}" if upper < math.inf else ""
    return ", ".join(["a finite number", *filter(None, (least, most))])
