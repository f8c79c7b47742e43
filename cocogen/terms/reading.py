"""Reading a terms file: text to TOML to a validated model, with every field at fault named at once.

Left out: what the fields mean (``consortium``, ``tradefl``), and what must hold between them (``checks``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.files import parse_toml, read_bounded

__all__ = ["field_problems", "read_terms", "validate_terms"]

_MAXIMUM_FILE_BYTES = 1_000_000
_SEE = "see examples/clinics.toml for a complete terms file"
_CORRECT = "correct these fields; see examples/clinics.toml and docs/terms.md for their meaning"
Model = TypeVar("Model", bound=BaseModel)


def read_terms(path: str | Path, *, hint: str = _SEE) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a TOML file and what they say; ConfigurationError naming the file when it is none, with ``hint``."""
    file = Path(path)
    source = _read(file)
    try:
        return source, parse_toml(source.decode("utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"not a TOML file: {error}", file=str(file), hint=hint) from error


def validate_terms(
    model: type[Model],
    document: Mapping[str, Any],
    path: str | Path,
    *,
    message: str = "the terms are not valid:",
    hint: str = _CORRECT,
) -> Model:
    """Validate a document; ConfigurationError naming every field at fault, its value and its valid range."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError(
            message,
            file=str(path),
            problems=field_problems(error),
            hint=hint,
        ) from error


def _read(file: Path) -> bytes:
    try:
        return read_bounded(file, _MAXIMUM_FILE_BYTES)
    except (OSError, ValueError) as error:  # a ValueError for a name that no file can have, or too much in it
        raise ConfigurationError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            file=str(file),
            hint="name an existing file (TOML) of at most a megabyte",
        ) from error


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
