"""What someone in a hurry types: help, wrong words, missing files; and the shape of every answer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cli.main import cocogen
from tests.examples import typed as run


def test_every_command_has_help_with_an_example_of_its_options():
    for name in cocogen.list_commands(None):
        code, out, _ = run(name, "--help")
        assert code == 0
        assert f"Usage: cocogen {name}" in out


def test_help_groups_commands_by_role():
    code, out, _ = run("--help")
    assert code == 0
    for title in ("Operator:", "Organization:", "Attester, arbiter:", "Anyone:", "Researcher:"):
        assert title in out


@pytest.mark.parametrize("heavy", ["web3", "torch", "scipy.optimize", "sklearn", "rich", "cocogen"])
def test_help_loads_nothing_heavy(heavy):
    script = f"import sys, cli.main; assert {heavy!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("heavy", ["web3", "torch", "scipy.optimize"])
def test_importing_the_engine_loads_nothing_heavy(heavy):
    script = (
        "import sys, cocogen; from cocogen import load_consortium, CoopetitionGame, solve, certify; "
        f"assert {heavy!r} not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_unknown_command_is_a_usage_error_with_exit_code_2():
    code, out, err = run("rnu")
    assert code == 2
    assert out == ""
    assert "No such command" in err


def test_errors_in_json_are_one_envelope_on_standard_output(tmp_path):
    code, out, _ = run("run", str(tmp_path / "none.toml"), "--format", "json")
    assert code == 2
    envelope = json.loads(out)
    assert envelope["schema_version"] == 1
    assert envelope["status"] == "error"
    assert envelope["error"]["code"] == "ConfigurationError"
    assert "none.toml" in envelope["error"]["message"]
    assert envelope["error"]["hint"]


def test_usage_errors_in_json_are_an_envelope_too():
    code, out, _ = run("status", "--format=json", "--nonsense")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "UsageError"


def test_a_command_without_a_deployment_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("status")
    assert code == 2
    assert "cocogen deploy" in err


def test_run_without_a_terms_file_names_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("run")
    assert code == 2
    assert "examples/clinics.toml" in err
