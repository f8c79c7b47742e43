"""Where the terms say that no rows are opened, nobody draws or opens any."""

from __future__ import annotations

import shutil

import pytest

from tests.examples import typed


@pytest.mark.parametrize("command", ["reveal", "reveal -o north", "round challenge"])
def test_without_openings_it_says_which_field_of_the_terms_has_them(opened, tmp_path, monkeypatch, command) -> None:
    shutil.copytree(opened, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(*command.split())
    assert (code, out) == (2, "")
    assert "no rows are opened" in err
    assert "attestation.openings" in err
