"""The whole job: played to its end from wherever it stands, audited, and told as values and as plain JSON."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from chain.audit import audit_deployment
from chain.twin.ledger import MemoryProvider
from cli import outcome
from cocogen.errors import LearningError, WorkspaceError
from cocogen.operations import run as running
from cocogen.operations.deploy import deploy
from cocogen.operations.run import run, take_up
from cocogen.operations.session import open_consortium
from cocogen.operations.study import Study
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import load_consortium
from tests.examples import edited

SEED = 7


def test_it_goes_on_where_the_ledger_stands_and_keeps_its_result(deployed, memory, clinics):
    names = clinics.names
    said: list[str] = []
    seen: list[str] = []
    with open_consortium(deployed.workspace, memory) as consortium:
        consortium.loop.bond()
        consortium.loop.open()
        result = run(consortium, audit_deployment, progress=lambda *step: seen.append(step[0]), note=said.append)
        state = consortium.ledger.state()
        outcomes = consortium.ledger.outcomes()
        again = run(consortium, audit_deployment, note=said.append)
    assert [line.partition(",")[0] for line in said] == ["round 1 of 2 settled", "round 2 of 2 settled"]
    assert list(dict.fromkeys(seen))[-2:] == ["auditing the ledger", "comparing synthetic with training samples"]
    assert again.plain() == result.plain(), "all rounds were over: nothing was played twice"

    assert result.audit.status == "PASS"
    assert [each.transfers for each in result.rounds] == [
        dict(zip(names, outcome.transfers, strict=True)) for outcome in outcomes
    ]
    for n, name in enumerate(names):
        mine = result.organizations[name]
        assert mine.transfers == sum(outcome.transfers[n] for outcome in outcomes)
        assert mine.balance == state.balances[n]
        assert mine.generated == sum(outcome.contributions[n].generated for outcome in outcomes)
        assert mine.payoff == pytest.approx(sum(each.payoffs[name] for each in result.rounds))
    assert 0 < result.welfare.mechanism <= result.welfare.planner
    assert result.memorization["checked"] == 2 * len(names)
    assert result.study is None

    plain = result.plain()
    assert list(plain) == [
        "consortium", "mechanism", "workspace", "ledger", "incentive", "wei_per_unit", "rounds", "organizations",
        "privacy", "welfare", "study", "memorization", "audit",
    ]  # fmt: skip
    assert list(plain["rounds"][0]) == [
        "round", "status", "accuracy", "loss", "strategies", "epsilon", "epsilon_executed", "quality",
        "contributions", "payoffs", "transfers", "rejected",
    ]  # fmt: skip
    assert list(plain["organizations"]["north"]) == [
        "local", "heterogeneity", "data", "generated", "transfers", "payoff", "surplus", "balance", "liability",
    ]  # fmt: skip
    assert plain["organizations"]["north"]["balance"] == str(state.balances[0])
    assert plain["welfare"]["efficiency"] == result.welfare.efficiency <= 1
    kept = json.loads((deployed.workspace / "report.json").read_text())
    assert kept == json.loads(json.dumps(plain))


def test_the_comparison_over_folds_is_begun_first_and_given_up_when_the_rounds_fail(deployed, memory, monkeypatch):
    done: list[str] = []

    class Comparison:
        def __init__(self, terms, incentive, provider, *, first_fold, source):
            assert (terms.consortium.name, incentive, first_fold) == ("clinics", deployed.resolved.incentive, False)
            assert isinstance(provider(), MemoryProvider)
            assert source.args[0].terms == terms.folder
            done.append("begun")

        def result(self, *, settled, progress):
            del progress
            done.append(f"{settled:.4f}")
            return Study((settled,), (0.5,), (0.4,), ((0.4,) * 6,))

        def cancel(self):
            done.append("given up")

    monkeypatch.setattr(running, "StudyRun", Comparison)
    ledger = partial(MemoryProvider, SEED)
    with open_consortium(deployed.workspace, memory) as consortium:
        with monkeypatch.context() as broken:
            broken.setattr(consortium.loop, "play", lambda: (_ for _ in ()).throw(LearningError("it diverged")))
            with pytest.raises(LearningError, match="diverged"):
                run(consortium, audit_deployment, study_ledger=ledger)
        assert done == ["begun", "given up"]
        result = run(consortium, audit_deployment, study_ledger=ledger)
    last = result.rounds[-1].accuracy
    assert done[2:] == ["begun", f"{last:.4f}", "given up"]
    study = result.plain()["study"]
    assert study["federated"] == [last]
    assert study["alone_by_organization"]["north"] == [0.4]
    assert list(study) == ["splits", "federated", "no_generation", "alone", "alone_by_organization", "mean"]


@pytest.mark.parametrize("metric", ["balanced-accuracy", "auroc"])
def test_another_metric_takes_the_place_of_accuracy_and_is_named(clinics, memory, tmp_path, metric):
    terms = edited(
        tmp_path / "terms.toml", ("[learning]\n", f'[learning]\nmetric = "{metric}"\n'), example=Path(clinics.file)
    )
    deployed = deploy(load_consortium(terms), memory, tmp_path / "clinics")
    said: list[str] = []
    with open_consortium(deployed.workspace, memory) as consortium:
        result = run(consortium, audit_deployment, note=said.append)
    words, field = ("AUROC", "auroc") if metric == "auroc" else ("balanced accuracy", "balanced_accuracy")
    plain = result.plain()
    assert plain["metric"] == metric
    for number, entry in enumerate(plain["rounds"], 1):
        assert said[number - 1] == f"round {number} of 2 settled, {words} {entry[field]:.4f}"
        low, high = entry["interval"]
        assert low < entry[field] <= high
        assert 0 < entry["accuracy"] <= 1
    assert result.audit.status == "PASS"
    summary = "\n".join(outcome.summary(plain, "clinics.toml", kept=True))
    last = plain["rounds"][-1]
    assert f"{words}: {last[field]:.4f} together, on test data ({last['interval'][0]:.3f} to" in summary


class TestTakingUp:
    def test_an_empty_folder_has_nothing_to_go_on_with(self, clinics, tmp_path):
        assert take_up(Workspace(tmp_path), clinics) is None

    @pytest.mark.parametrize("own", [True, False])
    def test_an_unfinished_run_is_gone_on_with_and_said_unless_it_is_ones_own(self, deployed, clinics, own):
        said: list[str] = []
        assert take_up(Workspace(deployed.workspace), clinics, own=own, note=said.append) == deployed.deployment
        assert said == ([] if own else [f"going on with the unfinished run in {deployed.workspace}"])

    def test_one_of_other_terms_is_refused(self, deployed, clinics):
        other = clinics.with_incentive(1.0)
        with pytest.raises(WorkspaceError, match="unfinished run of other terms; they differ in incentive"):
            take_up(Workspace(deployed.workspace), other)

    def test_a_finished_run_is_set_aside_whatever_its_terms(self, deployed, clinics):
        workspace = Workspace(deployed.workspace)
        workspace.write_json(workspace.report, {})
        said: list[str] = []
        assert take_up(workspace, clinics.with_incentive(1.0), note=said.append) is None
        assert said == [f"an earlier run is kept in {deployed.workspace}.1"]
        assert not workspace.deployment.exists()
