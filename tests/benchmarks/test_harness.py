"""A benchmark that measured less than the whole leaves the committed results as they are."""

from __future__ import annotations

import argparse
import json
import sys

import pytest

harness = pytest.importorskip("benchmarks.harness", reason="run python -m pytest in the repository")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Runs a benchmark of three sizes with these options; its committed and its partial results."""
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    (tmp_path / "toy.json").write_text("committed")

    def run(*arguments: str, lacking: str | None = None):
        def cases(options: argparse.Namespace):
            if lacking:
                options.skipped.append(lacking)
            yield from ({"organizations": size, "solver": "toy"} for size in options.sizes)

        monkeypatch.setattr(sys, "argv", ["benchmarks.toy", *arguments])
        harness.main("toy", cases, sizes=[2, 3, 5], repeats=3)
        found = [tmp_path / "toy.json", tmp_path / "partial" / "toy.json"]
        return [path.read_text() if path.exists() else None for path in found]

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "toy"],
        ["--sizes", "2"],
        ["--sizes", "2", "3", "7"],
        ["--repeats", "1"],
        ["--sizes", "2", "--format", "json"],
    ],
)
def test_a_part_is_kept_beside_the_committed_results_and_says_so(bench, arguments, capsys):
    committed, partial = bench(*arguments)
    assert committed == "committed"
    assert json.loads(partial)["data"]["results"]
    assert "the whole results stay" in capsys.readouterr().err


def test_what_a_machine_lacks_makes_a_run_partial_too(bench):
    committed, partial = bench(lacking="no Flower")
    assert committed == "committed"
    assert partial is not None


@pytest.mark.parametrize("arguments", [[], ["--repeats", "4"], ["--sizes", "5", "3", "2", "9"]])
def test_a_whole_run_is_committed(bench, arguments):
    committed, partial = bench(*arguments)
    assert {2, 3, 5} <= {row["organizations"] for row in json.loads(committed)["data"]["results"]}
    assert partial is None


def test_a_run_that_fails_half_way_leaves_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)

    def cases():
        yield {"organizations": 2}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.publish("toy", cases(), as_json=False)
    assert list(tmp_path.iterdir()) == []


def test_the_benchmark_of_generation_knows_its_parts():
    generation = pytest.importorskip("benchmarks.generation")
    whole = {"seeds": [1, 2], "generators": ["mixture"], "rounds": generation.ROUNDS}
    for given, parts in (
        ({"seeds": [1]}, ["seeds"]),
        ({"generators": ["cvae"]}, ["generators"]),
        ({"rounds": 1}, ["rounds"]),
        ({"seeds": [2, 1, 3]}, []),
    ):
        assert harness.less_than(argparse.Namespace(**{**whole, **given}), whole) == parts
