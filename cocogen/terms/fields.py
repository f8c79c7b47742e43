"""What every section of a terms file is made of: durations, counts, names, and numbers of a reasonable magnitude."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

__all__ = ["HOUR", "Count", "Duration", "Slug", "TermsSection", "parse_duration"]

_DURATION = re.compile(r"[ \t]*([0-9]{1,12})[ \t]*(second|minute|hour|day|week)s?[ \t]*")
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
HOUR, _YEAR = 3_600, 365 * 86_400


def parse_duration(value: object) -> object:
    """Seconds of a duration such as ``"1 day"``; an integer is taken as seconds, anything else is left to fail."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise ValueError('a number of seconds, or text such as "90 minutes" or "1 day"')
        return int(match[1]) * _SECONDS[match[2]]
    return value


def _floats(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, tuple):
        for entry in value:
            yield from _floats(entry)


Duration = Annotated[int, BeforeValidator(parse_duration), Field(ge=1, le=_YEAR, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class TermsSection(BaseModel):
    """A section of the terms: unknown keys, NaN, infinities and absurd magnitudes are errors; immutable.

    A number that is not 0 lies between 1e-100 and 1e100 in absolute value, so that products and quotients of a few
    neither overflow nor vanish; most fields have narrower limits of their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _has_a_reasonable_magnitude(cls, value: object) -> object:
        if any(not 1e-100 <= abs(number) <= 1e100 for number in _floats(value) if number):
            raise ValueError("0, or between 1e-100 and 1e+100 in absolute value")
        return value
