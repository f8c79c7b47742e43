"""Options that every command shares."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

__all__ = ["common", "device_option", "format_option", "key_options", "organization_option"]

_Command = Callable[..., Any]

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="COCOGEN_FORMAT",
    help="Text for people, or one JSON object.  [default: text]",
)
_KEYS = click.option(
    "--keys",
    type=click.Path(file_okay=False),
    metavar="DIR",
    envvar="COCOGEN_KEYS",
    help="Folder of keystores: NAME's key signs for the organization or role NAME (operator, attester, arbiter).  "
    "[default: cocogen/keys in your configuration folder]",
)
_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Folder with the files of data sets, before that of COCOGEN_DATA.  [default: downloads in your cache]",
)
_SITES = click.option(
    "--sites",
    type=click.Path(exists=True),
    metavar="PATH",
    envvar="COCOGEN_SITES",
    help="Own data that are here: a site file, or a folder with one site.toml in each of its folders.",
)
_PASSWORD_FILE = click.option(
    "--password-file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    envvar="COCOGEN_PASSWORD_FILE",
    help="File whose first line opens the keystores.  [default: COCOGEN_PASSWORD, else you are asked]",
)


def key_options(function: _Command) -> _Command:
    """``--keys --password-file --format`` alone, for commands about keys."""
    return _KEYS(_PASSWORD_FILE(format_option(function)))


def common(config_argument: bool = False) -> Callable[[_Command], _Command]:
    """Add ``--config --workspace --ledger --data-dir --sites --keys --password-file --format`` as one
    :class:`cli.request.Request`.

    ``config_argument`` adds CONFIG as a positional argument, which wins over ``--config``.
    """

    def decorate(function: _Command) -> _Command:
        @functools.wraps(function)
        def command(*args: Any, **kwargs: Any) -> Any:
            from cli.request import Request

            positional = kwargs.pop("config_file", None)
            option = kwargs.pop("config")
            request = Request(
                config=positional or option,
                workspace=kwargs.pop("workspace"),
                ledger=kwargs.pop("ledger"),
                as_json=kwargs.pop("format_") == "json",
                keys=kwargs.pop("keys"),
                password_file=kwargs.pop("password_file"),
                data_dir=kwargs.pop("data_dir"),
                sites=kwargs.pop("sites"),
            )
            return function(request, *args, **kwargs)

        options: list[Callable[[_Command], _Command]] = [
            format_option,
            _PASSWORD_FILE,
            _KEYS,
            _DATA_DIR,
            _SITES,
            click.option(
                "--ledger",
                metavar="LEDGER",
                envvar="COCOGEN_LEDGER",
                help="memory | tester | embedded:PATH | anvil | ganache | http://… | https://… (any Ethereum node).  "
                "[default: the one that was deployed to; first the embedded chain in the workspace]",
            ),
            click.option(
                "--workspace",
                type=click.Path(file_okay=False),
                metavar="DIR",
                envvar="COCOGEN_WORKSPACE",
                help="Folder of this consortium's files.  [default: .cocogen/NAME]",
            ),
            click.option(
                "--config",
                type=click.Path(dir_okay=False),
                metavar="FILE",
                envvar="COCOGEN_CONFIG",
                help="Terms file (TOML).  [default: the one that was deployed]",
            ),
        ]
        if config_argument:
            options.append(
                click.argument("config_file", metavar="[CONFIG]", required=False, type=click.Path(dir_okay=False))
            )
        decorated: _Command = command
        for option in options:
            decorated = option(decorated)
        return decorated

    return decorate


def device_option(function: _Command) -> _Command:
    """``--device``, handed on in the environment so that worker processes follow it too."""

    def choose(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            os.environ["COCOGEN_DEVICE"] = value

    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        callback=choose,
        expose_value=False,
        help="Where classifiers train; auto is CUDA where there is one.  [default: COCOGEN_DEVICE, else auto]",
    )(function)


def organization_option(help_text: str, *, required: bool = True) -> Callable[[_Command], _Command]:
    """``--organization NAME``."""
    return click.option("-o", "--organization", metavar="NAME", required=required, help=help_text)
