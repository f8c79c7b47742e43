"""The folder in which a consortium's files live on one machine, written so that a kill loses nothing.

::

    WORKSPACE/
      terms.toml              the terms file as it was agreed
      resolved.json           the resolved terms; their digest is on the ledger
      deployment.json         where the ledger is
      NAME.consortium         all of this that members and auditors are given, where they bring their own data
      registrations/NAME.registration   what an organization, or the attester, registered of its own data
      registrations/NAME.leaves         its leaves, which only the attester has
      sent.json               what was sent and nobody was told of yet, and beside it its lock, sent.json.lock
      chain.sqlite            the embedded chain, unless another ledger is used
      models/initial.npz      the shared model and generator after registration
      models/NAME/0001.npz    the model of a round, for a member whose contribution to it was recorded
      models/NAME/alone.npz   the classifier that the member trained without the others, to compare
      rounds/0001/
        plan.json             what everyone should contribute, with its certificate
        NAME.bundle           an organization's signed evidence
        absent.json           why organizations that train on nodes of their own have sent none
        nonce                 by which rows will be drawn, where openings are agreed: the attester's, for nobody else
        commitment            its SHA-256, which goes out with the orders
        challenge.json        the nonce, and of which bundles rows are opened, once these are in
        NAME.patients         how many of its own patients the shared model gets right, as an organization tells it
        NAME.opening          the rows that an organization opened, until they are attested: for the attester alone
        attested.json         contributions that the attester signed, refusals, measured qualities
        model.npz             the aggregated model of the round, which only the attester has
        dispute-DIGEST        a reason for which the round was disputed, named after its SHA-256
      flower/                 logs of Flower's processes, and how the server's run ended
      flower-orders/          digests of the orders that a node has answered
      report.json             the result of ``cocogen run``

Every file appears whole or not at all (written beside, flushed, renamed). A lock beside the folder keeps two
processes apart.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cocogen.errors import WorkspaceError
from cocogen.files import parse_json, read_bounded, write_atomically

__all__ = ["Workspace"]


UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system answers where one may not write."""


class Workspace:
    """Paths and atomic files of one consortium. Creating the object touches nothing on disk."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def terms(self) -> Path:
        return self.root / "terms.toml"

    @property
    def resolved(self) -> Path:
        return self.root / "resolved.json"

    @property
    def deployment(self) -> Path:
        return self.root / "deployment.json"

    @property
    def sent(self) -> Path:
        """What was sent to the ledger and nobody was told of yet."""
        return self.root / "sent.json"

    @property
    def chain(self) -> Path:
        return self.root / "chain.sqlite"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def initial_model(self) -> Path:
        return self.root / "models" / "initial.npz"

    @property
    def registrations(self) -> Path:
        """The folder of what organizations registered of their own data."""
        return self.root / "registrations"

    def registration(self, name: str) -> Path:
        return self.registrations / f"{name}.registration"

    def leaves(self, name: str) -> Path:
        """An organization's registered leaves, which only the attester has."""
        return self.registrations / f"{name}.leaves"

    def consortium_file(self, name: str) -> Path:
        """What is handed to members and auditors."""
        return self.root / f"{name}.consortium"

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return self.root / "rounds" / f"{number:04d}"

    def plan(self, number: int) -> Path:
        return self.round(number) / "plan.json"

    def bundle(self, number: int, name: str) -> Path:
        return self.round(number) / f"{name}.bundle"

    def absent(self, number: int) -> Path:
        return self.round(number) / "absent.json"

    def nonce(self, number: int) -> Path:
        """By which rows of the round will be drawn; only the attester has it."""
        return self.round(number) / "nonce"

    def commitment(self, number: int) -> Path:
        return self.round(number) / "commitment"

    def challenge(self, number: int) -> Path:
        return self.round(number) / "challenge.json"

    def opening(self, number: int, name: str) -> Path:
        """The rows that an organization opened to the attester."""
        return self.round(number) / f"{name}.opening"

    def reason(self, number: int, digest: bytes) -> Path:
        return self.round(number) / f"dispute-{digest.hex()[:16]}"

    def attested(self, number: int) -> Path:
        return self.round(number) / "attested.json"

    def model(self, number: int) -> Path:
        """The shared model after a round, which only the attester has; number 0 is the model after registration."""
        return self.round(number) / "model.npz" if number else self.initial_model

    def delivered(self, number: int, name: str) -> Path:
        """The model of a round as a member was given it; number 0 is the model after registration."""
        return self.root / "models" / name / f"{number:04d}.npz" if number else self.initial_model

    def alone(self, name: str) -> Path:
        """The classifier that a member trained by itself."""
        return self.root / "models" / name / "alone.npz"

    def patients(self, number: int, name: str) -> Path:
        """What an organization tells of the round's model on its own patients."""
        return self.round(number) / f"{name}.patients"

    @contextlib.contextmanager
    def locked(self, *, reading: bool = False) -> Iterator[None]:
        """Hold the workspace for one command; WorkspaceError when another process holds it.

        ``reading``: the command writes nothing, so that a folder in which nobody here may write needs no lock.
        """
        from filelock import FileLock, Timeout

        with contextlib.ExitStack() as held:
            try:
                self.root.parent.mkdir(parents=True, exist_ok=True)
                root = self.root.resolve()
                held.enter_context(FileLock(root.parent / f".{root.name}.lock", timeout=0))
                self.root.mkdir(exist_ok=True)
            except Timeout:
                raise WorkspaceError(
                    f"{self.root} is in use by another process",
                    hint="wait until it has finished, or choose another folder with --workspace",
                ) from None
            except OSError as error:
                if not (reading and error.errno in UNWRITABLE and self.root.is_dir()):
                    raise WorkspaceError(
                        f"{self.root} cannot be used: {error.strerror or error}",
                        hint="choose a folder with --workspace",
                    ) from error
            yield

    def set_aside(self) -> Path:
        """Move the whole folder to the first free name ``ROOT.1``, ``ROOT.2``, … and start with an empty one."""
        root = self.root.resolve()
        number = next(n for n in itertools.count(1) if not root.with_name(f"{root.name}.{n}").exists())
        kept = root.with_name(f"{root.name}.{number}")
        try:
            root.rename(kept)
            root.mkdir()
        except OSError as error:
            raise WorkspaceError(
                f"{self.root} cannot be set aside: {error.strerror or error}", hint="choose a folder with --workspace"
            ) from error
        return kept

    def read_json(self, path: Path) -> Any:
        """The content of a JSON file of this workspace; WorkspaceError when it is missing or malformed."""
        try:
            return parse_json(read_bounded(path))
        except FileNotFoundError:
            raise WorkspaceError(
                f"{path} is not there", hint="run the step that writes it first; `cocogen status` names the next one"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise WorkspaceError(f"{path} cannot be read: {error}", hint="restore it from a copy") from error

    def write_json(self, path: Path, value: Any) -> None:
        """Write canonical JSON (sorted keys, no NaN) atomically."""
        text = json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n"
        write_atomically(path, text.encode())
