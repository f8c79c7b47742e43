"""The calibration file: same measurements, same bytes; and what terms make of a file that they name."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cocogen.errors import ConfigurationError, InvalidAccuracy, WorkspaceError
from cocogen.game.accuracy import check_accuracy
from cocogen.terms.accuracy import (
    CalibrationRecord,
    CalibrationTask,
    MeasuredAccuracy,
    accuracy_function,
    fit_record,
    read_record,
    write_record,
)
from cocogen.terms.consortium import load_consortium
from cocogen.terms.sections import CalibratedTerms, Learning, SaturatingTerms

EXAMPLE = Path(__file__).parents[3] / "examples" / "clinics.toml"
STATED = 'accuracy = { kind = "power-law", ceiling = 1.0, scale = 4.0, exponent = 0.5 }'
NAMED = 'accuracy = { kind = "calibrated", file = "clinics.accuracy.json" }'


def task_of(**learning):
    return CalibrationTask(learning=Learning(dataset="diagnostic", **learning), organizations=6, rounds=5, seed=7)


def runs_of(scale=1.5):
    return [
        MeasuredAccuracy(
            samples=samples,
            alpha=alpha,
            repeat=repeat,
            heterogeneity=delta + 0.01 * repeat,
            accuracy=(1 - delta / 10) * (0.97 - scale * samples**-0.6) + 0.002 * (-1) ** repeat,
        )
        for repeat in range(2)
        for samples in (25, 50, 100, 200, 400)
        for alpha, delta in ((100.0, 0.05), (0.1, 0.4))
    ]


@pytest.fixture
def terms(tmp_path):
    """A terms file that names a calibration beside it, and the path of that calibration."""
    path, target = tmp_path / "terms.toml", tmp_path / "clinics.accuracy.json"
    text = EXAMPLE.read_text()
    assert STATED in text
    path.write_text(text.replace(STATED, NAMED))
    write_record(target, fit_record(task_of(), runs_of()))
    return path, target


def test_a_record_survives_the_file_exactly(tmp_path):
    record = fit_record(task_of(), runs_of())
    write_record(tmp_path / "a.json", record)
    assert read_record(tmp_path / "a.json") == record
    write_record(tmp_path / "b.json", fit_record(task_of(), runs_of()))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy", "auroc"])
def test_a_record_and_its_function_say_the_metric_unless_it_is_the_accuracy(tmp_path, metric):
    record = fit_record(task_of(metric=metric), runs_of())
    assert record.fitted.metric == metric
    write_record(tmp_path / "a.json", record)
    assert read_record(tmp_path / "a.json") == record
    written = json.loads((tmp_path / "a.json").read_text())
    said = {} if metric == "accuracy" else {"metric": metric}
    assert {key: written["accuracy"][key] for key in written["accuracy"] if key == "metric"} == said
    assert {
        key: written["task"]["learning"][key] for key in ("metric", "schema") if key in written["task"]["learning"]
    } == said


def test_an_accuracy_that_was_measured_does_not_stand_for_another_metric(terms):
    path, _ = terms
    path.write_text(path.read_text().replace("[learning]\n", '[learning]\nmetric = "auroc"\n'))
    assert "market.accuracy.file = measured with metric 'accuracy': the terms have metric 'auroc'" in str(refusal(path))


def test_a_record_says_what_was_run_and_how_well_the_fit_matches_each_run():
    record = fit_record(task_of(), runs_of())
    function = record.fitted.function()
    assert (record.fitted.dataset, record.fitted.model) == ("diagnostic", "mlp")
    assert record.fitted.samples == (25.0, 400.0)
    assert record.fitted.heterogeneity == pytest.approx((0.05, 0.41))
    for run, residual in zip(record.runs, record.residuals, strict=True):
        fitted = function.with_heterogeneity(run.heterogeneity).value(run.samples)
        assert residual == pytest.approx(run.accuracy - fitted, abs=1e-12)
    assert record.fitted.rmse == pytest.approx(math.sqrt(sum(r * r for r in record.residuals) / len(record.residuals)))
    assert record.largest_residual == max(map(abs, record.residuals))


def test_cells_gather_the_repeats_of_one_sample_count_and_skew():
    cells = fit_record(task_of(), runs_of()).cells()
    assert [(cell.samples, cell.alpha) for cell in cells[:3]] == [(25, 100.0), (25, 0.1), (50, 100.0)]
    first = cells[0]
    assert first.heterogeneity == pytest.approx(0.055)
    assert first.largest - first.least == pytest.approx(0.004)
    assert first.accuracy == pytest.approx((first.least + first.largest) / 2)
    assert first.deviation == pytest.approx(0.004 / math.sqrt(2))
    assert first.fitted == pytest.approx(first.accuracy, abs=0.005)
    single = fit_record(task_of(), runs_of()[:10]).cells()
    assert all(cell.deviation is None and cell.least == cell.largest for cell in single)


def test_runs_that_admit_no_increasing_fit_are_refused():
    with pytest.raises(InvalidAccuracy, match="does not grow"):
        fit_record(task_of(), [run.model_copy(update={"accuracy": 0.9}) for run in runs_of()])


def test_terms_take_the_function_from_the_file_that_they_name(terms):
    path, target = terms
    accuracy = load_consortium(path).market.accuracy
    assert accuracy == read_record(target).fitted
    function = accuracy_function(accuracy)
    assert function.value(100.0) == read_record(target).fitted.function().value(100.0)
    check_accuracy(function, 1.0, 1e6)


def test_another_calibration_is_another_agreement(terms):
    path, target = terms
    before = load_consortium(path).market.accuracy
    write_record(target, fit_record(task_of(), runs_of(scale=1.6)))
    assert load_consortium(path).market.accuracy != before


def test_the_inlined_function_needs_no_file(terms):
    accuracy = load_consortium(terms[0]).market.accuracy
    terms[1].unlink()
    copy = CalibratedTerms.model_validate_json(accuracy.model_dump_json())
    assert copy == accuracy
    assert copy.function().value(60.0) == accuracy.function().value(60.0)


def test_a_stand_in_takes_the_place_of_a_file_that_is_not_there_yet(terms):
    path, target = terms
    target.unlink()
    stand_in = SaturatingTerms(kind="saturating", scale=1.0)
    assert load_consortium(path, accuracy=stand_in).market.accuracy == stand_in


def refusal(path):
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    assert str(path) in str(caught.value)
    return caught.value


def test_a_missing_file_is_named_with_the_command_that_writes_it(terms):
    path, target = terms
    target.unlink()
    error = refusal(path)
    assert "market.accuracy.file = 'clinics.accuracy.json'" in str(error)
    assert "No such file" in str(error)
    assert error.hint == f"measure it: cocogen calibrate {path} -o {target}"


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda text: text[: len(text) // 2], "EOF"),
        (lambda text: "", "EOF"),
        (lambda text: "[1, 2]", "(file)"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "schema_version = 2"),
        (lambda text: text.replace('"floor"', '"flor"'), "accuracy.floor = nothing: required"),
        (lambda text: _with(text, "floor", math.nan), "accuracy.floor = nan: must be a finite number"),
        (lambda text: _with(text, "rmse", "small"), "accuracy.rmse = 'small'"),
        (lambda text: _with(text, "floor", 0.99), "all losses together are at most 1"),
        (lambda text: _with(text, "losses", []), "some loss shrinks with data"),
        (lambda text: _with(text, "heterogeneity", [0.0, 1.0]), "measured ranges"),
        (lambda text: text.replace('"accuracy": 0.', '"accuracy": 3.', 1), "accuracy = 3."),
        (lambda text: json.dumps({**json.loads(text), "accuracy": None}), "unfinished"),
        (lambda text: " " * 10_000_001, "larger than 10,000,000 bytes"),
    ],
)
def test_a_malformed_file_is_refused_with_what_is_wrong_in_it(terms, damage, found):
    path, target = terms
    target.write_text(damage(target.read_text()))
    assert found in str(refusal(path))


def _with(text, field, value):
    record = json.loads(text)
    record["accuracy"][field] = value
    return json.dumps(record)


def test_a_name_that_no_file_can_have_is_refused(terms):
    path, _ = terms
    path.write_text(path.read_text().replace("clinics.accuracy.json", "clinics\\u0000.json"))
    assert "cannot be read" in str(refusal(path))


def test_a_deeply_nested_file_is_refused(terms):
    terms[1].write_text("[" * 100_000)
    assert "not a calibration" in str(refusal(terms[0]))


def test_bytes_that_are_no_text_are_refused(terms):
    terms[1].write_bytes(b"\xff\xfe\x00{")
    assert "not a calibration" in str(refusal(terms[0]))


@pytest.mark.parametrize(
    ("new", "found"),
    [
        ('{ kind = "calibrated", file = 3 }', "market.accuracy.file = 3: the name of a file"),
        (
            '{ kind = "calibrated", file = "clinics.accuracy.json", floor = 0.1 }',
            "market.accuracy.floor = 0.1: unknown",
        ),
        ('{ kind = "calibrated" }', "market.accuracy.floor = nothing: required"),
        ('{ kind = "power-law", file = "clinics.accuracy.json" }', "market.accuracy.file"),
    ],
)
def test_a_statement_that_names_no_file_properly_is_refused(terms, new, found):
    path, _ = terms
    path.write_text(path.read_text().replace(NAMED, f"accuracy = {new}"))
    assert found in str(refusal(path))


@pytest.mark.parametrize(
    ("field", "value"), [("dataset", "digits"), ("model", "logistic"), ("metric", "balanced-accuracy")]
)
def test_a_calibration_of_another_data_set_model_or_metric_is_refused(terms, field, value):
    path, target = terms
    target.write_text(_with(target.read_text(), field, value))
    error = refusal(path)
    assert f"market.accuracy.file = measured with {field} '{value}': the terms have {field}" in str(error)


def test_a_file_that_cannot_be_written_is_an_error_of_its_own(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_record(tmp_path / "file" / "a.json", CalibrationRecord(task=task_of()))
