"""An exported model as a ``.safetensors`` file: the parameters by their names in torch, and a header in JSON.

Any reader of the format opens it; the metadata field ``cocogen`` holds :meth:`.model.ExportedModel.header`. The
safetensors format has no code in it, so that reading a stranger's file runs none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cocogen.data.archive import MAXIMUM_BYTES
from cocogen.errors import ConfigurationError, LearningError
from cocogen.files import canonical_json, parse_json, read_bounded, write_atomically
from cocogen.learning.exported.model import ExportedModel
from cocogen.learning.models.states import ModelState

__all__ = ["read_tensors", "write_tensors"]

_FIELD = "cocogen"


def write_tensors(path: Path, model: ExportedModel) -> None:
    """Write the file atomically; equal models give equal bytes.

    Raises
    ------
    ConfigurationError
        The extra ``tables`` is not installed.
    WorkspaceError
        It cannot be written.
    """
    # One field: the library writes several in another order every time.
    metadata = {_FIELD: canonical_json(model.header()).decode()}
    write_atomically(path, _library().numpy.save(dict(model.state), metadata))


def read_tensors(path: Path) -> ExportedModel:
    """Read :func:`write_tensors`'s file.

    Raises
    ------
    LearningError
        It cannot be read, or is no such file.
    ConfigurationError
        The extra ``tables`` is not installed.
    """
    library = _library()
    try:
        content = read_bounded(path, MAXIMUM_BYTES)
        length = int.from_bytes(content[:8], "little")
        header = parse_json(content[8 : 8 + length])
        tensors = library.numpy.load(content)
        text = header["__metadata__"][_FIELD]
        plain = parse_json(text)
    except OSError as error:
        raise LearningError(f"{path} cannot be read: {error.strerror or error}", hint="name another file") from error
    except (library.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _foreign(path, f"{type(error).__name__}: {error}") from error
    if any(array.dtype != np.float32 for array in tensors.values()) or not isinstance(plain, dict):
        raise _foreign(path, "its parameters are not float32, or its header is no object")
    return ExportedModel.of(plain, ModelState(tensors), file=str(path))


def _foreign(path: Path, why: str) -> LearningError:
    return LearningError(
        f"{path} is no model that CoCoGen exported: {why}", hint="name a .safetensors file of `cocogen model export`"
    )


def _library() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ConfigurationError(
            "a .safetensors file needs safetensors, which is not installed",
            hint="install it: pip install 'cocogen[tables]', in a clone make install",
        ) from error
    return safetensors
