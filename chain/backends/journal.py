"""What is about to be sent, written down before it leaves, so that no command moves the same money twice.

A killed command leaves its transaction under way: it may be mined later, and who repeats the command would pay a
second time. So whatever a repetition would do again (deposits, withdrawals, deployments) is kept with its nonce and the
hash of each of its versions until the command has said what became of it. Steps of a round are not kept: the contract
refuses them the second time. Left out: asking the chain what became of a transaction (:mod:`chain.contract.earlier`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from chain.abi import LARGEST_WORD
from cocogen.addresses import Address
from cocogen.errors import SentBefore, WorkspaceError
from cocogen.files import CHECK_FOLDER, whole_file

__all__ = ["DEPLOY", "AlreadySent", "Intent", "Journal"]

DEPLOY = "deploy"
"""The operation that creates a contract."""

_NAMES = {DEPLOY: "deployment", "depositSubmit": "deposit", "withdraw": "withdrawal"}
_WHAT = "the record of what was sent"
_PATIENCE = 30.0
"""Seconds to wait for another command that changes the file; it takes milliseconds."""

_Amount = Annotated[int, Field(ge=0, le=LARGEST_WORD)]
_Hash = Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", strict=True))
class Intent:
    """One transaction that was or may have been sent.

    ``operation``: the contract's function, or "deploy". ``account``, ``contract``: who sends to whom ("" for a
    creation). ``amount``: wei or units of the token that it moves. ``call``: keccak-256 of its data. ``hashes``: of its
    versions, oldest first; none for a transaction that was sent elsewhere, of which the nonce alone is known.
    ``time``: of the latest block when it was signed, Unix seconds.
    """

    operation: str
    account: Address
    chain_id: _Amount
    contract: Address | Literal[""]
    amount: _Amount
    call: _Hash
    nonce: Annotated[int, Field(ge=0, lt=1 << 64)]
    time: Annotated[int, Field(ge=0, lt=1 << 64)]
    hashes: tuple[_Hash, ...] = ()

    @property
    def name(self) -> str:
        """What it is in words, with its amount."""
        word = _NAMES.get(self.operation, self.operation)
        return word if self.operation == DEPLOY else f"{word} of {self.amount} wei"

    def repeats(self, other: Intent) -> bool:
        """Whether it does what ``other`` does: the same operation of the same account on the same contract."""
        return self.same_account(other) and (self.operation, self.contract) == (other.operation, other.contract)

    def same_account(self, other: Intent) -> bool:
        """Whether both take their nonces from one account."""
        return (self.chain_id, self.account) == (other.chain_id, other.account)


class AlreadySent(SentBefore):
    """An earlier command sent the same, and nobody was told what became of it; nothing was sent now.

    ``intents`` is what the earlier command wrote down.
    """

    def __init__(
        self, intents: Iterable[Intent], reason: str, *, transaction: str | None = None, block: int | None = None
    ) -> None:
        self.intents = tuple(intents)
        first = self.intents[0]
        self.details = {
            "operation": first.operation,
            "account": first.account,
            "amount": str(first.amount),
            "nonce": first.nonce,
            "transaction": transaction or (first.hashes[-1] if first.hashes else None),
            "block": block,
        }
        super().__init__(
            f"{reason}. Nothing was sent now",
            hint="`cocogen status` shows the balances; to do it once more, give --again to the same command",
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1]
    transactions: tuple[Intent, ...]


_READER = TypeAdapter(_File)


class Journal:
    """The transactions of one workspace whose outcome nobody has been told yet.

    Parameters
    ----------
    path
        The file, written on the first change; without one everything ends with the process.

    Attributes
    ----------
    deferred
        Whether what was mined stays until :meth:`release`: set by whoever has yet to show the outcome.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._unfiled: tuple[Intent, ...] = ()
        self._done: set[Intent] = set()
        self.deferred = False

    @property
    def intents(self) -> tuple[Intent, ...]:
        """All of them, oldest first, as they are now; WorkspaceError where the file cannot be read."""
        return self._unfiled if self._path is None else self._read(self._path)

    def write(self, intent: Intent) -> Intent:
        """Keep ``intent``, with the versions of an earlier one that differs from it in them only; what is kept."""
        kept = intent

        def merged(intents: tuple[Intent, ...]) -> list[Intent]:
            nonlocal kept
            same = [each for each in intents if _versions(each, intent)]
            kept = replace(intent, hashes=tuple(dict.fromkeys(h for each in (*same, intent) for h in each.hashes)))
            return [*(each for each in intents if each not in same), kept]

        self._change(merged)
        return kept

    def done(self, intent: Intent) -> None:
        """Note that ``intent`` was mined: others with its nonce never will be, and its outcome can be told."""

        def settled(intents: tuple[Intent, ...]) -> list[Intent]:
            others = [each for each in intents if not (each.same_account(intent) and each.nonce == intent.nonce)]
            return [*others, intent] if self.deferred else others

        self._change(settled)
        if self.deferred:
            self._done.add(intent)

    def forget(self, intents: Iterable[Intent]) -> None:
        """Drop ``intents``: somebody knows what became of them."""
        gone = set(intents)
        self._change(lambda kept: [each for each in kept if each not in gone])

    def release(self) -> None:
        """Drop what was mined since :attr:`deferred` was set: its outcome has been shown.

        Whoever calls this may have let go of the workspace: what other commands wrote since is kept.
        """
        done, self._done, self.deferred = self._done, set(), False
        if done:
            self.forget(done)

    def _change(self, change: Callable[[tuple[Intent, ...]], Iterable[Intent]]) -> None:
        """Put what ``change`` makes of the latest content in its place; nobody else writes in between."""
        path = self._path
        if path is None:
            self._unfiled = tuple(change(self._unfiled))
            return
        with _alone(path):
            before = self._read(path)
            after = tuple(change(before))
            if after != before:
                content = {"schema_version": 1, "transactions": [asdict(each) for each in after]}
                with whole_file(path, _WHAT, hint=CHECK_FOLDER) as file:
                    file.write((json.dumps(content, indent=1) + "\n").encode("utf-8"))

    @staticmethod
    def _read(path: Path) -> tuple[Intent, ...]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        if not content:
            return ()
        try:
            return _READER.validate_json(content).transactions
        except ValidationError as error:
            raise _unreadable(path, "it is no such record") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from changing ``path`` meanwhile."""
    if not path.parent.is_dir():
        yield  # there is nothing to lose, and the lock would create the folder
        return
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=_PATIENCE)
    except OSError as error:  # a timeout of the lock is one
        raise WorkspaceError(
            f"{_WHAT} {path} cannot be written: {error}",
            hint="check that you may write to the folder, and that no command of this workspace hangs",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _unreadable(path: Path, reason: str) -> WorkspaceError:
    return WorkspaceError(
        f"{_WHAT}, {path}, cannot be read: {reason}",
        hint="see on the chain whether an earlier deposit, withdrawal or deployment was made, then remove it",
    )


def _versions(one: Intent, other: Intent) -> bool:
    return one.repeats(other) and (one.call, one.amount, one.nonce) == (other.call, other.amount, other.nonce)
