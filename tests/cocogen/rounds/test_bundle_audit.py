"""A bundle that was attested says the rows that counted, as they were registered, and was asked about before."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.evidence.leaves import bitmap
from cocogen.rounds.bundle_audit import _opened, _rows
from cocogen.rounds.workspace import Workspace

LEAVES = bitmap(np.arange(7), 10)


def resolved(registration: str | None = "00" * 32, openings: int = 0) -> SimpleNamespace:
    organization = SimpleNamespace(name="north", registration=registration, local=10, data_cap=9)
    return SimpleNamespace(organization=[organization], attestation=SimpleNamespace(openings=openings))


def manifest(leaves: str | None = LEAVES, commitments: tuple = (), challenge: str | None = None) -> SimpleNamespace:
    real = len(commitments) if leaves is None else int(leaves, 16).bit_count()
    return SimpleNamespace(leaves=leaves, commitments=commitments, real=real, challenge=challenge, round=1)


def test_what_fits_says_nothing() -> None:
    assert list(_rows(resolved(), 0, manifest(), 7)) == []
    assert list(_rows(resolved(), 0, manifest(bitmap(np.arange(10), 10)), 9)) == []  # the cap
    assert list(_rows(resolved(registration=None), 0, manifest(None, ("00" * 32,)), 1)) == []


@pytest.mark.parametrize(
    ("terms", "claims", "counted", "reason"),
    [
        (resolved(), manifest(), 6, "it names 7 registered rows, and 6 counted"),
        (resolved(), manifest("fe"), 7, "its bitmap has 1 bytes"),
        (resolved(), manifest("0001"), 1, "it claims leaf 15"),
        (resolved(), manifest(None, ("00" * 32,)), 1, "does not name its samples by registered rows alone"),
        (resolved(), manifest(LEAVES, ("00" * 32,)), 7, "does not name its samples by registered rows alone"),
        (resolved(registration=None), manifest(), 7, "does not name its samples by commitments alone"),
    ],
)
def test_rows_that_were_not_registered_or_did_not_count_are_named(terms, claims, counted, reason) -> None:
    assert any(reason in found for found in _rows(terms, 0, claims, counted))


@pytest.mark.parametrize(
    ("openings", "challenge", "told"), [(2, None, True), (2, "00" * 32, False), (0, "00" * 32, False), (0, None, True)]
)
def test_openings_that_were_agreed_and_not_made_are_named(tmp_path, openings, challenge, told) -> None:
    found = list(_opened(Workspace(tmp_path), resolved(openings=openings), manifest(challenge=challenge), told))
    assert found == [f"the terms say that {openings} rows are opened, and the evidence says otherwise"]


def test_without_the_file_of_the_challenge_nothing_is_contradicted(tmp_path) -> None:
    assert list(_opened(Workspace(tmp_path), resolved(openings=2), manifest(challenge="00" * 32), True)) == []
