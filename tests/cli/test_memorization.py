"""Synthetic samples that repeat training samples are reported by ``train`` and ``run``; honest ones are not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.request import Request
from cocogen.data.samples import Samples
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.local import Local
from cocogen.evidence.member import Member
from cocogen.learning.generators.cvae import ConditionalVAE
from cocogen.operations.leakage import inspect_run
from tests.examples import typed

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
CLINICS = ["north", "harbor", "riverside", "hillside", "meadow", "lakeview"]
ROUND = Path(".cocogen/clinics/rounds/0001")


def cocogen(command: str, code: int = 0) -> tuple[str, str]:
    """Standard output and standard error of one command, typed in the current folder."""
    found, out, err = typed(*command.split())
    assert found == code, err
    return out, err


def as_json(command: str) -> tuple[dict, str]:
    out, err = cocogen(f"{command} --format json")
    return json.loads(out)["data"], err


@pytest.fixture
def here(opened, once, tmp_path, monkeypatch) -> Path:
    """A copy of it, to work in."""
    once.copy(opened, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def copying(monkeypatch) -> None:
    """A generator that hands out real training samples instead of making any."""
    held: list[Samples] = []
    made = Local.__init__

    def remember(task, *arguments, **named) -> None:
        made(task, *arguments, **named)
        held[:] = [member.own for member in task.members]

    def repeat(_generator, _state, labels, rng) -> np.ndarray:
        features = np.concatenate([own.features for own in held])
        known = np.concatenate([own.labels for own in held])
        return np.stack([features[rng.choice(np.flatnonzero(known == label))] for label in labels])

    monkeypatch.setattr(Local, "__init__", remember)
    monkeypatch.setattr(ConditionalVAE, "sample", repeat)


def test_training_shows_that_an_honest_generator_repeats_nothing(here) -> None:
    data, err = as_json("train")
    assert list(data["memorization"]) == CLINICS
    for name, entry in data["memorization"].items():
        assert entry["samples"] > 0
        assert (entry["copies"], entry["flagged"]) == (0.0, False), name
    assert "warning" not in err
    out, err = cocogen("train -o harbor")
    assert "synthetic samples of harbor beside its training samples: 0 of" in out
    assert "north" not in out
    assert "warning" not in err


def test_training_warns_of_a_generator_that_repeats_its_training_samples(here, copying) -> None:
    data, err = as_json("train -o north")
    entry = data["memorization"]["north"]
    assert entry["flagged"]
    assert 0 < entry["copies"] <= 1
    assert "warning: round 1: the synthetic samples of north repeat its training samples" in err
    assert f"{round(entry['copies'] * entry['samples'])} of {entry['samples']} equal one" in err
    assert f"hint: whoever gets {ROUND / 'north.bundle'} gets those samples" in err
    assert (here / ROUND / "north.bundle").exists(), "it is a warning"


def test_whoever_trains_again_is_warned_again(here, copying) -> None:
    cocogen("train -o north")
    out, err = cocogen("train -o north")
    assert err.count("warning:") == 1
    assert "synthetic samples of north" in out


def test_whoever_generates_nothing_repeats_nothing(here, monkeypatch) -> None:
    nothing = Samples(np.zeros((0, 30), dtype=np.float32), np.zeros(0, dtype=np.int64))
    monkeypatch.setattr(Member, "generate", lambda *_: nothing)
    data, err = as_json("train -o north")
    assert data["memorization"] == {"north": None}
    assert "warning" not in err
    assert "synthetic samples of" not in cocogen("train -o north")[0]


def test_evidence_in_another_name_is_not_taken_for_the_own(here) -> None:
    cocogen("train -o north")
    shutil.copy(ROUND / "north.bundle", ROUND / "harbor.bundle")
    assert "evidence in the name of north" in cocogen("train -o harbor", code=4)[1]


def test_a_run_shows_the_worst_of_all_rounds(here) -> None:
    out, err = cocogen("run clinics.toml --no-study --ledger memory --verbose")
    assert "memorization: 0 of 6 sets of synthetic samples repeat training samples\nthe worst, " in out
    assert " in round 1: 0 of " in out
    assert "warning" not in err


def test_a_run_warns_of_the_worst_copies_and_still_succeeds(here, copying) -> None:
    data, err = as_json("run clinics.toml --no-study --ledger memory")
    found = data["memorization"]
    assert found["checked"] == len(found["flagged"]) == 6
    assert found["worst"]["copies"] == max(entry["copies"] for entry in found["flagged"])
    assert err.count("warning:") == 1
    assert f"warning: round 1: the synthetic samples of {found['worst']['organization']} repeat" in err
    assert "hint: 6 of 6 sets of synthetic samples are like that" in err


def test_bundles_that_cannot_be_compared_are_left_out_of_a_run(here) -> None:
    cocogen("train")
    bundle = Bundle.load(ROUND / "harbor.bundle")
    narrow = Samples(bundle.synthetic.features[:, :7], bundle.synthetic.labels)
    replace(bundle, synthetic=narrow).save(ROUND / "harbor.bundle")
    (ROUND / "north.bundle").write_bytes(b"no bundle")
    (ROUND / "hillside.bundle").unlink()
    shutil.copy(ROUND / "lakeview.bundle", ROUND / "meadow.bundle")
    with Request(config=None, workspace=None, ledger=None, as_json=True).opened() as session:
        found = inspect_run(session, 2)
    assert found["checked"] == 2
    assert found["flagged"] == []
    assert found["worst"]["organization"] in ("riverside", "lakeview")


def test_a_run_without_bundles_has_no_worst(here) -> None:
    with Request(config=None, workspace=None, ledger=None, as_json=True).opened() as session:
        assert inspect_run(session, 1) == {"checked": 0, "flagged": [], "worst": None}
