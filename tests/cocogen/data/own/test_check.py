from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocogen.data.own.check import check
from cocogen.errors import ConfigurationError, SiteError
from cocogen.terms.schema import ImageSchema, TableSchema
from tests.cocogen.data.own.sites import schema_of, site_of, write

HEAD = "patient,age,glucose,sex,outcome\n"


def schema(least: int = 0) -> TableSchema:
    return schema_of(minimum_cell=least)


def lines(count: int = 60) -> str:
    rng = np.random.default_rng(3)
    rows = []
    for row in range(count):
        values = [f"p{row}", rng.integers(20, 90), round(float(rng.normal(7, 2)), 3), "fm"[row // 2 % 2]]
        rows.append([*map(str, values), "died" if row % 3 == 0 else "survived"])
    return HEAD + "".join(",".join(row) + "\n" for row in rows)


def test_a_report_has_every_column_and_what_a_registration_would_say(tmp_path: Path) -> None:
    report = check(write(tmp_path, lines(), "[split]\nvalidation = 0.25"), schema())
    assert report.passed
    assert (report.rows, report.classes) == (60, {"survived": 40, "died": 20})
    assert [(column.name, column.kind, column.missing) for column in report.columns] == [
        ("outcome", "label", 0),
        ("age", "number", 0),
        ("glucose", "number", 0),
        ("sex", "category", 0),
    ]
    assert report.columns[3].counts == {"f": 30, "m": 30}
    assert report.unused == ("patient",)
    assert report.disclosed is not None
    assert report.disclosed.classes == (30, 15)
    assert report.disclosed.validation == (10, 5)
    assert [own.count for own in report.disclosed.numbers] == [45, 45]
    assert report.remarks == ()


def test_the_attesters_holdout_is_not_split(tmp_path: Path) -> None:
    write(tmp_path, lines())
    report = check(site_of(tmp_path, "export.csv", organization="attester"), schema())
    assert report.attester
    assert report.disclosed is not None
    assert (report.disclosed.classes, report.disclosed.validation) == ((40, 20), (0, 0))


def test_values_beyond_the_agreed_range_are_counted_with_a_word_on_units(tmp_path: Path) -> None:
    report = check(write(tmp_path, lines(), "[factors]\nglucose = 18"), schema())
    glucose = report.columns[2]
    assert report.passed
    assert (glucose.clipped, glucose.minimum, glucose.maximum) == (56, 0, 50)
    assert glucose.high is not None
    assert glucose.high > 100
    assert any("Is the unit the schema's" in remark for remark in report.remarks)


def test_every_count_below_the_minimum_cell_is_named(tmp_path: Path) -> None:
    content = lines().replace(",f,", ",m,", 28)
    report = check(write(tmp_path, content), schema(5))
    assert not report.passed
    assert report.disclosed is None
    said = [(problem.column, problem.message.split(";")[0]) for problem in report.problems]
    assert ("outcome", "fewer than 5 validation rows of a class: died (4)") in said
    assert ("sex", "fewer than 5 training rows at a level: f (2)") in said
    assert any("merge levels" in problem.hint for problem in report.problems)


def test_a_number_with_too_few_values_may_not_leave(tmp_path: Path) -> None:
    gone = [line.split(",") for line in lines().splitlines()]
    for row in gone[4:]:
        row[2] = ""
    report = check(write(tmp_path, "\n".join(map(",".join, gone))), schema(5))
    assert any("training rows with a value: glucose" in problem.message for problem in report.problems)


def test_a_number_that_hardly_varies_over_its_range_is_refused(tmp_path: Path) -> None:
    wide = schema_of({"name": "age", "kind": "number", "minimum": -1e9, "maximum": 1e9}, minimum_cell=0)
    (problem,) = check(write(tmp_path, lines()), wide).problems
    assert (problem.column, "2^-20" in problem.message, "narrow" in problem.hint) == ("age", True, True)


def test_everything_wrong_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    content = lines().replace(",f,", ",w,", 1).replace("outcome", "Outcome").replace("p7,", "p7,x", 1)
    report = check(write(tmp_path, content), schema())
    assert [(problem.row, problem.column) for problem in report.problems] == [(None, None), (8, "age"), (1, "sex")]
    assert report.problems[0].message.startswith("has no column 'outcome'")
    assert report.problems[1].message.startswith("'x")
    assert report.disclosed is None


def test_patients_of_several_rows_are_pointed_out_until_they_are_grouped(tmp_path: Path) -> None:
    content = lines().replace("p11,", "p10,")
    for config in ("", 'identifiers = ["patient"]'):
        (remark,) = check(write(tmp_path, content, config), schema()).remarks
        assert "1 of its 59 values" in remark
        assert 'group = "patient"' in remark
    assert check(write(tmp_path, content, '[split]\ngroup = "patient"'), schema()).remarks == ()


def test_rows_that_repeat_are_counted(tmp_path: Path) -> None:
    content = lines()
    report = check(write(tmp_path, content + "p99" + content.splitlines()[5].removeprefix("p4") + "\n"), schema())
    assert (report.duplicates, report.first_duplicate) == (1, 61)
    assert any("1 row repeats" in remark for remark in report.remarks)


def test_rows_that_repeat_though_patients_are_grouped_bring_no_advice_to_group_them(tmp_path: Path) -> None:
    content = lines()
    content += "p99" + content.splitlines()[5].removeprefix("p4") + "\n"
    (alone,) = check(write(tmp_path, content), schema()).remarks
    (grouped,) = check(write(tmp_path, content, '[split]\ngroup = "patient"'), schema()).remarks
    assert "[split] group" in alone
    assert grouped == "1 row repeats an earlier one in every feature and the label: exported twice?"


def test_a_feature_that_gives_the_label_away_is_named(tmp_path: Path) -> None:
    content = "".join(
        line + "," + str(float("died" in line)) + "\n" if row else line + ",code\n"
        for row, line in enumerate(lines().splitlines())
    )
    feature = {"name": "code", "kind": "number", "minimum": 0, "maximum": 1}
    remark, *_ = check(write(tmp_path, content), schema_of(feature, minimum_cell=0)).remarks
    assert remark.startswith("'code' alone tells")


def test_what_cannot_be_read_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteError):
        check(site_of(tmp_path, "none.csv"), schema())
    with pytest.raises(ConfigurationError):
        check(write(tmp_path, lines(), "[factors]\nweight = 2"), schema())


def test_images_are_counted_and_repeated_ones_pointed_out(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 3, 3), dtype=np.uint8)
    pixels[7] = pixels[2]
    np.savez(tmp_path / "s.npz", features=pixels, labels=np.array(["a", "b"] * 10))
    images = ImageSchema(kind="images", shape=(1, 3, 3), classes=("a", "b"), minimum_cell=2)
    report = check(site_of(tmp_path, "s.npz"), images)
    assert (report.classes, report.duplicates, report.first_duplicate) == ({"a": 10, "b": 10}, 1, 8)
    assert report.disclosed is not None
    assert len(report.disclosed.channels) == 1
    few = ImageSchema(kind="images", shape=(1, 3, 3), classes=("a", "b"), minimum_cell=3)
    assert not check(site_of(tmp_path, "s.npz"), few).passed
