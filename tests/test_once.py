"""What many tests start from is made once, and a copy of it knows its own place."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Once


def test_a_folder_is_filled_once(tmp_path):
    filled = []
    for _ in range(2):
        kept = Once(tmp_path / "once")("played", lambda folder: filled.append((folder / "state").write_text("kept")))
    assert len(filled) == 1
    assert (kept / "state").read_text() == "kept"


def test_a_folder_that_was_not_filled_to_its_end_is_made_anew(tmp_path):
    once = Once(tmp_path / "once")

    def fail(folder):
        (folder / "half").touch()
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        once("played", fail)
    kept = once("played", lambda folder: (folder / "whole").touch())
    assert [path.name for path in kept.iterdir()] == ["whole"]


def test_the_deployment_record_of_a_copy_names_the_copy(tmp_path):
    once = Once(tmp_path / "once")

    def fill(folder):
        (folder / "deployment.json").write_text(json.dumps({"config": str(folder / "clinics.toml")}))

    kept = once("played", fill)
    copied = once.copy(kept, tmp_path / "copy")
    assert json.loads((copied / "deployment.json").read_text()) == {"config": str(tmp_path / "copy" / "clinics.toml")}
    assert json.loads((kept / "deployment.json").read_text()) == {"config": str(kept / "clinics.toml")}
