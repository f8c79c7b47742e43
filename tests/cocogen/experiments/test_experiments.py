"""Every experiment of every study on tiny grids: it measures what its columns say, judges and draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import pytest

from cocogen.errors import ConfigurationError
from cocogen.experiments import (
    cocogen_plus,
    cocogen_rationality,
    cocogen_sweeps,
    deviation,
    misreport,
    tradefl,
    tradefl_sweeps,
)
from cocogen.experiments import tradefl_comparison as comparison
from cocogen.experiments.claims import Verdict
from cocogen.experiments.markets import cocogen_market, tradefl_market
from cocogen.experiments.studies import STUDIES, select
from cocogen.experiments.study import Experiment, measure
from cocogen.experiments.table import Table
from cocogen.report.style import figure_style

QUICK = [(study, e) for study, experiments in STUDIES.items() for e in experiments]


@pytest.fixture(scope="module")
def table_of() -> Iterator[Callable[[Experiment], Table]]:
    """Tables of two markets of three organizations, each measured once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cocogen_rationality, "_SPREADS", (0.0, 0.4))
        for module in (tradefl, comparison, tradefl_sweeps, deviation):
            patch.setattr(module, "tradefl_market", partial(tradefl_market, size=3))
        for module in (cocogen_plus, cocogen_rationality, cocogen_sweeps, deviation):
            patch.setattr(module, "cocogen_market", partial(cocogen_market, size=3))
        patch.setattr(misreport, "_SIZE", 3)
        patch.setattr(misreport, "FACTORS", (0.5,))
        patch.setattr(misreport, "_FIELDS", ("cost",))
        yield cache(partial(measure, progress=lambda *step: None, seeds=2, entropy=0, points=5, jobs=1))


@pytest.mark.parametrize(("study", "experiment"), QUICK, ids=[f"{study}-{e.name}" for study, e in QUICK])
def test_an_experiment_measures_judges_and_draws(study, experiment, table_of):
    table = table_of(experiment)
    assert table.columns == ("seed", *experiment.columns)
    assert table.distinct("seed") == [0, 1]
    assert all(len(row) == len(table.columns) for row in table.rows)
    claims = experiment.judge(table)
    assert claims
    for claim in claims:
        assert isinstance(claim.finding.verdict, Verdict)
        assert claim.finding.ours.count == 2
        assert claim.statement
        assert claim.parameters
    with figure_style():
        figure = experiment.draw(table)
    assert any(axes.has_data() for axes in figure.axes)
    assert any(axes.get_xlabel() for axes in figure.axes)
    assert any(axes.get_ylabel() for axes in figure.axes) or any(axes.get_yticklabels() for axes in figure.axes)


def test_experiments_of_a_study_have_different_names():
    for experiments in STUDIES.values():
        names = [experiment.name for experiment in experiments]
        assert len(set(names)) == len(names)


def test_only_keeps_the_studys_order():
    chosen = select("tradefl", ["overhead-sweep", "potential-dynamics"])
    assert [experiment.name for experiment in chosen] == ["potential-dynamics", "overhead-sweep"]


def test_an_unknown_study_or_experiment_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="one of tradefl, cocogen, deviation, misreport"):
        select("iterl")
    with pytest.raises(ConfigurationError, match="one of deviation"):
        select("deviation", ["deviation", "devation"])


def test_every_reported_tradefl_equilibrium_is_certified(table_of):
    table = table_of(select("tradefl", ["incentive-sweep"])[0])
    assert table.numbers("epsilon").max() <= 1e-9


def test_schemes_cannot_beat_the_planner(table_of):
    table = table_of(select("cocogen", ["welfare-by-scheme"])[0])
    assert table.numbers("efficiency").max() <= 1.0 + 1e-9
    tradefl = table_of(select("tradefl", ["welfare-by-scheme"])[0])
    names, welfare = tradefl.where(compute_weight=1.0, setting="paper").pivot("scheme", "welfare")
    for scheme in ("CGBD", "DBR", "FIP", "GCA", "WPR"):
        assert (welfare[:, names.index(scheme)] <= welfare[:, names.index("planner")] * (1.0 + 1e-9)).all()


def test_curves_begin_where_nothing_is_paid(table_of):
    table = table_of(select("cocogen", ["incentive-sweep"])[0])
    incentives, welfare = table.where(scale=4.0).pivot("incentive", "welfare")
    assert incentives[0] == 0.0
    assert np.isfinite(welfare).all()


def test_a_scheme_that_hardly_any_market_admits_is_left_out_of_figures_and_claims(table_of):
    experiment = select("deviation")[0]
    whole = table_of(experiment)
    rows = tuple(row for row in whole.rows if not (row[0] == 1 and row[1] == "optimal"))
    thin = Table(whole.columns, rows)
    claims = experiment.judge(thin)
    assert len(claims) == len(experiment.judge(whole)) - 3
    with figure_style():
        experiment.draw(thin)
