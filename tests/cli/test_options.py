from __future__ import annotations

import os

import click
import pytest
from click.testing import CliRunner

from cli.options import device_option


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
