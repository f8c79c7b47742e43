from __future__ import annotations

import json
import os
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cli.main import cocogen
from cli.options import device_option
from tests.examples import typed

SHARED = ("--format", "--config", "--workspace", "--ledger", "--keys", "--password-file")
"""The options that README promises in the environment, too."""


def commands(group: click.Group, name: str = "cocogen") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def test_every_shared_option_of_every_command_has_its_variable() -> None:
    seen: dict[str, set[str]] = {name: set() for name in SHARED}
    for name, command in commands(cocogen):
        options = {word: option for option in command.params for word in option.opts}
        assert "--format" in options, name
        for word in SHARED:
            if word in options:
                seen[word].add(name)
                assert options[word].envvar == "COCOGEN_" + word.removeprefix("--").replace("-", "_").upper(), name
    assert all(len(names) > 1 for names in seen.values())


def test_the_format_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("COCOGEN_FORMAT", "json")
    code, out, _ = typed("keys", "list", "--keys", str(tmp_path))
    assert (code, json.loads(out)["data"]["keys"]) == (0, [])
    code, out, err = typed("status", "--workspace", str(tmp_path / "none"))
    assert (code, json.loads(out)["status"], err) == (2, "error", "")
    assert typed("keys", "list", "--keys", str(tmp_path), "--format", "text")[1].startswith("no keystores")


def test_an_unknown_format_in_the_environment_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOGEN_FORMAT", "xml")
    code, out, err = typed("keys", "list")
    assert (code, out) == (2, "")
    assert "'text', 'json'" in err


@click.command()
@device_option
def show() -> None:
    click.echo(os.environ.get("COCOGEN_DEVICE"))


def test_the_device_reaches_worker_processes_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOGEN_DEVICE", "auto")
    assert CliRunner().invoke(show, []).output == "auto\n"
    assert CliRunner().invoke(show, ["--device", "cpu"]).output == "cpu\n"


def test_an_unknown_device_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOGEN_DEVICE", "auto")
    result = CliRunner().invoke(show, ["--device", "tpu"])
    assert result.exit_code == 2
    assert "'auto', 'cpu', 'cuda'" in result.output
