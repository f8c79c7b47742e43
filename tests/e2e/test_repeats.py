"""A command that was killed before it could speak, and is repeated, moves nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST, MORE = 10**19, 9
"""Wei: above any bond of the clinics, and a little more."""


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def killed(monkeypatch):
    """Run a command whose process ends when it reaches the named function."""

    def run(cocogen, command: str, place: str) -> None:
        def die(*_args, **_options):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(place, die)
            with pytest.raises(Killed):
                cocogen(command)

    return run


def balance(cocogen, name: str = "north") -> int:
    return int(cocogen.json("status")["organizations"][name]["balance"])


@pytest.fixture
def bonded(states, deployed):
    """North has deposited."""
    return states("bonded", lambda cocogen: cocogen(f"deposit -o north --amount {FIRST}wei"), after="deployed")


@pytest.mark.parametrize(
    ("command", "moved"),
    [
        (f"deposit -o north --amount {MORE}wei", MORE),
        pytest.param(f"withdraw -o north --amount {MORE}wei", -MORE, marks=pytest.mark.slow),
    ],
)
def test_a_stated_amount_is_moved_once_more_on_purpose_alone(bonded, killed, command, moved):
    killed(bonded, command, "cli.organization.emit")
    assert balance(bonded) == FIRST + moved
    (unfinished,) = bonded.json("status")["unfinished"]
    assert (unfinished["amount"], unfinished["transaction"][:2]) == (str(MORE), "0x")
    assert unfinished["transaction"] in bonded("status").out
    for _ in range(2):
        told = bonded.json(command, code=3)
        assert told["code"] == "AlreadySent"
        assert told["details"]["amount"] == str(MORE)
        assert "--again" in told["hint"]
    assert balance(bonded) == FIRST + moved
    bonded(f"{command} --again")
    assert balance(bonded) == FIRST + 2 * moved
    bonded(command)
    assert bonded.json("status")["unfinished"] == []
    assert balance(bonded) == FIRST + 3 * moved, "nothing is asked about a command that came to its end"


@pytest.mark.parametrize(("answer", "times"), [(True, 2), (False, 1)])
def test_a_person_is_asked(bonded, killed, monkeypatch, answer, times):
    command, asked = f"deposit -o north --amount {MORE}wei", []
    killed(bonded, command, "cli.organization.emit")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda text, **options: asked.append((text, options)) or answer)
    said = bonded(command)
    assert "earlier deposit of 9 wei" in said.err
    assert asked == [("Send it once more?", {"default": False, "err": True})]
    assert ("deposited nothing more" in said.out) is not answer
    assert balance(bonded) == FIRST + times * MORE
    bonded(command)
    assert len(asked) == 1, "what was answered is not asked again"


@pytest.mark.slow
def test_an_amount_that_follows_from_the_balance_counts_what_was_mined(deployed, killed):
    killed(deployed, "deposit -o north", "cli.organization.emit")
    held = balance(deployed)
    assert held > 0
    assert "has nothing to deposit" in deployed("deposit -o north").out
    killed(deployed, "withdraw -o north --all", "cli.organization.emit")
    assert balance(deployed) == 0
    again = deployed("deposit -o north")
    assert "it is counted" in again.err
    assert balance(deployed) == held


@pytest.mark.slow
def test_a_deployment_that_was_killed_is_gone_on_with(cocogen, killed, tmp_path):
    killed(cocogen, "deploy clinics.toml", "cocogen.operations.deploy.save_deployment")
    workspace = tmp_path / ".cocogen" / "clinics"
    (sent,) = json.loads((workspace / "sent.json").read_text())["transactions"]
    deployed = cocogen.json("deploy clinics.toml")
    assert cocogen.json("audit")["status"] == "PASS"
    record = json.loads((workspace / "deployment.json").read_text())
    assert record["address"] == deployed["ledger"]["address"]
    assert [record["details"]["transaction"]] == sent["hashes"]
    from chain.backends import open_backend

    with open_backend(f"embedded:{workspace / 'chain.sqlite'}") as backend:
        assert backend.web3.eth.get_transaction_count(sent["account"]) == sent["nonce"] + 1


@pytest.mark.slow
def test_kill_9_right_after_the_block_is_noticed_by_the_next_process(bonded):
    script = (
        "import os, signal\n"
        "import cli.organization\n"
        "cli.organization.emit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from cli.main import main\n"
        f"main(['deposit', '-o', 'north', '--amount', '{MORE}wei'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", script], cwd=bonded.folder, env=environment, capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    assert balance(bonded) == FIRST + MORE
    assert bonded.json(f"deposit -o north --amount {MORE}wei", code=3)["code"] == "AlreadySent"
    assert balance(bonded) == FIRST + MORE
