"""A site registers what its file says now, remembers it, and works on nothing else later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocogen.data.own.site import load_site
from cocogen.data.own.table import Table
from cocogen.data.own.transform import Transform
from cocogen.errors import ConfigurationError, SiteError, WorkspaceError
from cocogen.evidence.registered import check_registration, read_leaves, read_registration
from cocogen.operations.register import Prepared, check_unchanged, prepare, register
from cocogen.operations.site_state import SiteState
from cocogen.terms.consortium import Consortium, load_consortium
from tests.cocogen.data.own.tables import schema, site_of, table, terms_of
from tests.examples import CLINICS

pytest.importorskip("polars")
KEY = "0x" + "11" * 20


@pytest.fixture
def terms(tmp_path: Path) -> Consortium:
    return load_consortium(terms_of(tmp_path / "terms.toml", schema(5)))


def own(seed: int = 0) -> Table:
    return table(400, seed, of=schema(5), missing=0.2)


def prepared(folder: Path, terms: Consortium, address: str = KEY) -> Prepared:
    site = load_site(folder / "site.toml")
    return prepare(site, terms, SiteState.beside(site.file, site.organization), address)


def registered(folder: Path, terms: Consortium, address: str = KEY) -> Prepared:
    made = prepared(folder, terms, address)
    name = made.document.organization
    register(made, bytes(65), SiteState(folder / f"{name}.state"), folder / f"{name}.registration", folder / "leaves")
    return made


def unchanged(folder: Path, terms: Consortium) -> int:
    site = load_site(folder / "site.toml")
    return len(check_unchanged(SiteState.beside(site.file, site.organization), site, terms))


def test_a_registration_is_what_the_file_says(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    seen: set[str] = set()
    site = load_site(tmp_path / "site.toml")
    state = SiteState.beside(site.file, "north")
    made = prepare(site, terms, state, KEY, lambda what, done, total: seen.add(what))
    assert state.registrations() == []
    assert not (tmp_path / "north.registration").exists()
    written = register(made, b"s" * 65, state, tmp_path / "north.registration", tmp_path / "north.leaves")
    read = read_registration(tmp_path / "north.registration")
    assert read == written
    check_registration(read, terms, lambda address, digest, signature: (address, signature) == (KEY, b"s" * 65))
    assert len(read_leaves(tmp_path / "north.leaves", read)) == 400
    assert (tmp_path / "north.leaves").stat().st_mode & 0o077 == 0
    assert read.document.training == 320
    assert {"reading the data", "salting and hashing rows"} <= seen
    assert [entry["what"] for entry in state.disclosed()] == ["registration", "leaves"]


def test_leaves_that_are_not_under_the_root_are_refused(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    read = read_registration(tmp_path / "north.registration")
    path = tmp_path / "leaves"
    content = path.read_bytes()
    for wrong in (content[:-32], content + bytes(32), content[:-1] + b"\0", b""):
        path.write_bytes(wrong)
        with pytest.raises(Exception, match=r"registration of north refused: .*leaves"):
            read_leaves(path, read)
    path.unlink()
    with pytest.raises(Exception, match="No such file"):
        read_leaves(path, read)


def test_registering_again_is_the_same_registration(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    first = registered(tmp_path, terms)
    again = prepared(tmp_path, terms)
    assert again.document == first.document
    assert again.made_before
    assert not first.made_before


def test_the_attester_registers_its_whole_holdout_without_sums(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own(), "attester")
    made = registered(tmp_path, terms)
    assert made.document.role == "attester"
    assert (made.document.training, made.document.sums) == (400, None)
    assert unchanged(tmp_path, terms) == 400


def test_the_rows_of_a_round_are_those_that_were_registered(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    made = registered(tmp_path, terms)
    site = load_site(tmp_path / "site.toml")
    rows = check_unchanged(SiteState.beside(site.file, "north"), site, terms)
    assert len(rows.training) == made.document.training
    samples = Transform.of(rows.data.schema, made.sums).apply(rows)
    assert np.abs(samples[:320, 0].mean()) < 1e-5


def test_a_row_that_was_changed_is_named_and_stops_the_site(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    changed = own()
    changed.numbers[0, 0] = 64.0
    site_of(tmp_path, changed)
    with pytest.raises(SiteError, match="1 of 400 registered rows are not there, 1 others are") as stopped:
        unchanged(tmp_path, terms)
    assert stopped.value.file == str(tmp_path / "export.csv")
    assert "put back" in stopped.value.hint


def test_labels_that_were_changed_are_named(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    changed = own()
    changed.labels[:20] = 1
    site_of(tmp_path, changed)
    with pytest.raises(SiteError, match=r"outcome: .* rows were class 0, and .* are now"):
        unchanged(tmp_path, terms)


def test_a_unit_that_was_changed_in_the_site_file_is_named(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    site_of(tmp_path, own(), more="[factors]\nage = 0.5\n")
    with pytest.raises(SiteError, match=r"age: 320 values of mean .* were registered") as stopped:
        unchanged(tmp_path, terms)
    assert stopped.value.file == str(tmp_path / "site.toml")


def test_the_same_rows_in_a_new_file_stop_until_they_are_registered_again(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    path = tmp_path / "export.csv"
    path.write_text(path.read_text().rstrip("\n"))
    with pytest.raises(SiteError, match="its rows are the same, but not its bytes"):
        unchanged(tmp_path, terms)
    assert registered(tmp_path, terms).made_before
    assert unchanged(tmp_path, terms) == 400


def test_a_site_file_that_reads_the_same_rows_may_change(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    site_of(tmp_path, own(), more="# a comment\n")
    assert unchanged(tmp_path, terms) == 400


def test_a_file_that_is_gone_is_named(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    (tmp_path / "export.csv").unlink()
    with pytest.raises(SiteError, match=r"export\.csv"):
        unchanged(tmp_path, terms)


def test_a_site_that_registered_nothing_under_these_terms_has_no_rows(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    with pytest.raises(WorkspaceError, match="north has registered nothing under these terms"):
        unchanged(tmp_path, terms)


def test_a_second_registration_that_differs_by_a_few_rows_is_refused(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    registered(tmp_path, terms)
    other = load_consortium(terms_of(tmp_path / "other.toml", schema(5), ('name = "clinics"', 'name = "others"')))
    registered(tmp_path, other, "0x" + "22" * 20)
    changed = own()
    changed.numbers[0, 0] = 64.0
    site_of(tmp_path, changed)
    for again in (terms, other):
        with pytest.raises(SiteError, match="differ from what was registered"):
            prepared(tmp_path, again)
    site_of(tmp_path, own(3))
    made = registered(tmp_path, terms)
    assert made.before is not None
    assert not made.made_before
    assert unchanged(tmp_path, terms) == 400, "what was registered last counts"


def test_terms_of_a_named_data_set_and_foreign_sites_register_nothing(tmp_path: Path, terms: Consortium) -> None:
    site_of(tmp_path, own())
    with pytest.raises(ConfigurationError, match="these terms have no schema"):
        prepared(tmp_path, load_consortium(CLINICS))
    site_of(tmp_path, own(), "stranger")
    with pytest.raises(ConfigurationError, match="no organization is called 'stranger'"):
        prepared(tmp_path, terms)


def test_a_count_of_few_is_refused_before_anything_is_signed(tmp_path: Path, terms: Consortium) -> None:
    few = own()
    few.levels[:, 0] = 0
    few.levels[:3, 0] = 1
    site_of(tmp_path, few)
    with pytest.raises(SiteError, match="fewer than 5 training rows at level m"):
        prepared(tmp_path, terms)
