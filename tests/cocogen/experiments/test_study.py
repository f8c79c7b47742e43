"""Running, judging and writing: independent of the number of workers, whole files only, typed errors."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest

from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.experiments.claims import Claim, positive
from cocogen.experiments.figures import curves, single
from cocogen.experiments.study import CLAIM_COLUMNS, Experiment, run_study, summary

CLAIM_FILES = {"claims.csv", "claims.json", "claims.md"}


def _draw_numbers(rng, points):
    return [(step, float(rng.normal())) for step in range(points)]


def _judge(table):
    return [Claim("c", "values rise", "ours", "none", "p", "units", positive(table.per_seed("value")))]


def _figure(table):
    figure, axes = single("t", "step", "value")
    curves(axes, table.distinct("step"), {"value": table.pivot("step", "value")[1]})
    return figure


def _interrupt(rng, points):
    raise KeyboardInterrupt


def _experiment(name="numbers", measure=_draw_numbers):
    return Experiment(name, "Numbers", ("step", "value"), measure, _judge, _figure)


def _silent(description, done, total):
    pass


def _run(output, experiments=None, **options):
    options = {"seeds": 3, "points": 5, **options}
    return run_study([_experiment()] if experiments is None else experiments, output, _silent, **options)


def test_the_same_seed_writes_the_same_csv_whatever_the_number_of_workers(tmp_path):
    from cocogen.experiments.cocogen_sweeps import HETEROGENEITY

    for jobs in (1, 2):
        _run(tmp_path / str(jobs), [HETEROGENEITY], jobs=jobs)
    for name in ("generation-by-heterogeneity.csv", "claims.csv", "claims.json", "generation-by-heterogeneity.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_another_seed_draws_other_markets(tmp_path):
    for entropy in (0, 1):
        _run(tmp_path / str(entropy), entropy=entropy)
    assert (tmp_path / "0" / "numbers.csv").read_bytes() != (tmp_path / "1" / "numbers.csv").read_bytes()


def test_a_seeds_rows_do_not_depend_on_how_many_seeds_there_are(tmp_path):
    for seeds in (2, 4):
        _run(tmp_path / str(seeds), seeds=seeds)
    few, many = ((tmp_path / str(seeds) / "numbers.csv").read_text() for seeds in (2, 4))
    assert many.startswith(few)


def test_experiments_of_a_study_see_the_same_markets(tmp_path):
    _run(tmp_path, [_experiment("first"), _experiment("second")])
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


def test_claims_come_as_csv_and_json_with_rule_and_interval(tmp_path):
    result = _run(tmp_path, [_experiment("first"), _experiment("second")])
    rows = list(csv.DictReader((tmp_path / "claims.csv").read_text().splitlines()))
    assert tuple(rows[0]) == CLAIM_COLUMNS
    assert len(rows) == len(result.claims) == 2
    assert float(rows[0]["low"]) <= float(rows[0]["ours"]) <= float(rows[0]["high"])
    assert rows[0]["verdict"] == str(result.claims[0].finding.verdict)
    record = json.loads((tmp_path / "claims.json").read_text())
    assert record["seeds"] == 3
    assert record["claims"][1]["finding"]["ours"]["count"] == 3
    assert summary(result.claims)[0]["claim"] == "c"
    head, line, *rest = (tmp_path / "claims.md").read_text().splitlines()
    assert len(rest) == 2
    assert rest[0].count("|") == head.count("|") == line.count("|")
    assert f"**{rows[0]['verdict']}**" in rest[0]
    assert {path.name for path in result.files} == {path.name for path in tmp_path.iterdir()}


def test_an_interruption_leaves_finished_experiments_and_whole_files_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, [_experiment("first"), _experiment("second", _interrupt)])
    assert {path.name for path in tmp_path.iterdir()} == {"first.csv", "first.png", *CLAIM_FILES}
    assert (tmp_path / "first.png").read_bytes().endswith(b"IEND\xaeB`\x82")
    assert len(json.loads((tmp_path / "claims.json").read_text())["claims"]) == 1


def test_progress_counts_the_seeds_of_each_experiment(tmp_path):
    seen = []
    run_study([_experiment()], tmp_path, lambda *step: seen.append(step), seeds=3, points=5)
    assert seen == [("numbers", done, 3) for done in range(4)]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("seeds = 1", {"seeds": 1}),
        ("jobs = 0", {"jobs": 0}),
        ("points = 2", {"points": 2}),
        ("seed = -1", {"entropy": -1}),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path, field, options):
    with pytest.raises(ConfigurationError, match=field):
        _run(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_a_workspace_error_before_anything_is_measured(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("here")
    with pytest.raises(WorkspaceError, match="cannot be written") as refused:
        _run(blocked, [_experiment(measure=_interrupt)])
    assert "--output" in refused.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_a_workspace_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WorkspaceError, match="permission denied"):
        _run(tmp_path, [_experiment(measure=_interrupt)])


def test_tables_hold_plain_numbers(tmp_path):
    _run(tmp_path)
    header, *rows = csv.reader((tmp_path / "numbers.csv").read_text().splitlines())
    assert header == ["seed", "step", "value"]
    assert [row[:2] for row in rows[:2]] == [["0", "0"], ["0", "1"]]
    assert all(np.isfinite(float(row[2])) for row in rows)
