"""Where nobody generates there is no generator and no κ, from the terms to the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.data.sets import DataFolders
from cocogen.errors import ConfigurationError, DatasetError
from cocogen.evidence.local import Agreed, Local
from cocogen.operations.registration import register
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import Consortium, load_consortium
from cocogen.terms.resolved import ResolvedTerms

TERMS = """
[consortium]
name = "rare"
mechanism = "{mechanism}"
rounds = 2

[learning]
dataset = "rare.npz"
model = "logistic"
local_epochs = 1
splits = 3

[generation]
maximum = {maximum}
pretraining_rounds = 2

[market]
accuracy = {{ kind = "power-law", scale = 4.0, exponent = 0.5 }}
competition = 0.05

[incentive]
redistribution = "{redistribution}"

[[organization]]
name = "north"
profitability = 2000.0
generation_cost = {{ quadratic = 0.004 }}
{own}

[[organization]]
name = "harbor"
profitability = 1500.0
generation_cost = {{ quadratic = 0.004 }}

[[organization]]
name = "meadow"
profitability = 1000.0
generation_cost = {{ quadratic = 0.004 }}
"""


def terms(folder: Path, positives: int = 3, **changes: object) -> Consortium:
    """Terms on a table with so few ``positives`` that no quality could be measured."""
    said = {"mechanism": "cocogen+", "maximum": 0, "redistribution": "uniform", "own": "", **changes}
    (folder / "terms.toml").write_text(TERMS.format(**said))
    features = np.random.default_rng(0).standard_normal((90, 4))
    np.savez(folder / "rare.npz", features=features, labels=np.arange(90) < positives)
    return load_consortium(folder / "terms.toml")


def task_of(consortium: Consortium, split: int = 0) -> Local:
    agreed = Agreed.of(consortium, split)
    return Local(agreed, agreed.source(DataFolders(consortium.folder)))


@pytest.mark.parametrize(
    "changes",
    [
        {"maximum": 0},
        {"maximum": 0, "redistribution": "optimal"},
        {"maximum": 300, "mechanism": "vcfl"},
        {"maximum": 0, "mechanism": "radg"},
    ],
    ids=["uniform", "optimal", "vcfl", "radg"],
)
def test_rounds_settle_without_a_generator(tmp_path: Path, changes: dict[str, object]) -> None:
    consortium = terms(tmp_path, **changes)
    assert not consortium.generates
    provider, task, told = MemoryProvider(0), task_of(consortium), []
    registration = register(consortium, provider, task, progress=lambda what, done, total: told.append(what))
    resolved = registration.resolved
    assert [organization.quality for organization in resolved.organization] == [None] * 3
    assert not resolved.generates
    assert ResolvedTerms.from_json(resolved.to_json()) == resolved
    assert not registration.shared.generator

    workspace = Workspace(tmp_path / "workspace")
    registration.shared.save(workspace.initial_model)
    loop = RoundLoop(
        resolved,
        provider.deploy(resolved.settlement_terms()),
        workspace,
        source=lambda agreed: agreed.source(DataFolders(tmp_path)),
        progress=lambda what, done, total: told.append(what),
    )
    for number in (1, 2):
        loop.bond()
        report = loop.play()
        assert (report.status, report.rejected, report.quality) == ("settled", {}, (None,) * 3)
        assert [contribution.generated for contribution in report.contributions] == [0] * 3
        assert not report.plan.profile.raw.any()
        assert loop.history.attested(number).quality == (None,) * 3
        assert report.plan.efficiency == pytest.approx(1.0)
    assert not [what for what in told if "generator" in what]


def test_a_maximum_of_0_of_one_organization_is_its_own(tmp_path: Path) -> None:
    consortium = terms(tmp_path, maximum=30, own="generation_maximum = 0")
    assert consortium.generation_maximum() == (0, 30, 30)
    assert consortium.generates
    with pytest.raises(ConfigurationError, match="generation_maximum"):
        terms(tmp_path, own="generation_maximum = -1")


def test_what_cannot_be_measured_is_said_before_anything_is_trained_and_what_would_do(tmp_path: Path) -> None:
    consortium = terms(tmp_path, positives=6, maximum=30)
    with pytest.raises(DatasetError, match="of the 6 samples of class True the attester's holdout has 1") as caught:
        task_of(consortium)
    assert "learning.holdout_fraction = 0.3" in caught.value.hint
    text = (tmp_path / "terms.toml").read_text()
    fraction = caught.value.hint.split(" = ")[1].split()[0]
    (tmp_path / "terms.toml").write_text(text.replace("splits = 3", f"splits = 3\nholdout_fraction = {fraction}"))
    for split in range(3):
        task_of(load_consortium(tmp_path / "terms.toml"), split)


def test_where_no_holdout_is_large_enough_other_ways_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="of the 3 samples of class True") as caught:
        task_of(terms(tmp_path, positives=3, maximum=30))
    assert "none is large enough" in caught.value.hint
    assert "generation.maximum = 0" in caught.value.hint
    task_of(terms(tmp_path, positives=3, maximum=0))


def test_a_holdout_that_tells_little_is_said_to_and_what_would_do(tmp_path: Path) -> None:
    consortium = terms(tmp_path, positives=45, maximum=30)
    said = task_of(consortium).attester.doubt
    assert said is not None
    assert "holdout of 9 samples tells little" in said[0]
    assert "more samples" in said[1]
    assert "generation.maximum = 0" in said[1]
    assert task_of(terms(tmp_path, positives=45, maximum=0)).attester.doubt is None
    table = np.load(tmp_path / "rare.npz")
    np.savez(tmp_path / "rare.npz", features=table["features"] + 2.0 * table["labels"][:, None], labels=table["labels"])
    assert task_of(consortium).attester.doubt is None
