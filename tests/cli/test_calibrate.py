"""``cocogen calibrate``: real measurements, kept whatever happens, and a file that terms can name."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import cocogen.operations.calibration as calibration
from cocogen.errors import LearningError
from cocogen.terms.accuracy import read_record
from cocogen.terms.consortium import load_consortium
from tests.examples import edited, typed

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
STATED = 'accuracy = { kind = "power-law", ceiling = 1.0, scale = 4.0, exponent = 0.5 }'
NAMED = 'accuracy = { kind = "calibrated", file = "clinics.accuracy.json" }'
QUICK = ("--points", "3", "--repeats", "1", "--rounds", "2")


def write_terms(folder: Path) -> Path:
    """The example, trained for a moment only."""
    return edited(folder / "clinics.toml", ("local_epochs = 5", "local_epochs = 2"), ("hidden = 32", "hidden = 8"))


@pytest.fixture
def terms(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_terms(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of an uninterrupted calibration of these terms."""
    folder = tmp_path_factory.mktemp("whole")
    typed("calibrate", write_terms(folder), *QUICK, "--format", "json")
    return (folder / "clinics.accuracy.json").read_bytes()


run = partial(typed, "calibrate")


def interrupt_after(monkeypatch, count, error):
    real = calibration._measure
    made: list[object] = []

    def measure_some(task, place, folders):
        if len(made) == count:
            raise error
        made.append(place)
        return real(task, place, folders)

    monkeypatch.setattr(calibration, "_measure", measure_some)
    return made


def test_a_calibration_is_measured_written_drawn_and_used_by_the_terms(terms, tmp_path):
    code, out, err = run(terms, *QUICK, "--figure", "fit.png", "--format", "json")
    assert code == 0
    envelope = json.loads(out)
    assert (envelope["schema_version"], envelope["status"]) == (1, "ok")
    data = envelope["data"]
    assert "measuring accuracy" in err
    assert Path(data["file"]) == tmp_path / "clinics.accuracy.json"
    assert (data["runs"], data["reused"], data["repeat_deviation"]) == (9, 0, None)
    assert data["samples"] == [25.0, 386.0]
    assert (data["reach"], data["extrapolated"]) == (385 + 6 * 300, True)
    assert [cell["samples"] for cell in data["cells"]] == [25] * 3 + [98] * 3 + [386] * 3
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clinics.accuracy.json", "clinics.toml", "fit.png"]

    record = read_record(tmp_path / "clinics.accuracy.json")
    assert record.task.rounds == 2
    assert record.task.learning.hidden == 8
    assert data["rmse"] == record.fitted.rmse
    terms.write_text(terms.read_text().replace(STATED, NAMED))
    assert load_consortium(terms).market.accuracy == record.fitted


def test_the_text_shows_every_cell_and_the_line_for_the_terms(terms):
    code, out, _ = run(terms, *QUICK, "-o", "sub/other.json")
    assert code == 0
    assert out.count("0.1 ") == 3
    assert "RMSE 0.0" in out
    assert "the terms reach 2,185, by extrapolation" in out
    assert NAMED.replace("clinics.accuracy.json", "sub/other.json") in out
    assert Path("sub/other.json").exists()


def test_the_same_command_again_measures_nothing_and_leaves_the_same_file(terms, whole, monkeypatch):
    Path("clinics.accuracy.json").write_bytes(whole)
    made = interrupt_after(monkeypatch, 0, AssertionError)
    code, _, err = run(terms, *QUICK)
    assert code == 0
    assert "9 of 9 runs were measured before" in err
    assert made == []
    assert Path("clinics.accuracy.json").read_bytes() == whole


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (LearningError("training diverged"), 4)])
def test_after_an_interruption_the_same_command_goes_on_and_ends_with_the_same_file(
    terms, whole, monkeypatch, error, code
):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4, error)
        assert run(terms, *QUICK, "-o", "parts.json")[0] == code
    assert not Path("parts.json").exists()
    assert len(read_record(Path("parts.json.partial")).runs) == 4
    made = interrupt_after(monkeypatch, 99, AssertionError)
    assert run(terms, *QUICK, "-o", "parts.json")[0] == 0
    assert len(made) == 5
    assert Path("parts.json").read_bytes() == whole
    assert not Path("parts.json.partial").exists()


def test_an_interruption_leaves_an_earlier_calibration_whole(terms, whole, monkeypatch):
    Path("clinics.accuracy.json").write_bytes(whole)
    interrupt_after(monkeypatch, 2, KeyboardInterrupt())
    assert run(terms, *QUICK, "--repeats", "2")[0] == 130
    assert Path("clinics.accuracy.json").read_bytes() == whole
    assert len(read_record(Path("clinics.accuracy.json.partial")).runs) == 11


@pytest.mark.slow
def test_a_killed_calibration_goes_on_where_it_was(terms):
    command = [sys.executable, "-m", "cli", "calibrate", str(terms), *QUICK, "--repeats", "40"]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        partial, deadline = Path("clinics.accuracy.json.partial"), time.monotonic() + 120
        while time.monotonic() < deadline and not (partial.exists() and len(read_record(partial).runs) >= 3):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    kept = len(read_record(partial).runs)
    assert 3 <= kept < 120
    code, out, _ = run(terms, *QUICK, "--format", "json")
    assert code == 0
    assert json.loads(out)["data"]["reused"] == min(kept, 9)


def test_terms_that_name_the_file_before_it_is_there_can_be_calibrated(terms, whole):
    terms.write_text(terms.read_text().replace(STATED, NAMED))
    assert run(terms, *QUICK)[0] == 0
    assert Path("clinics.accuracy.json").read_bytes() == whole
    assert load_consortium(terms).market.accuracy.kind == "calibrated"


def test_other_terms_are_measured_anew_with_a_note(terms, whole):
    Path("clinics.accuracy.json").write_bytes(whole)
    terms.write_text(terms.read_text().replace("seed = 7", "seed = 9"))
    code, out, err = run(terms, *QUICK, "--format", "json")
    assert "holds a calibration of other terms and will be replaced" in err
    assert code == 0
    assert json.loads(out)["data"]["reused"] == 0
    assert read_record(Path("clinics.accuracy.json")).task.seed == 9


def test_a_file_that_is_no_calibration_is_not_overwritten(terms):
    before = terms.read_bytes()
    code, _, err = run(terms, *QUICK, "-o", terms)
    assert code == 2
    assert "not a calibration" in err
    assert "choose another file" in err
    assert terms.read_bytes() == before


def test_what_cannot_be_written_is_found_before_anything_is_measured(terms, monkeypatch):
    made = interrupt_after(monkeypatch, 0, AssertionError)
    Path("file").write_text("")
    for arguments, code, found in (
        (("-o", "file/a.json"), 2, "cannot be written"),
        (("--figure", "fit.doc"), 2, "fit.doc"),
        (("--points", "2"), 2, "range"),
        (("--repeats", "0"), 2, "range"),
    ):
        got, out, err = run(terms, *QUICK, *arguments)
        assert got == code
        assert found in err
        assert out == ""
    assert made == []


def test_a_full_disk_is_an_error_with_its_own_code(terms, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, out, _ = run(terms, *QUICK, "--format", "json")
    assert code == 2
    error = json.loads(out)["error"]
    assert error["code"] == "WorkspaceError"
    assert "No space left" in error["message"]


def test_runs_in_which_accuracy_does_not_grow_are_kept_and_explained(terms, monkeypatch):
    monkeypatch.setattr(calibration.Local, "train_together", lambda self, rounds: _Constant())
    code, _, err = run(terms, *QUICK)
    assert code == 2
    assert "accuracy does not grow with data" in err
    assert "more rounds" in err
    assert len(read_record(Path("clinics.accuracy.json.partial")).runs) == 9


class _Constant:
    value = 0.9


def test_help_shows_the_line_for_the_terms():
    code, out, _ = run("--help")
    assert code == 0
    assert 'accuracy = { kind = "calibrated"' in out
    assert "--repeats" in out


def test_without_a_terms_file_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run()
    assert code == 2
    assert "no terms file was named" in err
