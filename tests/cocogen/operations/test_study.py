"""The comparison over test folds measures what it says."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.errors import LearningError
from cocogen.evidence.local import Agreed, Local
from cocogen.operations import study
from cocogen.operations.registration import register
from cocogen.operations.study import StudyRun, play_rounds
from cocogen.terms.consortium import load_consortium
from tests.examples import edited

EXAMPLE = Path(__file__).parents[3] / "examples" / "clinics.toml"


def short(tmp_path, rounds: int) -> Path:
    return edited(
        tmp_path / "clinics.toml",
        ("rounds = 5", f"rounds = {rounds}"),
        ("local_epochs = 5", "local_epochs = 2\nsplits = 2"),
        ("sizes = [105, 85, 70, 60, 40, 25]", "sizes = [60, 50, 40, 30, 25, 20]"),
    )


@pytest.mark.slow
def test_every_fold_is_played_three_ways_and_the_same_in_one_process_or_many(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=2))
    provider = partial(MemoryProvider, 7)
    seen: list[tuple[str, int, int]] = []
    first = StudyRun(consortium, 3.0, provider, processes=1).result(progress=lambda *step: seen.append(step))
    assert len(first.federated) == len(first.no_generation) == len(first.alone) == 2
    assert np.shape(first.alone_by_organization) == (2, 6)
    assert first.alone[0] == float(np.mean(first.alone_by_organization[0]))
    assert first.federated != first.no_generation
    assert first.mean["federated"] == float(np.mean(first.federated))
    assert [step[1:] for step in seen] == [(0, 2), (1, 2), (2, 2)]
    again = StudyRun(consortium, 3.0, provider, first_fold=False, processes=2)
    assert again.result(settled=first.federated[0]) == first


@pytest.mark.slow
def test_all_rounds_are_played_and_a_named_mechanism_replaces_that_of_the_terms(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=2))
    task = Local(Agreed(consortium.learning, consortium.generation, consortium.names, 7))
    registration = register(consortium, MemoryProvider(7), task)
    planned = play_rounds(registration, MemoryProvider(7), task)
    none = play_rounds(registration, MemoryProvider(7), task, mechanism_name="vcfl")
    assert [report.round for report in planned] == [report.round for report in none] == [1, 2]
    assert all(report.plan.profile.raw.sum() > 0 for report in planned)
    assert not any(report.plan.profile.raw.any() for report in none)
    assert none[-1].evaluation["accuracy"] == task.train_together(2).accuracy
    plain = task.without_generation()
    bare = registration.without_generation(plain.initial_state())
    assert not bare.shared.generator
    without = play_rounds(bare, MemoryProvider(7), plain, mechanism_name="vcfl")
    assert [report.evaluation for report in without] == [report.evaluation for report in none]
    assert [report.transfers for report in without] == [report.transfers for report in none]


@pytest.mark.slow
def test_terms_that_state_addresses_are_compared_without_anybodys_key(tmp_path):
    path = short(tmp_path, rounds=1)
    stated = path.read_text()
    for number, name in enumerate(("north", "attester", "arbiter"), start=1):
        line = f'name = "{name}"\n' if name == "north" else "[settlement]\n"
        field = "address" if name == "north" else name
        stated = stated.replace(line, f'{line}{field} = "0x{number:040x}"\n')
    open_terms, provider = load_consortium(path), partial(MemoryProvider, 7)
    path.write_text(stated)
    terms = load_consortium(path)
    assert (terms.organization[0].address, terms.settlement.attester) == (f"0x{1:040x}", f"0x{2:040x}")
    assert terms.without_accounts().source_digest == terms.source_digest
    fold = StudyRun(terms, 3.0, provider, processes=1)._folds
    assert next(fold) == next(StudyRun(open_terms, 3.0, provider, processes=1)._folds)


@pytest.mark.slow
def test_a_first_fold_that_was_left_to_the_caller_must_be_given(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=1))
    run = StudyRun(consortium, 3.0, partial(MemoryProvider, 7), first_fold=False, processes=1)
    with pytest.raises(LearningError, match="left to the caller"):
        run.result()


@pytest.mark.slow
def test_a_study_can_be_cancelled_under_way_and_after_it(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=1))
    run = StudyRun(consortium, 3.0, partial(MemoryProvider, 7), processes=2)
    run.cancel()
    with pytest.raises(LearningError, match="cancelled"):
        run.result()
    done = StudyRun(consortium, 3.0, partial(MemoryProvider, 7), processes=1)
    done.result()
    done.cancel()


def test_a_killed_process_is_a_typed_error_and_not_a_wait_for_ever(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=1))
    others = set(active_children())
    run = StudyRun(consortium, 3.0, partial(MemoryProvider, 7), processes=2)
    for process in set(active_children()) - others:
        process.kill()
    with pytest.raises(LearningError, match="was killed"):
        run.result()
    run.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_reaches_the_whole_group_leaves_workers_to_the_parent(number):
    script = (
        f"import os; from cocogen.operations import study; study._prepare_worker(1); os.kill(os.getpid(), {number})"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_fold_whose_last_rounds_are_void_counts_by_the_model_that_is_left(tmp_path, monkeypatch):
    consortium = load_consortium(short(tmp_path, rounds=1))
    task = Local(Agreed(consortium.learning, consortium.generation, consortium.names, 7))
    initial = task.attester.evaluate(task.initial_state()).accuracy
    void, counted = SimpleNamespace(evaluation={}), SimpleNamespace(evaluation={"accuracy": 0.75})
    played = iter([[counted, void], [void]])
    monkeypatch.setattr(study, "play_rounds", lambda *_, **__: next(played))
    result = StudyRun(
        consortium.model_copy(update={"learning": consortium.learning.model_copy(update={"splits": 2})}),
        3.0, partial(MemoryProvider, 7), processes=1,
    )  # fmt: skip
    fold = next(result._folds)
    assert (fold.federated, fold.no_generation) == (0.75, initial)
