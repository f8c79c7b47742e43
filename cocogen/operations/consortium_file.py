"""``NAME.consortium``: all that a member or an auditor needs of a deployed consortium, in one file.

It holds the terms file, everybody's signed registration, the resolved terms, the deployment record and the model after
registration, and nothing of the machine that wrote it. Digests inside a file authenticate nothing: whoever opens one
compares it with the chain, whose documentHash is that of the resolved terms, which name all the rest.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cocogen.data.archive import read_arrays, write_arrays
from cocogen.errors import ConfigurationError, LearningError
from cocogen.files import write_atomically
from cocogen.ledger import Deployment
from cocogen.operations.deployment import handed_on, load_deployment, save_deployment
from cocogen.operations.session import load_resolved
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["SUFFIX", "ConsortiumFile", "consortium_file", "read_consortium_file"]

SUFFIX = ".consortium"
_PARTS = ("terms", "resolved", "deployment", "model")
_REGISTRATION = "registration."
_MAXIMUM_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ConsortiumFile:
    """The parts of a ``.consortium`` file, which agree with each other.

    ``terms``: the terms file; ``model``: the file of the shared model after registration; ``registrations``: files, by
    name, empty where one data set is shared out.
    """

    terms: bytes
    resolved: ResolvedTerms
    deployment: Deployment
    model: bytes = field(repr=False)
    registrations: Mapping[str, bytes] = field(repr=False)

    def unpack(self, workspace: Workspace, *, ledger: str, terms_file: str) -> None:
        """Write the parts into a workspace, which must be held; the deployment record comes last.

        ``ledger``: what the record calls the ledger here; ``terms_file``: where the terms file is named to lie.
        """
        write_atomically(workspace.terms, self.terms)
        write_atomically(workspace.resolved, self.resolved.to_json().encode())
        write_atomically(workspace.initial_model, self.model)
        for name, content in self.registrations.items():
            write_atomically(workspace.registration(name), content)
        here = {"ledger": ledger, "config": terms_file}
        save_deployment(replace(self.deployment, details={**self.deployment.details, **here}), workspace.deployment)


def consortium_file(workspace: Workspace, path: Path) -> None:
    """Write the file of a deployed consortium whole or not at all; equal consortia give equal bytes.

    Raises
    ------
    WorkspaceError
        Nothing is deployed there, or a file of it is missing.
    """
    resolved = load_resolved(workspace)
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        record = Path(folder) / "deployment.json"
        save_deployment(handed_on(load_deployment(workspace.deployment)), record)
        parts = {
            "terms": workspace.terms.read_bytes(),
            "resolved": resolved.to_json().encode(),
            "deployment": record.read_bytes(),
            "model": workspace.initial_model.read_bytes(),
        }
    for registered in sorted(workspace.registrations.glob("*.registration")):
        parts[_REGISTRATION + registered.stem] = registered.read_bytes()
    write_arrays(path, {name: np.frombuffer(content, dtype=np.uint8) for name, content in parts.items()})


def read_consortium_file(path: Path) -> ConsortiumFile:
    """Read what a stranger may have written; its parts must agree with the digests in the resolved terms.

    Raises
    ------
    ConfigurationError
        It is missing, malformed, or its parts do not belong together; the message names the part.
    """
    try:
        arrays = read_arrays(path, maximum_bytes=_MAXIMUM_BYTES)
    except LearningError as error:
        raise ConfigurationError(error.message, hint="ask the operator for the file again") from error
    parts = {name: array.tobytes() for name, array in arrays.items() if array.dtype == np.uint8 and array.ndim == 1}
    for name in _PARTS:
        if name not in parts:
            raise _refused(path, f"it lacks its {name}")
    try:
        text = parts["resolved"].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(path, "its resolved terms are no text") from error
    resolved = ResolvedTerms.from_json(text, file=str(path))
    registrations = {
        name.removeprefix(_REGISTRATION): content for name, content in parts.items() if name.startswith(_REGISTRATION)
    }
    if len(arrays) != len(_PARTS) + len(registrations):
        raise _refused(path, "it holds parts that no consortium has")
    if hashlib.sha256(parts["terms"]).hexdigest() != resolved.terms_sha256:
        raise _refused(path, "its terms file is not the one that was resolved")
    wanted = {o.name: o.registration for o in resolved.organization} | {"attester": resolved.holdout}
    named = {name: digest for name, digest in wanted.items() if digest is not None}
    if set(registrations) != set(named):
        raise _refused(path, f"it holds registrations of {', '.join(sorted(registrations)) or 'nobody'}")
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        record, model = Path(folder) / "deployment.json", Path(folder) / "model.npz"
        record.write_bytes(parts["deployment"])
        deployment = load_deployment(record)
        _check_model(path, model, parts["model"], resolved)
    for name, content in registrations.items():
        if hashlib.sha256(content).hexdigest() != named[name]:
            raise _refused(path, f"its registration of {name} is not the one that was agreed")
    return ConsortiumFile(parts["terms"], resolved, deployment, parts["model"], registrations)


def _check_model(path: Path, copy: Path, content: bytes, resolved: ResolvedTerms) -> None:
    from cocogen.learning.models.states import SharedModel

    copy.write_bytes(content)
    try:
        digest = SharedModel.load(copy).digest()
    except LearningError as error:
        raise _refused(path, f"its model cannot be read: {error.message}") from error
    if digest != resolved.model_digest:
        raise _refused(path, "its model is not the one that was agreed")


def _refused(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(reason, file=str(path), hint="ask the operator for the file again")
