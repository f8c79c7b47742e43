#!/usr/bin/env bash
# Package    click 8.5.1 (PyPI)
# Expected   main(standalone_mode=False) hands every exception of a command to the caller, as its documentation says
# Seen       a BrokenPipeError, of whatever pipe or socket, never arrives: click ends the process with exit code 1. An
#            OSError of another kind does arrive
# Source     https://click.palletsprojects.com/en/stable/api/#click.Command.main (standalone_mode)
# Matters    a connection that a peer closes becomes exit code 1, which for us says that a check failed; errors are
#            turned into another kind before click sees them
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check click==8.5.1
env/bin/python - <<'PYTHON'
import socket

import click


@click.command()
def talk() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.sendall(b"hello")


@click.command()
def connect() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()
    socket.create_connection(address)


def outcome(command: click.Command) -> str:
    try:
        command.main([], standalone_mode=False)
    except SystemExit as stopped:
        return f"the process ends with {stopped.code}"
    except OSError as error:
        return f"{type(error).__name__} arrives"
    return "nothing"


seen = [outcome(talk), outcome(connect)]
print(*seen, sep="\n")
assert seen == ["the process ends with 1", "ConnectionRefusedError arrives"]
PYTHON
