"""The schema says what a row is, once for all sites, and the terms take it with own data alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cocogen.errors import ConfigurationError
from cocogen.terms.consortium import load_consortium
from cocogen.terms.schema import ImageSchema, Schema, TableSchema
from cocogen.terms.sections import Learning

EXAMPLE = Path("examples/clinics.toml")
AGE = {"name": "age", "kind": "number", "minimum": 0, "maximum": 120}
SEX = {"name": "sex", "kind": "category", "levels": ["f", "m"]}
TABLE: dict[str, Any] = {"kind": "table", "label": "outcome", "classes": ["lived", "died"], "feature": [AGE, SEX]}
OWN = """dataset = "own"
[learning.schema]
kind = "table"
label = "outcome"
classes = ["lived", "died"]
[[learning.schema.feature]]
name = "age"
kind = "number"
minimum = 0
maximum = 120
"""


def schema(**changes: Any) -> TableSchema | ImageSchema:
    found: TableSchema | ImageSchema = TypeAdapter(Schema).validate_python(TABLE | changes)
    return found


def own(altered: Callable[[str, str], Path], **changes: str) -> Path:
    """The clinics, but with own data; ``changes`` replace values of the learning section."""
    path = altered('dataset = "diagnostic"', 'dataset = "diagnostic"')
    text = path.read_text()
    start, end = text.index("[learning]"), text.index("[generation]")
    section = "[learning]\n" + "".join(f"{name} = {value}\n" for name, value in changes.items()) + OWN
    path.write_text(text[:start] + section + text[end:])
    return path


def test_columns_follow_features_in_their_order() -> None:
    features = [AGE | {"missing": "indicator"}, SEX | {"missing": "level"}, AGE | {"name": "weight"}]
    found = schema(feature=features)
    assert isinstance(found, TableSchema)
    assert found.shape == (2 + 3 + 1,)
    assert [feature.name for feature in found.numbers] == ["age", "weight"]
    assert [feature.name for feature in found.categories] == ["sex"]


def test_the_digest_tells_schemas_apart() -> None:
    assert schema().digest() == schema().digest()
    assert schema().digest() != schema(classes=["died", "lived"]).digest()
    assert schema().digest() != schema(minimum_cell=0).digest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": ["lived"]},
        {"classes": ["lived", "lived"]},
        {"classes": ["lived", " died"]},
        {"label": "age"},
        {"feature": []},
        {"feature": [AGE, AGE]},
        {"feature": [AGE | {"minimum": 120}]},
        {"feature": [AGE | {"maximum": float("inf")}]},
        {"feature": [AGE | {"missing": "level"}]},
        {"feature": [SEX | {"levels": ["f"]}]},
        {"feature": [SEX | {"missing": "mean"}]},
        {"feature": [AGE | {"name": "a\nge"}]},
        {"minimum_cell": -1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_schema_that_says_nothing_clear_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema(**wrong)


def test_terms_take_a_schema_with_own_data(altered: Callable[[str, str], Path]) -> None:
    found = load_consortium(own(altered, metric='"auroc"')).learning
    assert isinstance(found.schema_, TableSchema)
    assert found.metric == "auroc"
    assert "schema" in json.loads(found.model_dump_json())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"samples": "100"}, "learning.samples"),
        ({"partition": '{ kind = "iid" }'}, "learning.partition"),
        ({"model": '"lenet"'}, "learning.model"),
    ],
)
def test_what_shares_out_one_data_set_has_no_place_beside_own_data(
    altered: Callable[[str, str], Path], changes: dict[str, str], field: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(own(altered, **changes))
    assert [problem.field for problem in caught.value.problems] == [field]


def test_own_data_need_a_schema_and_others_have_none(altered: Callable[[str, str], Path]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(altered('dataset = "diagnostic"', 'dataset = "own"'))
    assert "learning.schema" in [problem.field for problem in caught.value.problems]
    path = own(altered)
    path.write_text(path.read_text().replace('dataset = "own"', 'dataset = "diagnostic"'))
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    assert [problem.field for problem in caught.value.problems] == ["learning.schema"]


def test_the_area_under_the_curve_is_that_of_two_classes(altered: Callable[[str, str], Path]) -> None:
    path = own(altered, metric='"auroc"')
    path.write_text(path.read_text().replace('["lived", "died"]', '["lived", "died", "moved"]'))
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    assert [problem.field for problem in caught.value.problems] == ["learning.metric"]


def test_rows_are_opened_only_where_rows_are_registered(altered: Callable[[str, str], Path]) -> None:
    path = altered("[incentive]", "[attestation]\nopenings = 3\n[incentive]")
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    assert [problem.field for problem in caught.value.problems] == ["attestation.openings"]


def test_what_older_terms_did_not_know_is_the_default() -> None:
    found = Learning(dataset="digits")
    assert (found.metric, found.schema_) == ("accuracy", None)
