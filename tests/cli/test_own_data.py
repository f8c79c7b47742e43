"""Own data by commands: each party in a workspace of its own, and all of them at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.examples import typed
from tests.own_sites import NAMES, SITES, write_consortium

pytestmark = pytest.mark.heavy


def done(*arguments: object) -> str:
    code, out, err = typed(*arguments)
    assert code == 0, err
    return out


class Parties:
    """A folder of four sites, one ledger, and a workspace for each party."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.terms = write_consortium(folder)
        self.ledger = f"embedded:{folder / 'chain.sqlite'}"
        self.keys = folder / "keys"

    def site(self, name: str) -> Path:
        return self.folder / name / "site.toml"

    def by(self, name: str, *arguments: object, sites: bool = True) -> str:
        """What a command of one party answers."""
        options: list[object] = ["--workspace", self.folder / "of" / name, "--ledger", self.ledger, "--keys", self.keys]
        return done(*arguments, *options, *(("--sites", self.site(name)) if sites else ()))

    def registered(self) -> Path:
        target = self.folder / "registrations"
        target.mkdir()
        for name in SITES:
            done(
                "register",
                self.site(name),
                "--terms",
                self.terms,
                "-o",
                target / f"{name}.registration",
                "--keys",
                self.keys,
            )
        return target

    def deployed(self) -> Path:
        self.by("attester", "deploy", self.terms, "--registrations", self.registered())
        return self.folder / "of" / "attester" / "own.consortium"


@pytest.mark.slow
def test_every_party_plays_a_round_from_its_own_workspace_with_its_own_data(tmp_path: Path) -> None:
    parties = Parties(tmp_path)
    file = parties.deployed()
    for name in NAMES:
        said = parties.by(name, "join", file)  # with what the site remembers of its registration
        assert f"{name} joins own" in said
        assert "no row" in said
        assert all(len(line) <= 80 for line in said.splitlines())
    parties.by("attester", "round", "open", sites=False)
    carried = []
    for name in NAMES:
        parties.by(name, "train", "-o", name)
        carried.append(tmp_path / "of" / name / "rounds" / "0001" / f"{name}.bundle")
    parties.by("attester", "attest", *carried)
    for name in NAMES:
        shutil.copy(
            tmp_path / "of" / "attester" / "rounds" / "0001" / "attested.json",
            carried[0].parents[3] / name / "rounds" / "0001",
        )
        parties.by(name, "submit", "-o", name, sites=False)
    parties.by("attester", "round", "record", sites=False)
    parties.by("attester", "chain", "advance", "2 days", sites=False)
    parties.by("attester", "round", "settle", sites=False)
    verdict = json.loads(done("audit", file, "--ledger", parties.ledger, "--keys", parties.keys, "--format", "json"))[
        "data"
    ]
    assert verdict["status"] == "PASS"
    assert [check["status"] for check in verdict["checks"] if check["name"] == "data"] == ["PASS"]
    exported = tmp_path / "ledger.json"
    parties.by("attester", "export", "-o", exported, sites=False)
    offline = json.loads(done("audit", file, "--offline", exported, "--format", "json"))["data"]
    assert offline["status"] == "PASS"


def test_nobody_trains_for_somebody_whose_data_are_elsewhere(tmp_path: Path) -> None:
    parties = Parties(tmp_path)
    file = parties.deployed()
    for name in NAMES:
        parties.by(name, "join", file, "--registration", tmp_path / "registrations" / f"{name}.registration")
    parties.by("attester", "round", "open", sites=False)
    options = ("--workspace", tmp_path / "of" / "north", "--ledger", parties.ledger, "--keys", parties.keys)
    code, _, err = typed("train", "-o", "harbor", "--sites", parties.site("north"), *options)
    assert code == 4
    assert "the data of harbor are not here" in err


def test_an_audit_of_a_handed_over_file_asks_for_a_node(tmp_path: Path) -> None:
    code, _, err = typed("audit", Parties(tmp_path).deployed())
    assert code == 2
    assert "no ledger was named" in err


def test_a_run_on_own_data_asks_for_the_sites(tmp_path: Path) -> None:
    terms = write_consortium(tmp_path)
    code, _, err = typed("run", terms, "--workspace", tmp_path / "ws")
    assert code == 2
    assert "--sites DIR" in err
    shutil.rmtree(tmp_path / "harbor")
    code, _, err = typed("run", terms, "--workspace", tmp_path / "ws", "--sites", tmp_path)
    assert code == 2
    assert "one of each is needed" in err


@pytest.mark.slow
def test_six_dialects_give_what_the_same_rows_in_one_way_give(tmp_path: Path) -> None:
    """The rows, their split and their sums are the same, hence every registration, accuracy and wei."""
    six, plain = tmp_path / "six", tmp_path / "plain"
    done("data", "example", six)
    done("data", "example", plain, "--plain")
    names = [path.parent.name for path in six.glob("*/site.toml")]
    assert len(names) == 7
    reports: list[dict[str, Any]] = []
    for folder in (six, plain):
        terms = folder / "terms.toml"
        terms.write_text(terms.read_text().replace("rounds = 5", "rounds = 2", 1))
        if folder == plain:
            for name in names:  # the split of a site follows from its secret
                state = plain / name / f"{name}.state"
                state.mkdir(mode=0o700)
                shutil.copy2(six / name / f"{name}.state" / "secret", state)
        done("run", terms, "--sites", folder, "--workspace", tmp_path / f"of-{folder.name}", "--no-study")
        reports.append(json.loads((tmp_path / f"of-{folder.name}" / "report.json").read_text()))
    for name in names:
        assert (six / name / f"{name}.registration").read_bytes() == (
            plain / name / f"{name}.registration"
        ).read_bytes()
    assert reports[0]["audit"]["status"] == "PASS"
    for key in ("accuracy", "contributions", "transfers", "quality"):
        assert [each[key] for each in reports[0]["rounds"]] == [each[key] for each in reports[1]["rounds"]], key
