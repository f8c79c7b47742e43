"""A site's state is its owner's alone, remembers what was registered, and tells what has changed since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.own.leaves import leaf_digests, root
from cocogen.data.own.rows import Rows
from cocogen.data.own.split import site_rng, split
from cocogen.data.own.sums import Sums, filled
from cocogen.data.own.table import Images, Table
from cocogen.errors import SiteError, WorkspaceError
from cocogen.evidence.registered import Registration, RegistrationDocument
from cocogen.operations.differences import check_far, differences
from cocogen.operations.site_state import Kept, SiteState, changed_rows, row_hashes
from cocogen.terms.consortium import Consortium, load_consortium
from tests.cocogen.data.own.tables import FEATURES, SECRET, images, schema, table, terms_of

KEY = "0x" + "11" * 20


@pytest.fixture
def state(tmp_path: Path) -> SiteState:
    return SiteState.beside(tmp_path / "site.toml", "north")


def terms_for(tmp_path: Path, data: Table | Images, name: str = "clinics") -> Consortium:
    edit = ('name = "clinics"', f'name = "{name}"')
    return load_consortium(terms_of(tmp_path / f"{name}.toml", data.schema, edit))


def rows_of(data: Table | Images, fraction: float = 0.2) -> Rows:
    return filled(data, *split(data.labels, data.groups, fraction, site_rng(SECRET)))


def kept(terms: Consortium, data: Table | Images, fraction: float = 0.2) -> Kept:
    rows = rows_of(data, fraction)
    leaves = leaf_digests(SECRET, rows)
    document = RegistrationDocument.of(terms, "north", KEY, Sums.of(rows), root(leaves))
    return Kept(Registration(document, bytes(65)), data.schema, "d" * 64, "e" * 64, leaves, row_hashes(SECRET, rows))


def few(rows: int = 400, minimum_cell: int = 5, seed: int = 0) -> Table:
    return table(rows, seed, of=schema(minimum_cell), missing=0.2)


def without(data: Table, *rows: int) -> Table:
    here = np.setdiff1d(np.arange(len(data)), rows)
    return Table(data.schema, data.numbers[here], data.levels[here], data.labels[here], data.clipped)


def test_a_secret_is_drawn_once_and_is_its_owners_alone(state: SiteState) -> None:
    secret = state.secret(create=True)
    assert state.secret() == state.secret(create=True) == secret
    assert len(secret) == 32
    assert state.root.stat().st_mode & 0o777 == 0o700
    assert (state.root / "secret").stat().st_mode & 0o777 == 0o600


def test_without_a_secret_nothing_is_made_up(state: SiteState, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"there is no .*secret") as missing:
        state.secret()
    assert "cocogen backup" in missing.value.hint
    state.secret(create=True)
    data = few()
    state.keep(kept(terms_for(tmp_path, data), data))
    (state.root / "secret").unlink()
    with pytest.raises(WorkspaceError, match="is gone, and registrations were made with it"):
        state.secret(create=True)


@pytest.mark.parametrize("name", ["", "secret"])
def test_a_state_that_others_can_reach_is_refused(state: SiteState, name: str) -> None:
    state.secret(create=True)
    (state.root / name).chmod(0o750)
    with pytest.raises(WorkspaceError, match=r"others can reach .*mode is 750") as refused:
        state.secret()
    assert "chmod" in refused.value.hint


def test_a_short_secret_is_refused(state: SiteState) -> None:
    state.secret(create=True)
    (state.root / "secret").write_bytes(bytes(31))
    with pytest.raises(WorkspaceError, match="31 bytes, not 32"):
        state.secret()


def test_what_was_registered_is_remembered_by_its_terms(state: SiteState, tmp_path: Path) -> None:
    data = few()
    first, second = terms_for(tmp_path, data), terms_for(tmp_path, data, "others")
    assert state.registrations() == []
    assert state.registered(first.source_digest) is None
    for terms in (first, second, first):
        state.keep(kept(terms, data))
    assert len(state.registrations()) == 2, "the same one takes its own place"
    found = state.registered(second.source_digest)
    made = kept(second, data)
    assert found is not None
    assert found.registration == made.registration
    assert found.schema == data.schema
    assert np.array_equal(found.leaves, made.leaves)
    assert np.array_equal(found.rows, made.rows)
    assert (found.data, found.site) == (made.data, made.site)
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.root.rglob("*"))


def test_the_registration_that_was_made_last_counts(state: SiteState, tmp_path: Path) -> None:
    data = few()
    terms = terms_for(tmp_path, data)
    old, new = kept(terms, data), kept(terms, without(data, *range(40)))
    for made in (old, new, old):
        state.keep(made)
        state.disclose("registration", "all", digest=made.registration.document.digest().hex())
    found = state.registered(terms.source_digest)
    assert found is not None
    assert found.registration == old.registration


def test_a_registration_that_a_kill_left_unfinished_is_none(state: SiteState, tmp_path: Path) -> None:
    data = few()
    made = kept(terms_for(tmp_path, data), data)
    state.keep(made)
    (state.root / "registrations" / made.registration.document.digest().hex() / "registration").unlink()
    assert state.registrations() == []


@pytest.mark.parametrize("name", ["leaves", "rows", "facts.json", "registration"])
def test_a_damaged_registration_is_named(state: SiteState, tmp_path: Path, name: str) -> None:
    data = few()
    made = kept(terms_for(tmp_path, data), data)
    state.keep(made)
    path = state.root / "registrations" / made.registration.document.digest().hex() / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WorkspaceError, match="is damaged") as damaged:
        state.registrations()
    assert "backup" in damaged.value.hint


def test_what_was_disclosed_is_listed_in_order_without_a_line_that_was_cut(state: SiteState) -> None:
    assert state.disclosed() == []
    state.disclose("registration", "everybody", digest="a")
    state.disclose("opening", "the attester", leaf=3)
    with (state.root / "disclosed.jsonl").open("a") as file:
        file.write('{"what": "ope')
    assert [(entry["what"], entry["to"]) for entry in state.disclosed()] == [
        ("registration", "everybody"),
        ("opening", "the attester"),
    ]
    assert state.disclosed()[1]["leaf"] == 3
    assert (state.root / "disclosed.jsonl").stat().st_mode & 0o777 == 0o600


def test_changed_rows_are_counted_as_often_as_they_are_there() -> None:
    one, other = (np.array(values, dtype=np.uint64) for values in ([1, 1, 2, 2**64 - 1], [2**64 - 1, 1, 3, 3, 2]))
    assert changed_rows(one, other) == (1, 2)
    assert changed_rows(one, one[::-1]) == (0, 0)


def test_equal_rows_have_equal_hashes_and_only_with_the_secret() -> None:
    data = few()
    data.numbers[1], data.levels[1], data.labels[1] = data.numbers[0], data.levels[0], data.labels[0]
    seen: list[int] = []
    hashes = row_hashes(SECRET, Rows.of(data), seen.append)
    assert seen[-1] == 400
    assert hashes[0] == hashes[1]
    assert len(np.unique(hashes)) == 399
    assert not set(hashes) & set(row_hashes(bytes(32), Rows.of(data)))


def now(before: Kept, data: Table, fraction: float = 0.2) -> list[str]:
    rows = rows_of(data, fraction)
    found = replace(before, rows=row_hashes(SECRET, rows))
    return differences(before, found, Sums.counted(rows))


def test_the_same_rows_do_not_differ_and_each_change_is_named(tmp_path: Path) -> None:
    data = few()
    before = kept(terms_for(tmp_path, data), data)
    assert now(before, data) == []
    one = few()
    one.numbers[rows_of(one).training[7], 0] = 64.0
    rows, age, *more = now(before, one)
    assert rows == "1 of 400 registered rows are not there, 1 others are"
    assert age.startswith("age: 320 values of mean ")
    assert age.endswith("are there now")
    assert not more
    one = few()
    one.numbers[:, 0] = np.clip(one.numbers[:, 0] * 0.0555, 0, 120)
    assert now(before, one)[0].startswith("386 of 400"), "in 14 rows it is 0 in any unit"
    one = few()
    at = rows_of(one).training[:30]
    one.levels[at, 0] ^= 1
    assert any(line.startswith("sex: ") for line in now(before, one))
    one = few()
    one.labels[:] ^= 1
    assert any(line.startswith("outcome: ") and "rows were class 0" in line for line in now(before, one))
    order = np.arange(400)[::-1]
    turned = Table(data.schema, data.numbers[order], data.levels[order], data.labels[order], data.clipped)
    assert now(before, turned)
    rows = rows_of(data)
    rows.training[:2] = rows.training[1::-1]
    turned_rows = replace(before, rows=row_hashes(SECRET, rows))
    assert differences(before, turned_rows, Sums.counted(rows)) == [
        "the same rows are in another order, or on the other side of the split"
    ]


def test_many_differences_are_cut(tmp_path: Path) -> None:
    data = few()
    found = now(kept(terms_for(tmp_path, data), data), few(seed=1))
    assert len(found) == 7
    assert found[-1] == "…"


@pytest.mark.parametrize("removed", [1, 4])
def test_rows_that_differ_by_fewer_than_the_minimum_cell_are_refused(tmp_path: Path, removed: int) -> None:
    """The difference of two sums would be a row."""
    data = few()
    earlier = kept(terms_for(tmp_path, data), data)
    rows = rows_of(data)
    less = filled(data, rows.training[removed:], rows.validation)
    with pytest.raises(SiteError, match=f"consortium clinics .* by {removed} training rows") as refused:
        check_far(as_registered(tmp_path, less), earlier, "site.toml")
    assert refused.value.file == "site.toml"
    check_far(as_registered(tmp_path, filled(data, rows.training[5:], rows.validation)), earlier, "site.toml")
    less = filled(data, rows.training, rows.validation[removed:])
    with pytest.raises(SiteError, match=f"{removed} validation rows"):
        check_far(as_registered(tmp_path, less), earlier, "site.toml")


def as_registered(tmp_path: Path, rows: Rows, name: str = "others") -> Kept:
    terms = terms_for(tmp_path, rows.data, name)
    leaves = leaf_digests(SECRET, rows)
    document = RegistrationDocument.of(terms, "north", "0x" + "22" * 20, Sums.of(rows), root(leaves))
    return Kept(Registration(document, b""), rows.schema, "", "", leaves, row_hashes(SECRET, rows))


def test_the_same_rows_may_be_registered_with_another_key_and_consortium(tmp_path: Path) -> None:
    data = few()
    check_far(as_registered(tmp_path, rows_of(data)), kept(terms_for(tmp_path, data), data), "site.toml")


def test_a_row_that_changed_sides_is_refused(tmp_path: Path) -> None:
    data = few()
    rows = rows_of(data)
    moved = filled(data, np.sort(np.r_[rows.training, rows.validation[0]]), rows.validation[1:])
    with pytest.raises(SiteError, match="by 1 training rows"):
        check_far(as_registered(tmp_path, moved), kept(terms_for(tmp_path, data), data), "site.toml")


def test_public_data_may_be_registered_as_they_come(tmp_path: Path) -> None:
    data = few(minimum_cell=0)
    check_far(as_registered(tmp_path, rows_of(without(data, 3))), kept(terms_for(tmp_path, data), data), "site.toml")


def other_features(data: Table, rows: np.ndarray) -> Table:
    """The same rows under a schema without the last feature."""
    less = schema(5, FEATURES[:-1])
    return Table(less, data.numbers[rows, :2], data.levels[rows], data.labels[rows], data.clipped[:2])


def test_under_other_features_what_both_state_may_not_differ_by_few(tmp_path: Path) -> None:
    data = few()
    earlier = as_registered(tmp_path, Rows.of(data), "first")
    everything = np.arange(400)
    check_far(as_registered(tmp_path, Rows.of(other_features(data, everything))), earlier, "site.toml")
    with pytest.raises(SiteError, match="by 1 training rows"):
        check_far(as_registered(tmp_path, Rows.of(other_features(data, everything[1:]))), earlier, "site.toml")
    check_far(as_registered(tmp_path, Rows.of(other_features(data, everything[60:]))), earlier, "site.toml")
    swapped = other_features(data, everything)
    swapped.numbers[0, 0] = 61.25
    with pytest.raises(SiteError, match="as many but other values of age"):
        check_far(as_registered(tmp_path, Rows.of(swapped)), earlier, "site.toml")
    swapped = other_features(data, everything)
    swapped.levels[0, 0] ^= 1
    with pytest.raises(SiteError, match=r"1 rows at level . of sex"):
        check_far(as_registered(tmp_path, Rows.of(swapped)), earlier, "site.toml")
    swapped = other_features(data, everything)
    swapped.labels[0] ^= 1
    with pytest.raises(SiteError, match="1 rows of class class 0"):
        check_far(as_registered(tmp_path, Rows.of(swapped)), earlier, "site.toml")


def test_images_are_compared_like_tables(tmp_path: Path) -> None:
    data = images(80, minimum_cell=5)
    before = kept(terms_for(tmp_path, data), data)
    changed = images(80, minimum_cell=5)
    changed.pixels[4, 2] ^= 1
    rows = rows_of(changed)
    found = differences(before, replace(before, rows=row_hashes(SECRET, rows)), Sums.counted(rows))
    assert found == ["1 of 80 registered rows are not there, 1 others are"]
    with pytest.raises(SiteError, match=r"by 1 (training|validation) rows"):
        check_far(as_registered(tmp_path, rows), before, "site.toml")
