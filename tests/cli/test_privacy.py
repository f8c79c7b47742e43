"""What the commands say of the privacy that updates have spent."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.privacy import print_privacy
from cli.request import Request
from cocogen.evidence.privacy import UpdatePrivacy, spent_epsilon
from cocogen.operations.leakage import privacy_spent
from cocogen.rounds.workspace import Workspace
from cocogen.terms.sections import Privacy
from tests.examples import SHORT, edited, typed

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
CLINICS = ["north", "harbor", "riverside", "hillside", "meadow", "lakeview"]
AGREED = Privacy(clip=2.0, noise_multiplier=0.02, delta=1e-6)


def spent(rounds: int, *, replacement: bool = False) -> float:
    return spent_epsilon(UpdatePrivacy(**AGREED.model_dump()), rounds, replacement=replacement)


@pytest.fixture
def session(tmp_path) -> Any:
    """In the third round north has handed in three bundles, harbor one, and meadow none."""
    workspace = Workspace(tmp_path)
    for number, name in [(1, "north"), (2, "north"), (3, "north"), (2, "harbor"), (4, "harbor")]:
        workspace.bundle(number, name).parent.mkdir(parents=True, exist_ok=True)
        workspace.bundle(number, name).touch()
    return SimpleNamespace(
        workspace=workspace,
        ledger=SimpleNamespace(state=lambda: SimpleNamespace(round=3)),
        resolved=SimpleNamespace(learning=SimpleNamespace(privacy=AGREED)),
    )


def test_every_bundle_that_left_an_organization_counts(session) -> None:
    data = privacy_spent(session, ["north", "harbor", "meadow"])
    assert data["rounds"] == {"north": 3, "harbor": 1, "meadow": 0}
    assert data["epsilon"] == {"north": spent(3), "harbor": spent(1), "meadow": 0.0}
    assert data["epsilon_replacement"]["harbor"] == spent(1, replacement=True)
    assert data["delta"] == 1e-6


def test_where_nothing_is_agreed_nothing_is_said(session) -> None:
    session.resolved.learning.privacy = None
    assert privacy_spent(session, ["north"]) is None


def test_the_table_says_epsilon_both_ways(session, capsys) -> None:
    print_privacy(privacy_spent(session, ["north", "meadow"]))
    out = capsys.readouterr().out
    assert ["north", "3", f"{spent(3):.4g}", f"{spent(3, replacement=True):.4g}", "1e-06"] in [
        line.split() for line in out.splitlines()
    ]
    assert ["meadow", "0", "0", "0", "1e-06"] in [line.split() for line in out.splitlines()]


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> dict[str, Any]:
    """What ``train -o north`` says in the first round, and ``run`` after it has finished both rounds."""
    folder = tmp_path_factory.mktemp("private")
    privacy = "[learning.privacy]\nclip = 2.0\nnoise_multiplier = 0.02\ndelta = 1e-6\n\n[learning.partition]"
    edited(folder / "clinics.toml", ("rounds = 5", "rounds = 2"), *SHORT, ("[learning.partition]", privacy))
    answers = {}
    with contextlib.chdir(folder):
        answers["deploy"] = said("deploy", "clinics.toml")
        with Request(None, None, None, as_json=False).opened() as session:
            session.loop.bond()
            session.loop.open()
        answers["train"] = said("train", "-o", "north")
        answers["run"] = said("run", "clinics.toml", "--no-study", "--verbose")
    answers["report"] = (folder / ".cocogen" / "clinics" / "report.json").read_text()
    return answers


def said(*arguments: str) -> str:
    code, out, err = typed(*arguments)
    assert code == 0, out + err
    return out


@pytest.mark.slow
def test_train_tells_an_organization_what_it_has_spent(played) -> None:
    table = played["train"].split("differential privacy spent on updates")[1]
    assert ["north", "1", f"{spent(1):.4g}"] in [line.split()[:3] for line in table.splitlines()]
    assert "harbor" not in table


@pytest.mark.slow
def test_run_tells_epsilon_and_delta_of_every_organization(played) -> None:
    privacy = json.loads(played["report"])["privacy"]
    assert privacy["epsilon"] == dict.fromkeys(CLINICS, spent(2))
    assert privacy["epsilon_replacement"] == dict.fromkeys(CLINICS, spent(2, replacement=True))
    assert (privacy["delta"], privacy["clip"], privacy["noise_multiplier"]) == (1e-6, 2.0, 0.02)
    table = played["run"].split("differential privacy spent on updates")[1].split("welfare by scheme")[0]
    for name in CLINICS:
        row = next(line.split() for line in table.splitlines() if line.split()[:1] == [name])
        assert row == [name, "2", f"{spent(2):.4g}", f"{spent(2, replacement=True):.4g}", "1e-06"]
