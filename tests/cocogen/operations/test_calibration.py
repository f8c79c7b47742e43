"""Measured accuracies are those of real federated runs, and depend on nothing but the task and the design."""

from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import DatasetError
from cocogen.evidence.local import Agreed, Local
from cocogen.game.accuracy import mean_heterogeneity
from cocogen.learning.models.classifiers import build_classifier
from cocogen.learning.models.states import average
from cocogen.learning.training.local import LocalWork, Schedule, train
from cocogen.learning.training.together import train_together
from cocogen.operations.calibration import ALPHAS, Design, Run, measure, plan_design
from cocogen.terms.accuracy import CalibrationTask, fit_record
from cocogen.terms.sections import Generation, Learning, Partition


def task_of(organizations=3, *, seed=7, rounds=2, **learning):
    terms = {"local_epochs": 1, "hidden": 8, **learning}
    return CalibrationTask(
        learning=Learning(dataset="diagnostic", **terms), organizations=organizations, rounds=rounds, seed=seed
    )


TINY = Design((30, 90), (100.0, 0.1), 2)


@pytest.fixture(scope="module")
def measured():
    return measure(task_of(), TINY)


def test_a_design_spans_the_training_data_geometrically():
    design = plan_design(task_of(), points=6, repeats=2)
    least, most = design.samples[0], design.samples[-1]
    assert most == 386  # 569 cases without the largest test fold, 114, and 15 % holdout
    assert least == 25  # a sixteenth, rounded up
    ratios = np.divide(design.samples[1:], design.samples[:-1])
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=0.03)
    assert design.alphas == ALPHAS
    assert len(design.runs()) == len(set(design.runs())) == 6 * 3 * 2


def test_a_design_leaves_every_organization_two_samples_on_average():
    assert plan_design(task_of(60), points=3, repeats=1).samples[0] == 120


@pytest.mark.parametrize(("organizations", "points"), [(200, 3), (191, 10)])
def test_data_that_hold_too_few_subsets_are_refused(organizations, points):
    with pytest.raises(DatasetError, match=f"no {points} different subsets for {organizations} organizations"):
        plan_design(task_of(organizations), points=points, repeats=1)


def test_own_data_cannot_be_calibrated_on():
    task = task_of()
    task = task.model_copy(update={"learning": task.learning.model_copy(update={"dataset": "own"})})
    with pytest.raises(DatasetError, match="own data cannot be cut anew"):
        plan_design(task, points=3, repeats=1)


def test_a_measured_accuracy_is_that_of_the_learning_task_itself(measured):
    learning = Learning(
        dataset="diagnostic", local_epochs=1, hidden=8, partition=Partition(alpha=0.1, sizes=(30, 30, 30))
    )
    direct = Local(Agreed(learning, Generation(), ("0", "1", "2"), seed=7, split=1))
    found = next(run for run in measured if (run.samples, run.alpha, run.repeat) == (90, 0.1, 1))
    assert found.accuracy == direct.train_together(2).accuracy
    assert found.heterogeneity == mean_heterogeneity(direct.heterogeneity, direct.registered)


def test_what_is_measured_is_the_metric_of_the_terms():
    task = task_of()
    task = task.model_copy(update={"learning": task.learning.model_copy(update={"metric": "auroc"})})
    said: list[str] = []
    found = measure(task, Design((90,), (0.1,), 1), progress=lambda *step: said.append(step[0]))
    sizes = Partition(alpha=0.1, sizes=(30, 30, 30))
    learning = task.learning.model_copy(update={"partition": sizes})
    direct = Local(Agreed(learning, Generation(), ("0", "1", "2"), seed=7))
    together = direct.train_together(2)
    assert found[0].accuracy == together.auroc != together.accuracy
    assert set(said) == {"measuring AUROC in federated runs"}


def test_training_together_goes_on_from_the_average_of_the_round_before():
    direct = Local(Agreed(task_of().learning, Generation(), ("0", "1", "2"), seed=7))
    losses = [direct.train_together(rounds).loss for rounds in (1, 2, 4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[2] < 0.7 * losses[0]


def test_a_round_of_training_together_weighs_everyone_by_its_samples():
    rng = np.random.default_rng(0)
    classifier = build_classifier("logistic", shape=(4,), classes=2, hidden=1)
    initial = classifier.initial_state(rng)
    data = [(rng.normal(size=(size, 4)).astype(np.float32), rng.integers(0, 2, size)) for size in (60, 10)]

    def works(number, state):
        return [LocalWork(state, *own, np.random.default_rng([number, n])) for n, own in enumerate(data)]

    schedule = Schedule(epochs=2, batch_size=16, learning_rate=0.1)
    parts = [result.state for result in train(classifier, works(1, initial), schedule)]
    assert parts[0].distance(parts[1]) > 0.01
    together = train_together(classifier, initial, works, schedule, rounds=1)
    assert together.digest() == average(parts, [60, 10]).digest()


def test_results_come_in_the_order_of_the_design_and_are_real_accuracies(measured):
    assert [Run(run.samples, run.alpha, run.repeat) for run in measured] == TINY.runs()
    folds = (114, 114)
    for run in measured:
        assert 0.3 < run.accuracy <= 1.0
        assert run.accuracy * folds[run.repeat] == pytest.approx(round(run.accuracy * folds[run.repeat]), abs=1e-9)
    mild, strong = (np.mean([run.heterogeneity for run in measured if run.alpha == alpha]) for alpha in TINY.alphas)
    assert mild < 0.15 < strong


def test_an_interrupted_measurement_goes_on_without_changing_a_number(measured):
    kept: list[list[object]] = []

    def interrupt(runs):
        kept.append(list(runs))
        if len(kept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(task_of(), TINY, keep=interrupt)
    assert [len(runs) for runs in kept] == [1, 2, 3]
    seen: list[int] = []
    again = measure(task_of(), TINY, kept[-1], keep=lambda runs: seen.append(len(runs)))
    assert again == measured
    assert seen == [4, 5, 6, 7, 8]


def test_a_larger_design_uses_what_a_smaller_one_measured(measured):
    larger = Design((30, 90), (100.0, 0.1), 3)
    seen: list[int] = []
    found = measure(task_of(), larger, measured, keep=lambda runs: seen.append(len(runs)))
    assert found[:8] == measured
    assert len(seen) == 4


def test_another_seed_measures_other_accuracies(measured):
    other = measure(task_of(seed=8), TINY)
    assert [run.accuracy for run in other] != [run.accuracy for run in measured]


def test_repeats_beyond_the_test_folds_cut_the_data_anew():
    design = Design((90,), (100.0,), 4)
    found = measure(task_of(splits=2), design)
    assert len({(run.heterogeneity, run.accuracy) for run in found}) == 4


def test_sizes_follow_the_proportions_of_the_terms():
    task = task_of(partition=Partition(sizes=(200, 100, 20)))
    [found] = measure(task, Design((48,), (1.0,), 1))
    learning = task.learning.model_copy(update={"partition": Partition(alpha=1.0, sizes=(29, 15, 4))})
    direct = Local(Agreed(learning, Generation(), ("0", "1", "2"), seed=7))
    assert found.heterogeneity == mean_heterogeneity(direct.heterogeneity, direct.registered)
    assert found.accuracy == direct.train_together(2).accuracy


def test_progress_counts_every_run(measured):
    shown: list[tuple[int, int]] = []
    measure(task_of(), TINY, measured, progress=lambda _, done, total: shown.append((done, total)))
    assert shown == [(done, 8) for done in range(9)]


@pytest.mark.slow
def test_real_accuracies_of_the_diagnostic_table_grow_with_data_and_are_fitted_to_their_noise():
    task = task_of(6, rounds=5, local_epochs=5, hidden=32)
    record = fit_record(task, measure(task, plan_design(task, points=4, repeats=5)))
    cells = record.cells()
    few, many = (np.mean([c.accuracy for c in cells if c.samples == count]) for count in (25, 386))
    assert many - few > 0.02
    noise = np.sqrt(np.mean([c.deviation**2 for c in cells]))
    assert record.fitted.rmse < 1.1 * noise
