"""Standard output, standard error and SIGTERM, for as long as a command runs.

Output that cannot be written is an error of its own (:class:`OutputLost`), whoever writes: else it would be taken for
a defect, or, from a closed pipe, for the exit code of a failed check. A diagnostic that cannot be written stops
nothing. What warnings and log records say may be a stranger's text, so they are notes like any other. SIGTERM ends a
command as Ctrl-C does, through whatever has to be put away.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TextIO

__all__ = ["OutputLost", "Terminated", "lose_output", "watched"]


class OutputLost(Exception):
    """Standard output cannot be written; ``effects``: what the command had done by then, in lines."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.effects: tuple[str, ...] = ()


class Terminated(KeyboardInterrupt):
    """Somebody sent SIGTERM."""


class _Stream:
    """A text stream that writes what its encoding does not have as escape sequences, and fails as it is told to.

    It shows no ``buffer``: what goes there would go past it.
    """

    def __init__(self, stream: TextIO, failed: Callable[[OSError | ValueError], None]) -> None:
        self._stream = stream
        self._failed = failed

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        encodable = text.encode(encoding, "backslashreplace").decode(encoding)
        self._try(lambda: self._stream.write(encodable))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self._failed(error)


def _lost(error: OSError | ValueError) -> None:
    raise OutputLost(getattr(error, "strerror", None) or str(error)) from error


def _ignored(_error: OSError | ValueError) -> None:
    """Whoever does not read our diagnostics does not need them."""


@contextlib.contextmanager
def watched(note: Callable[[str], None]) -> Iterator[None]:
    """Run a command; warnings and log records that nobody else handles go to ``note``.

    Raises
    ------
    OutputLost
        At once, where there is no standard output at all: nothing has been done then.
    """
    if sys.stdout is None:
        raise OutputLost("it is closed")
    out: Any = _Stream(sys.stdout, _lost)
    err: Any = sys.stderr and _Stream(sys.stderr, _ignored)
    shown, last = warnings.showwarning, logging.lastResort
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _heeding_sigterm():
        warnings.showwarning = lambda message, category, *_: note(f"warning: {category.__name__}: {message}")
        logging.lastResort = _Notes(note)
        try:
            yield
        finally:
            warnings.showwarning, logging.lastResort = shown, last


def lose_output() -> None:
    """Let what is still unwritten go nowhere, so that the interpreter does not try again when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


class _Notes(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage())


@contextlib.contextmanager
def _heeding_sigterm() -> Iterator[None]:
    """Turn SIGTERM into :class:`Terminated`, unless this is no main thread, or whoever started us had it ignored."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
        yield
        return
    ours = os.getpid()

    def end(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != ours:  # a forked worker: it has nothing of ours to put away
            os._exit(128 + number)
        # Whoever ends a whole group of processes may send it twice; Ctrl-C still cuts the putting away short.
        signal.signal(number, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
