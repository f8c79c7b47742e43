"""What is about to be sent, written down before it leaves, so that no command moves the same money twice.

A killed command leaves its transaction under way: it may be mined later, and who repeats the command would pay a
second time. So whatever a repetition would do again (deposits, withdrawals, deployments) is kept with its nonce and the
hash of each of its versions until the command has said what became of it. Steps of a round are not kept: the contract
refuses them the second time. Left out: asking the chain what became of a transaction (:mod:`chain.earlier`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from chain.abi import LARGEST_WORD
from chain.files import write_whole
from cocogen.addresses import Address
from cocogen.errors import WorkspaceError

__all__ = ["DEPLOY", "Intent", "Journal"]

DEPLOY = "deploy"
"""The operation that creates a contract."""

_NAMES = {DEPLOY: "deployment", "depositSubmit": "deposit", "withdraw": "withdrawal"}
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
        self._intents: tuple[Intent, ...] | None = None
        self._done: set[Intent] = set()
        self.deferred = False

    @property
    def intents(self) -> tuple[Intent, ...]:
        """All of them, oldest first; WorkspaceError where the file cannot be read."""
        if self._intents is None:
            self._intents = self._read()
        return self._intents

    def write(self, intent: Intent) -> None:
        """Keep ``intent``, in the place of an earlier one that differs from it in its versions only."""
        self._replace((*(each for each in self.intents if not _versions(each, intent)), intent))

    def done(self, intent: Intent) -> None:
        """Note that ``intent`` was mined: others with its nonce never will be, and its outcome can be told."""
        kept = [each for each in self.intents if not (each.same_account(intent) and each.nonce == intent.nonce)]
        if self.deferred:
            self._done.add(intent)
            kept.append(intent)
        self._replace(kept)

    def forget(self, intents: Iterable[Intent]) -> None:
        """Drop ``intents``: somebody knows what became of them."""
        gone = set(intents)
        self._replace(each for each in self.intents if each not in gone)

    def release(self) -> None:
        """Drop what was mined since :attr:`deferred` was set: its outcome has been shown."""
        done, self._done, self.deferred = self._done, set(), False
        if self._path is not None:
            self._intents = None  # the workspace may have been let go of since
        self.forget(done)

    def _replace(self, intents: Iterable[Intent]) -> None:
        kept = tuple(intents)
        if kept == self.intents:
            return
        if self._path is not None:
            content = {"schema_version": 1, "transactions": [asdict(each) for each in kept]}
            write_whole(self._path, json.dumps(content, indent=1) + "\n", "the record of what was sent")
        self._intents = kept

    def _read(self) -> tuple[Intent, ...]:
        try:
            content = self._path.read_bytes() if self._path is not None else b""
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        if not content:
            return ()
        try:
            return _READER.validate_json(content).transactions
        except ValidationError as error:
            raise self._unreadable("it is no such record") from error

    def _unreadable(self, reason: str) -> WorkspaceError:
        return WorkspaceError(
            f"the record of what was sent, {self._path}, cannot be read: {reason}",
            hint="see on the chain whether an earlier deposit, withdrawal or deployment was made, then remove it",
        )


def _versions(one: Intent, other: Intent) -> bool:
    return one.repeats(other) and (one.call, one.nonce) == (other.call, other.nonce)
