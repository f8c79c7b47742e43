"""Which arrays an object can reach, so that a test can tell what somebody holds."""

from __future__ import annotations

import functools
import gc
import types
from typing import Any

import numpy as np
import torch

_ELSEWHERE = (type, types.ModuleType, types.BuiltinFunctionType, types.FrameType)


def arrays_of(*roots: object) -> list[np.ndarray]:
    """Every array and tensor (as an array) that lies behind the ``roots``, each once.

    Followed are attributes, containers, slots, closures, defaults and the parts of a partial; not modules and classes,
    which are everybody's.
    """
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    found, kept = [], []
    while waiting:
        here = waiting.pop()
        if id(here) in seen or isinstance(here, _ELSEWHERE):
            continue
        seen.add(id(here))
        kept.append(here)  # so that no identity is used twice
        if isinstance(here, np.ndarray) or (isinstance(here, torch.Tensor) and not here.is_meta):
            found.append(np.asarray(here))
        if isinstance(here, np.ndarray):
            waiting += [] if here.base is None else [here.base]
        elif isinstance(here, types.FunctionType):
            waiting += [*(here.__closure__ or ()), here.__defaults__, here.__kwdefaults__, here.__dict__]
        elif isinstance(here, types.MethodType):
            waiting += [here.__self__, here.__func__]
        elif isinstance(here, functools.partial):
            waiting += [here.func, here.args, here.keywords]
        else:
            waiting += gc.get_referents(here)
    return found


def rows_of(arrays: list[np.ndarray], width: int) -> set[bytes]:
    """The rows of ``width`` numbers in the arrays, of whatever type, as bytes."""
    flat = [array.reshape(len(array), -1) for array in arrays if array.ndim > 1 and len(array)]
    return {row.tobytes() for rows in flat if rows.shape[1] == width for row in rows}
