"""Numbers that are absurd are refused in every section of terms, whatever their field says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

import cocogen.terms.accuracy
import cocogen.terms.consortium
import cocogen.terms.resolved
import cocogen.terms.tradefl
from cocogen.errors import ConfigurationError
from cocogen.terms.competition import competition_matrix
from cocogen.terms.sections import Incentive, Market, TermsSection

ABSURD = (5e-324, -5e-324, 1e-310, 1e-200, 1e101, 1.7e308)


def sections(base: type[TermsSection] = TermsSection) -> Iterator[type[TermsSection]]:
    for section in base.__subclasses__():
        yield section
        yield from sections(section)


FLOATS = sorted(
    {
        (section.__name__, name): section
        for section in sections()
        for name, field in section.model_fields.items()
        if re.search(r"\bfloat\b", str(field.annotation))
    }.items()
)


def problem(section: type[TermsSection], name: str, value: object) -> str:
    """What is wrong with one field of a section, nothing when it is right."""
    try:
        section.model_validate({name: value})
    except ValidationError as error:
        absent = ((name,), "missing")
        return "; ".join(e["msg"] for e in error.errors() if e["loc"][0] == name and (e["loc"], e["type"]) != absent)
    return ""


def test_the_fields_of_numbers_are_found() -> None:
    assert len(FLOATS) > 60


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize(
    ("key", "section"), FLOATS, ids=lambda entry: ".".join(entry) if isinstance(entry, tuple) else ""
)
def test_absurd_magnitudes_are_refused_in_every_field(
    key: tuple[str, str], section: type[TermsSection], value: float
) -> None:
    """Subnormal numbers pass "greater than 0" and end in divisions that overflow."""
    name = key[1]
    many = "tuple" in str(section.model_fields[name].annotation)
    given = ((value, value), (0.5, value), ((value,),), (value,)) if many else (value,)
    assert all(problem(section, name, entry) for entry in given)


@pytest.mark.parametrize("value", [0.0, 1e-100, 0.5, 1e100, 3])
def test_what_is_reasonable_is_refused_by_the_field_alone(value: float) -> None:
    class Anything(TermsSection):
        number: float

    assert problem(Anything, "number", value) == ""


@pytest.mark.parametrize("value", [5e-324, 1e-13, -1e-13, {"a": {"b": 5e-324}}])
def test_competition_is_nothing_or_at_least_a_millionth_of_a_millionth(value: object) -> None:
    if isinstance(value, dict):
        found = competition_matrix(value, ("a", "b"))[1]
        assert "0, or between 1e-12 and 1" in str(found[0])
    else:
        assert "0, or between 1e-12 and 1" in problem(Market, "competition", value)
    assert problem(Market, "competition", 0.0) == problem(Market, "competition", 1e-12) == ""


def test_a_strength_is_nothing_or_what_a_ledger_can_tell_from_nothing() -> None:
    assert "at least 1e-18" in problem(Incentive, "strength", 5e-324)
    assert problem(Incentive, "strength", 0) == problem(Incentive, "strength", 1e-18) == ""


@pytest.mark.parametrize("value", ["5e-324", "1e-200", "1e-13"])
def test_a_terms_file_with_a_subnormal_competition_names_it(tmp_path, value: str) -> None:
    text = (Path(__file__).parents[3] / "examples" / "tradefl.toml").read_text()
    path = tmp_path / "market.toml"
    path.write_text(text.replace("competition = 0.05", f"competition = {value}"))
    with pytest.raises(ConfigurationError, match=rf"market\.competition = {value}: 0, or between 1e-12 and 1"):
        cocogen.terms.tradefl.load_data_market(path)
