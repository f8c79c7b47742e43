"""Options that every command shares."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

__all__ = ["common", "organization_option"]

_Command = Callable[..., Any]


def common(config_argument: bool = False) -> Callable[[_Command], _Command]:
    """Add ``--config --workspace --ledger --format`` and pass them as one :class:`cli.session.Request`.

    ``config_argument`` adds CONFIG as a positional argument, which wins over ``--config``.
    """

    def decorate(function: _Command) -> _Command:
        @functools.wraps(function)
        def command(*args: Any, **kwargs: Any) -> Any:
            from cli.session import Request

            positional = kwargs.pop("config_file", None)
            option = kwargs.pop("config")
            request = Request(
                config=positional or option,
                workspace=kwargs.pop("workspace"),
                ledger=kwargs.pop("ledger"),
                as_json=kwargs.pop("format_") == "json",
            )
            return function(request, *args, **kwargs)

        options: list[Callable[[_Command], _Command]] = [
            click.option(
                "--format",
                "format_",
                type=click.Choice(["text", "json"]),
                default="text",
                envvar="COCOGEN_FORMAT",
                help="Text for people, or one JSON object.  [default: text]",
            ),
            click.option(
                "--ledger",
                metavar="LEDGER",
                envvar="COCOGEN_LEDGER",
                help="memory | tester | embedded:PATH.  [default: the one that was deployed to; "
                "first the embedded chain in the workspace]",
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


def organization_option(help_text: str, *, required: bool = True) -> Callable[[_Command], _Command]:
    """``--organization NAME``."""
    return click.option("-o", "--organization", metavar="NAME", required=required, help=help_text)
