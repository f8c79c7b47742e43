"""Where models train: on the CPU, or on a GPU when there is one.

The choice is the machine's, not the consortium's: it is no part of the terms. On a CPU equal seeds give equal bytes;
a GPU agrees with it up to floating point rounding, which the attester's tolerances leave room for.
"""

from __future__ import annotations

import os

import torch

from cocogen.errors import LearningError

__all__ = ["DEVICE_VARIABLE", "choose_device"]

DEVICE_VARIABLE = "COCOGEN_DEVICE"


def choose_device(name: str | None = None) -> torch.device:
    """The device that ``name`` means: "cpu", "cuda", or "auto" for CUDA where there is one and the CPU elsewhere.

    None takes the name from the environment variable ``COCOGEN_DEVICE``, which worker processes inherit; "auto"
    without it.

    Raises
    ------
    LearningError
        When the name is none of these, or CUDA is asked for and not there.
    """
    chosen = os.environ.get(DEVICE_VARIABLE, "auto") if name is None else name
    if chosen not in ("auto", "cpu", "cuda"):
        raise LearningError(f"no device is called {chosen!r}", hint="choose one of: auto, cpu, cuda")
    there = torch.cuda.is_available()
    if chosen == "cuda" and not there:
        raise LearningError("there is no CUDA device here, or torch was built without CUDA", hint="choose auto or cpu")
    return torch.device("cuda" if there and chosen != "cpu" else "cpu")
