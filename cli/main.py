"""The ``cocogen`` command: the list of commands, loaded when used, and the one place where errors become exits.

====  =====================================================================
exit  meaning
====  =====================================================================
0     done
1     a check failed: the audit found a mismatch, a certificate did not hold
2     usage or configuration: the message names the file, field and range
3     the ledger refused an operation or could not be reached
4     data, training, generation or evidence failed
5     the audit could not be completed
70    a defect of the program; COCOGEN_DEBUG=1 shows where
74    standard output could not be written; what was done stays done
130   interrupted; run the same command again to go on
143   the same, by SIGTERM
====  =====================================================================
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from cli import output, streams

__all__ = ["cocogen", "main"]

_GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Everything at once": {
        "run": ("cli.run:run", "Plan, train, attest and settle all rounds, then audit."),
    },
    "Operator": {
        "deploy": ("cli.operator:deploy", "Resolve the terms and put them on the ledger."),
        "coordinator": ("cli.coordinator:coordinator", "Run the SuperLink and the rounds for members elsewhere."),
        "round": ("cli.round:round_", "Open, record and settle rounds."),
    },
    "Organization": {
        "data": ("cli.data:data", "Check your own data against the terms."),
        "register": ("cli.register:register_", "Sign the sums of your own data, and show what leaves."),
        "backup": ("cli.register:backup", "Copy a site's secret and memory to a file, or back."),
        "join": ("cli.join:join", "Look at a deployed consortium, accept it and bond."),
        "answer": ("cli.exchange:answer", "Own data: answer what a deployment asks the sites."),
        "deposit": ("cli.organization:deposit", "Accept the terms and add to the bond."),
        "node": ("cli.node:node", "Take part in the rounds from this machine."),
        "plan": ("cli.organization:plan", "What to contribute this round, and what it earns."),
        "train": ("cli.organization:train", "Generate, train and write signed evidence."),
        "reveal": ("cli.reveal:reveal", "Own data: open the rows that the attester drew."),
        "submit": ("cli.organization:submit", "Hand in an attested contribution."),
        "withdraw": ("cli.organization:withdraw", "Take money out of the bond."),
        "exit": ("cli.organization:exit_", "Leave the consortium after this round."),
        "predict": ("cli.predict:predict_", "Score new cases with the shared model, on your own machine."),
        "model": ("cli.model:model", "Write the shared model to a file for other programs."),
    },
    "Attester, arbiter": {
        "attest": ("cli.attester:attest", "Verify evidence and sign contributions."),
        "dispute": ("cli.dispute:dispute", "Object to a recorded round, or rule on it."),
    },
    "Anyone": {
        "costs": ("cli.costs:costs", "Gas and ether of each role for all rounds."),
        "status": ("cli.status:status", "Where the consortium stands and what comes next."),
        "audit": ("cli.audit:audit", "Replay the ledger and check everything."),
        "export": ("cli.export:export", "Write the ledger to a file for offline audits."),
        "keys": ("cli.keys:keys", "Create, import and list keystores."),
        "chain": ("cli.chain:chain", "Clock of a local chain."),
    },
    "Researcher": {
        "solve": ("cli.solve:solve", "Compute and certify one round's equilibrium."),
        "compare": ("cli.compare:compare", "All mechanisms and baselines of one market, side by side."),
        "calibrate": ("cli.calibrate:calibrate", "Fit the accuracy function to real federated runs."),
        "contributions": ("cli.contributions:contributions", "What each organization was worth in a finished round."),
        "experiment": ("cli.experiment:experiment", "Measure the papers' claims over random markets."),
    },
}
_COMMANDS = {name: entry for group in _GROUPS.values() for name, entry in group.items()}


class _LazyGroup(click.Group):
    """Imports a command when it is used, so that ``--help`` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # That of standard output is an OutputLost. click would end any other with the code of a failed check.
            raise RuntimeError(f"{type(error).__name__}: {error}") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        width = max(map(len, _COMMANDS))
        for title, commands in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "COCOGEN", "max_content_width": 110},
    epilog="Start with:  cocogen run examples/clinics.toml",
)
@click.version_option(package_name="cocogen", message="cocogen %(version)s")
def cocogen() -> None:
    """Competing organizations train one model together, and the contract makes it pay."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with streams.watched(output.note):
            code = _outcome(given, as_json=_asks_for_json(given))
    except streams.OutputLost as lost:
        _tell_of_lost_output(lost)
        code = 74
    sys.exit(code)


def _outcome(given: list[str], *, as_json: bool) -> int:
    """Run a command and say what went wrong, if anything; the exit code."""
    try:
        result = cocogen.main(args=given, prog_name="cocogen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except streams.OutputLost:
        raise
    except click.UsageError as error:
        context = f"see `{error.ctx.command_path} --help`" if error.ctx else "see `cocogen --help`"
        output.fail("UsageError", error.format_message(), context, as_json=as_json)
        return 2
    except click.ClickException as error:
        output.fail(type(error).__name__, error.format_message(), "", as_json=as_json)
        return 2
    except (click.Abort, KeyboardInterrupt) as error:
        hint = "nothing is lost; run the same command again to go on"
        if isinstance(error, streams.Terminated) or isinstance(error.__cause__, streams.Terminated):
            output.fail("Terminated", "terminated", hint, as_json=as_json)
            return 143
        output.fail("Interrupted", "interrupted", hint, as_json=as_json)
        return 130
    except Exception as error:
        from cocogen.errors import CoCoGenError

        if isinstance(error, CoCoGenError):
            details = getattr(error, "details", None)
            output.fail(error.code, error.lines, error.hint, as_json=as_json, details=details)
            return error.exit_code
        if os.environ.get("COCOGEN_DEBUG"):
            import traceback

            for line in "".join(traceback.format_exception(error)).splitlines():
                output.note(f"  | {line}")
        hint = "this is a defect: please report it; COCOGEN_DEBUG=1 shows where it happened"
        output.fail("InternalError", f"{type(error).__name__}: {error}", hint, as_json=as_json)
        return 70


def _tell_of_lost_output(lost: streams.OutputLost) -> None:
    with contextlib.suppress(OSError, ValueError):
        output.note(f"error: standard output cannot be written: {lost}")
        for effect in lost.effects:
            output.note(f"done all the same: {effect}")
        stays = "what was done stays done, and `cocogen status` shows it; " if lost.effects else ""
        output.note(f"hint: {stays}write to a disk with room, or to a pipe that is read to its end")
    streams.lose_output()


def _asks_for_json(arguments: Sequence[str]) -> bool:
    for position, argument in enumerate(arguments):
        if argument == "--format" and position + 1 < len(arguments):
            return arguments[position + 1] == "json"
        if argument.startswith("--format="):
            return argument.removeprefix("--format=") == "json"
    return os.environ.get("COCOGEN_FORMAT") == "json"
