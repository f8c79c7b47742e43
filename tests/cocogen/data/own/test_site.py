from __future__ import annotations

from pathlib import Path

import pytest

from cocogen.data.own.site import check_site, load_site, near
from cocogen.errors import ConfigurationError
from cocogen.terms.schema import ImageSchema
from tests.cocogen.data.own.sites import SCHEMA, site_of

FULL = """
    identifiers = ["patient"]
    [csv]
    separator = ";"
    decimal = ","
    thousands = "."
    encoding = "cp1252"
    missing = ["NA", "?"]
    [columns]
    outcome = "Ausgang"
    [values.outcome]
    survived = ["lebend", 0]
    died = ["verstorben", true]
    [factors]
    glucose = 0.0555
    [offsets]
    age = -1
    [split]
    validation = 0.25
    group = "patient"
"""


def test_a_site_file_says_everything_that_differs(tmp_path: Path) -> None:
    site = site_of(tmp_path, "export.csv", FULL)
    check_site(site, SCHEMA)
    assert site.path == tmp_path / "export.csv"
    assert (site.own_name("outcome"), site.own_name("age")) == ("Ausgang", "age")
    assert site.own_values("outcome", SCHEMA.classes) == {"lebend": 0, "0": 0, "verstorben": 1, "true": 1}
    assert site.own_values("sex", ("f", "m")) == {"f": 0, "m": 1}
    assert (site.split.validation, site.split.group, site.factors["glucose"]) == (0.25, "patient", 0.0555)
    assert not site.is_attester
    assert site_of(tmp_path, "x.csv", organization="attester").is_attester


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ('separater = ";"', "separater", "unknown key"),
        ('[csv]\nseparator = ";;"', "csv.separator", "match pattern"),
        ('[csv]\nseparator = "a"', "csv.separator", "one character"),
        ('[csv]\ndecimal = ";"', "csv.decimal", "'.' or ','"),
        ('[csv]\nthousands = "."', "csv", "must differ"),
        ("[csv]\nquote = ','\nseparator = ','", "csv", "must differ"),
        ('[csv]\nencoding = "klingon"', "csv.encoding", "an encoding of text"),
        ('[csv]\nencoding = "base64"', "csv.encoding", "an encoding of text"),
        ('[columns]\nage = ""', "columns.age", "at least 1"),
        ('[columns]\nage = "a"\nsex = "a"', "(file)", "stands for two"),
        ('[values.sex]\nf = ["w", "w"]', "(file)", "stands twice"),
        ("[factors]\nage = 0", "factors", "other than 0"),
        ("[factors]\nage = nan", "factors.age", "finite"),
        ("[split]\nvalidation = 1.0", "split.validation", "less than or equal to 0.9"),
        ('[split]\nvalidation = "half"', "split.validation", "number"),
    ],
)
def test_every_field_at_fault_is_named_with_its_value_and_range(
    tmp_path: Path, settings: str, field: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match="the site file is not valid") as caught:
        site_of(tmp_path, "export.csv", settings)
    assert str(tmp_path / "site.toml") in str(caught.value)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert said in problem.valid
    assert "docs/own-data.md" in caught.value.hint


def test_a_site_file_that_is_no_toml_or_not_there_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("organization = north\n")
    for name, said in (("site.toml", "not a TOML file"), ("none.toml", "cannot be read")):
        with pytest.raises(ConfigurationError, match=said):
            load_site(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ('[columns]\nAge = "x"', "columns.Age", "did you mean 'age'?"),
        ("[factors]\nsex = 2", "factors.sex", "'age', 'glucose'"),
        ("[offsets]\noutcome = 2", "offsets.outcome", "not in the schema"),
        ('[values.age]\nold = ["x"]', "values.age", "not in the schema"),
        ('[values.sex]\nfemale = ["x"]', "values.sex.female", "not in the schema"),
        ('[values.sex]\nf = ["m"]', "values.sex.m", "stands for 'f' already"),
        ('[split]\ngroup = "age"', "split.group", "no number of the schema"),
        ('[columns]\nage = "sex"', "columns.sex", "that of 'age' already"),
    ],
)
def test_names_that_the_schema_has_not_are_named(tmp_path: Path, settings: str, field: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match="does not fit the schema") as caught:
        check_site(site_of(tmp_path, "export.csv", settings), SCHEMA)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert said in problem.valid


def test_images_have_neither_columns_nor_units(tmp_path: Path) -> None:
    images = ImageSchema(kind="images", shape=(1, 8, 8), classes=("a", "b"))
    check_site(site_of(tmp_path, "scans", '[values.class]\na = ["A"]'), images)
    settings = '[columns]\nage = "x"\n[values.label]\na = ["A"]'
    with pytest.raises(ConfigurationError) as caught:
        check_site(site_of(tmp_path, "scans", settings), images)
    assert [problem.field for problem in caught.value.problems] == ["columns", "values.label"]


def test_near_names_differ_in_case_and_signs_or_by_a_letter() -> None:
    assert near("mean radius", ["Mean_Radius", "radius"]) == ["Mean_Radius"]
    assert near("glucose", ["Glukose", "sex"]) == ["Glukose"]
    assert near("age", ["outcome"]) == []


def test_the_page_on_own_data_shows_a_site_file_that_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "own-data.md").read_text(encoding="utf-8")
    section = page[page.index("## The site file") :]
    start = section.index("```toml") + len("```toml\n")
    (tmp_path / "site.toml").write_text(section[start : section.index("```", start)], encoding="utf-8")
    site = load_site(tmp_path / "site.toml")
    said = {name for name in type(site).model_fields if getattr(site, name) != type(site).model_fields[name].default}
    assert said == set(type(site).model_fields)
    assert (site.csv.decimal, site.split.group) == (",", "patient")
