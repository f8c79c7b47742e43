"""Reading a terms file: text to TOML to a validated model, with every field at fault named at once.

Left out: what the fields mean (``consortium``, ``data_market``), and what must hold between them (``terms_checks``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cocogen.errors import ConfigurationError, FieldProblem

__all__ = ["field_problems", "read_terms", "validate_terms"]

_MAXIMUM_FILE_BYTES = 1_000_000
Model = TypeVar("Model", bound=BaseModel)


def read_terms(path: str | Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a TOML file and what they say; ConfigurationError naming the file when it is none."""
    file = Path(path)
    source = _read(file)
    try:
        return source, tomllib.loads(source.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"not a TOML file: {error}", file=str(file), hint="see examples/clinics.toml for a complete terms file"
        ) from error


def validate_terms(model: type[Model], document: Mapping[str, Any], path: str | Path) -> Model:
    """Validate a document; ConfigurationError naming every field at fault, its value and its valid range."""
    try:
        return model.model_validate(document)
    except RecursionError as error:
        raise ConfigurationError("nested too deeply: not a terms file", file=str(path)) from error
    except ValidationError as error:
        raise ConfigurationError(
            "the terms are not valid:",
            file=str(path),
            problems=field_problems(error),
            hint="correct these fields; see examples/clinics.toml and docs/terms.md for their meaning",
        ) from error


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            source = stream.read(_MAXIMUM_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            file=str(file),
            hint="name an existing terms file (TOML)",
        ) from error
    if len(source) > _MAXIMUM_FILE_BYTES:
        raise ConfigurationError(f"larger than {_MAXIMUM_FILE_BYTES:,} bytes: not a terms file", file=str(file))
    return source


_ACCURACY_KINDS = ("power-law", "square-root", "saturating", "calibrated")
_VALID = {
    "missing": "required, but not there",
    "extra_forbidden": "unknown key; remove it or correct its spelling",
    "finite_number": "must be a finite number",
}


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """Every problem that pydantic found, as field, value and valid range."""
    return [_problem(item) for item in error.errors(include_url=False)]


def _problem(item: Mapping[str, Any]) -> FieldProblem:
    location = [part for part in item["loc"] if part not in _ACCURACY_KINDS]
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    field = "".join(parts).lstrip(".") or "(file)"
    value = "nothing" if item["type"] == "missing" else _shorten(item.get("input"))
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return FieldProblem(field, value, _VALID.get(item["type"], message))


def _shorten(value: object) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # too deep, or an integer too long to print
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
