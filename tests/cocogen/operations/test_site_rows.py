"""A site's rows in a round are those that it registered, and what it opens of them is on its own list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocogen.data.own.leaves import opened_leaf
from cocogen.data.own.site import load_site
from cocogen.errors import SiteError
from cocogen.evidence.registered import Registration
from cocogen.operations.register import prepare, register
from cocogen.operations.site_rows import holdout_rows, member_rows
from cocogen.operations.site_state import SiteState
from cocogen.terms.consortium import load_consortium
from tests.cocogen.data.own.tables import schema, site_of, table, terms_of

pytest.importorskip("polars")


def registered(folder: Path, organization: str = "north", *, edit: float | None = None) -> Registration:
    """Register a table of 400 rows; with ``edit`` it is a table with another first age."""
    data = table(400, of=schema(0), missing=0.2)
    if edit is not None:
        data.numbers[0, 0] = edit
    path = site_of(folder, data, organization)
    terms = load_consortium(terms_of(folder / "terms.toml", schema(0)))
    state = SiteState.beside(path, organization)
    prepared = prepare(load_site(path), terms, state, "0x" + "11" * 20)
    return register(prepared, bytes(65), state, folder / f"{organization}.registration", folder / "leaves")


def test_an_opened_row_is_noted_once_before_it_leaves(tmp_path: Path) -> None:
    registration = registered(tmp_path)
    own = member_rows(tmp_path / "site.toml", schema(0), registration)
    state = SiteState(tmp_path / "north.state")
    before = len(state.disclosed())
    leaves = state.registrations()[0].leaves
    for index in (7, 300, 7):
        assert opened_leaf(own.open(index)) == leaves[index].tobytes()
    noted = state.disclosed()[before:]
    assert [(entry["leaf"], entry["to"]) for entry in noted] == [(7, "the attester"), (300, "the attester")]


def test_a_holdout_is_parted_by_the_attesters_secret(tmp_path: Path) -> None:
    rows = holdout_rows(tmp_path / "site.toml", schema(0), registered(tmp_path, "attester"))
    assert len(rows) == 400
    assert 0 < len(rows.validation) < len(rows.training)
    assert np.array_equal(np.sort(np.concatenate([rows.training, rows.validation])), np.arange(400))


def test_another_registration_than_the_consortiums_stops_the_site(tmp_path: Path) -> None:
    first = registered(tmp_path)
    registered(tmp_path, edit=61.5)
    with pytest.raises(SiteError, match="rests on another registration of north than its latest"):
        member_rows(tmp_path / "site.toml", schema(0), first)
