from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from cocogen.data.own.check import check
from cocogen.data.own.conform import read_table
from cocogen.data.own.example import SITES, write_example
from cocogen.data.own.rows import quantized
from cocogen.data.own.site import load_site
from cocogen.data.own.table import Table
from cocogen.errors import SiteError, WorkspaceError
from cocogen.terms.consortium import Consortium, load_consortium
from tests.examples import CLINICS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospitals")
    write_example(folder / "dialects")
    write_example(folder / "plain", plain=True)
    return folder


def terms_of(folder: Path) -> Consortium:
    return load_consortium(folder / "terms.toml")


def table_of(folder: Path, name: str) -> Table:
    schema = terms_of(folder).learning.schema_
    assert schema is not None
    table = read_table(load_site(folder / name / "site.toml"), schema)
    assert isinstance(table, Table)
    return table


def test_the_market_is_that_of_the_clinics(folder: Path) -> None:
    terms, clinics = terms_of(folder / "dialects"), load_consortium(CLINICS)
    assert terms.names == clinics.names == SITES[:-1]
    for section in ("market", "incentive", "settlement", "organization"):
        assert getattr(terms, section) == getattr(clinics, section)
    assert terms.learning.dataset == "own"


@pytest.mark.parametrize("name", SITES)
def test_every_dialect_has_the_same_rows_to_the_last_bit(folder: Path, name: str) -> None:
    own, plain = table_of(folder / "dialects", name), table_of(folder / "plain", name)
    assert np.array_equal(own.numbers, plain.numbers, equal_nan=True)
    assert np.array_equal(own.labels, plain.labels)
    assert np.array_equal(quantized(own.schema, own.numbers), quantized(plain.schema, plain.numbers))
    assert own.clipped.sum() == plain.clipped.sum() == 0
    assert np.isnan(own.numbers).any() == (name == "hillside")


def test_together_the_sites_have_every_case_once(folder: Path) -> None:
    table = load_breast_cancer()
    rows = np.concatenate([table_of(folder / "plain", name).numbers for name in SITES])
    labels = np.concatenate([table_of(folder / "plain", name).labels for name in SITES])
    whole = ~np.isnan(rows).any(axis=0)
    expected = np.column_stack([table.target, table.data[:, whole]])
    found = np.column_stack([labels, rows[:, whole]])
    assert found.shape[1] == 29
    assert np.array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.parametrize("name", SITES)
def test_every_site_passes_its_check(folder: Path, name: str) -> None:
    schema = terms_of(folder / "dialects").learning.schema_
    assert schema is not None
    report = check(load_site(folder / "dialects" / name / "site.toml"), schema)
    assert report.passed
    assert len(report.columns) == 31
    assert report.unused == ()


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(WorkspaceError, match="is not empty"):
        write_example(tmp_path)
    with pytest.raises(WorkspaceError, match="is not empty"):
        write_example(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("module", "extra", "site"), [("polars", "tables", "harbor"), ("fastexcel", "excel", "meadow")]
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    folder: Path, module: str, extra: str, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = importlib.import_module

    def without(name: str, *arguments: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return imported(name, *arguments)

    monkeypatch.setattr("cocogen.data.own.extras.importlib.import_module", without)
    with pytest.raises(SiteError, match=f"{module}, which is not installed") as caught:
        table_of(folder / "dialects", site)
    assert f"cocogen[{extra}]" in caught.value.hint


def test_the_terms_that_are_shown_are_those_that_are_written(folder: Path) -> None:
    shown = CLINICS.parent / "hospitals" / "terms.toml"
    assert shown.read_text(encoding="utf-8") == (folder / "dialects" / "terms.toml").read_text(encoding="utf-8")
