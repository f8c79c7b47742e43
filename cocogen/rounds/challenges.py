"""The rows that members open in a round, on their way: who is bound to what, who was asked, and what came.

Before the round the attester writes down a nonce for itself and its SHA-256 for the orders; when the bundles are in, it
says by the nonce which rows it asks for, once, so that a bundle that comes later is not attested. Each member writes
what it opens into a file that only its owner may read; when the round is attested the rows are deleted, and their
digest remains in the evidence document. Left out: which rows these are and whether they hold
(:mod:`cocogen.evidence.challenge`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cocogen.data.sources.base import RegisteredRows, Source
from cocogen.errors import EvidenceRejected, LearningError, WorkspaceError
from cocogen.evidence.agreed import Agreed
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.challenge import Answer, Challenge, Opened, answer, commitment, longest_answer, new_nonce
from cocogen.files import canonical_json, parse_json, read_bounded, write_atomically
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["Challenges"]

_HEXADECIMAL = 64


@dataclass(frozen=True, slots=True)
class Challenges:
    """Files of all rounds of a consortium whose terms say that rows are opened.

    Reading or writing one raises WorkspaceError where it cannot be.
    """

    workspace: Workspace
    resolved: ResolvedTerms

    @property
    def openings(self) -> int:
        """Rows that each member opens in a round."""
        return self.resolved.attestation.openings

    # The attester, before ------------------------------------------------------------------------------------

    def commit(self, number: int) -> str:
        """Bind the attester to a nonce of round ``number``, once; its SHA-256, hexadecimal.

        WorkspaceError where there is none and bundles of the round are here: it could be chosen then.
        """
        path = self.workspace.nonce(number)
        if not path.exists():
            if any(self.workspace.round(number).glob("*.bundle")):
                raise WorkspaceError(
                    f"{path} is not there, but bundles of round {number} are: a nonce drawn now could be chosen",
                    hint="restore it from a copy; without it the round cannot be attested",
                )
            write_atomically(path, new_nonce().encode(), private=True)
        bound = commitment(_hexadecimal(path))
        write_atomically(self.workspace.commitment(number), bound.encode())
        return bound

    def committed(self, number: int) -> str:
        """What the attester told before round ``number``."""
        path = self.workspace.commitment(number)
        if not path.exists():
            raise WorkspaceError(
                f"{path} is not there: the terms say that rows are opened, and nobody is bound to a draw of them",
                hint="the attester opens the round with `cocogen round open`, and hands out this file",
            )
        return _hexadecimal(path)

    def draw(self, number: int, bundles: Sequence[Bundle | None]) -> Challenge:
        """Write down of which ``bundles`` rows are opened, once; nothing that comes later is asked about."""
        path = self.workspace.challenge(number)
        if not path.exists():
            nonce = self.workspace.nonce(number)
            if not nonce.exists():
                raise WorkspaceError(
                    f"{nonce} is not there: only the attester can draw rows, by the nonce that it bound itself to",
                    hint="restore it from a copy, or let the attester do this",
                )
            digests = tuple(sorted(bundle.digest().hex() for bundle in bundles if bundle is not None))
            drawn = Challenge(round=number, nonce=_hexadecimal(nonce), bundles=digests)
            self.workspace.write_json(path, drawn.to_plain())
        return self.drawn(number)

    def drawn(self, number: int) -> Challenge:
        """What the attester asks in round ``number``."""
        path = self.workspace.challenge(number)
        if not path.exists():
            raise WorkspaceError(
                f"no rows of round {number} have been drawn", hint="`cocogen round challenge`, when the evidence is in"
            )
        try:
            return Challenge.from_plain(self.workspace.read_json(path))
        except LearningError as error:
            raise WorkspaceError(f"{path}: {error.message}", hint=error.hint) from error

    # A member ------------------------------------------------------------------------------------------------

    def rows(self, source: Callable[[Agreed], Source]) -> Callable[[int], RegisteredRows | None]:
        """What an organization registered, as ``source`` has it, with what opens its rows where they are here."""
        return source(Agreed.of(self.resolved)).registered

    def answer(
        self, number: int, registered: Callable[[int], RegisteredRows | None], organizations: Sequence[int] | None
    ) -> list[Path]:
        """Write what members open: all whose evidence was asked about and whose rows are here, or ``organizations``;
        nothing more once the round is attested.

        ``registered``: what an organization registered, with what opens its rows.

        Raises
        ------
        LearningError
            A member that was named opens no row: it was not asked, its rows are not here, its bundle cannot be read,
            or another nonce was told than it was bound to.
        """
        if self.workspace.attested(number).exists():
            return []
        challenge, paths = self.drawn(number), []
        for n in range(len(self.resolved.names)) if organizations is None else organizations:
            name = self.resolved.names[n]
            try:
                manifest = Bundle.load(self.workspace.bundle(number, name)).manifest
            except EvidenceRejected:
                if organizations is not None:
                    raise
                continue
            if organizations is None and manifest.digest().hex() not in challenge.bundles:
                continue
            rows = registered(n)
            if rows is None or rows.open is None:
                if organizations is None:
                    continue
                raise LearningError(f"{name} opens no row: its rows are not here", hint="do this where its data are")
            given = answer(challenge, manifest, self.openings, rows.open)
            self.keep(number, {n: canonical_json(given.to_plain())})
            paths.append(self.workspace.opening(number, name))
        return paths

    # The attester, after -------------------------------------------------------------------------------------

    def keep(self, number: int, answers: Mapping[int, bytes]) -> None:
        """Store what members opened, unread: JSON texts by the organization's index."""
        for n, content in answers.items():
            write_atomically(self.workspace.opening(number, self.resolved.names[n]), content, private=True)

    def opened(
        self, number: int, bundles: Sequence[Bundle | None], rejected: Mapping[str, str]
    ) -> tuple[Opened, list[Bundle | None], dict[str, str]]:
        """What was drawn and opened, and ``bundles`` and ``rejected`` as they are then.

        Whoever made a bundle after rows were drawn may have known which: it is refused. So is one whose member opened
        what cannot be read.
        """
        challenge, schema = self.drawn(number), self.resolved.learning.schema_
        kept, reasons, answers = list(bundles), dict(rejected), dict[int, Answer]()
        for n, (name, bundle) in enumerate(zip(self.resolved.names, bundles, strict=True)):
            path = self.workspace.opening(number, name)
            if bundle is None or schema is None:
                continue
            if bundle.digest().hex() not in challenge.bundles:
                kept[n], reasons[name] = None, "its evidence came after the rows to open were drawn"
            elif path.exists():
                try:
                    content = read_bounded(path, longest_answer(schema, self.openings))
                    answers[n] = Answer.from_plain(parse_json(content), name)
                except EvidenceRejected as error:
                    kept[n], reasons[name] = None, error.reason
                except (OSError, ValueError, RecursionError) as error:
                    kept[n], reasons[name] = None, f"what it opened cannot be read: {error}"
        return Opened(challenge, answers), kept, reasons

    def forget(self, number: int) -> None:
        """Delete the rows that were opened in round ``number``."""
        for name in self.resolved.names:
            with contextlib.suppress(FileNotFoundError):
                self.workspace.opening(number, name).unlink()


def _hexadecimal(path: Path) -> str:
    """The 64 hexadecimal digits of a file; WorkspaceError when it holds something else."""
    try:
        text = read_bounded(path, _HEXADECIMAL).decode("ascii")
        if len(bytes.fromhex(text)) * 2 != _HEXADECIMAL or text != text.lower():
            raise ValueError(f"{len(text)} characters")
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{path} holds no 32 bytes in hexadecimal: {error}", hint="restore it from a copy"
        ) from error
    return text
