"""The deployment record: one small JSON file that says where a consortium's ledger lives.

Together with the terms file it is all that another process, or another party, needs to connect. It is written whole
or not at all, and never changes afterwards. Left out: the terms and anything secret.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cocogen.addresses import Address
from cocogen.errors import ConfigurationError, FieldProblem, WorkspaceError
from cocogen.files import CHECK_FOLDER, whole_file
from cocogen.ledger import Deployment

__all__ = ["SCHEMA_VERSION", "handed_on", "load_deployment", "save_deployment"]

SCHEMA_VERSION = 1
_MAXIMUM_BYTES = 1_000_000
_FOR_EVERYBODY = ("transaction", "gas", "time")
"""Details of the chain itself; whatever else a record holds is its writer's own."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_version: Literal[1]
    backend: Annotated[str, Field(min_length=1)]
    address: Address
    terms_hash: Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]
    chain_id: Annotated[int, Field(ge=0, lt=1 << 256)]
    block: Annotated[int, Field(ge=0, lt=1 << 64)]
    details: dict[str, Any]


def save_deployment(deployment: Deployment, path: Path) -> None:
    """Write the record to ``path``, replacing what is there, so that a crash leaves either the old file or the new.

    Raises
    ------
    WorkspaceError
        The file cannot be written.
    """
    content = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(deployment)}, indent=2) + "\n"
    with whole_file(path, "the deployment record", hint=CHECK_FOLDER) as file:
        file.write(content.encode("utf-8"))


def handed_on(deployment: Deployment) -> Deployment:
    """The record as others get it: where the contract is, and nothing of where it was deployed from.

    Neither the operator's node nor a path on its machine is in it, so whoever gets it names a node of its own. The
    backend's kind stays ("http", "embedded", …), and of the details what the chain says of the creation.
    """
    details = {name: deployment.details[name] for name in _FOR_EVERYBODY if name in deployment.details}
    return replace(deployment, backend=deployment.backend.partition(":")[0], details=details)


def load_deployment(path: Path) -> Deployment:
    """Read a record that :func:`save_deployment` wrote.

    Raises
    ------
    WorkspaceError
        There is no such file, or it cannot be read.
    ConfigurationError
        The file is no deployment record of this schema version; every field at fault is named.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAXIMUM_BYTES).decode("utf-8")  # what is longer is cut, hence no record
    except FileNotFoundError as error:
        raise WorkspaceError(f"there is no deployment record {path}", hint="deploy the consortium first") from error
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"the deployment record {path} cannot be read: {error}") from error
    try:
        record = _Record.model_validate_json(content)
    except ValidationError as error:
        problems = [
            FieldProblem(".".join(map(str, item["loc"])) or "file", _shown(item["input"]), item["msg"])
            for item in error.errors()
        ]
        raise ConfigurationError(
            "this is no deployment record",
            file=str(path),
            problems=problems,
            hint="use the file that deploy wrote, with the version of CoCoGen that wrote it",
        ) from error
    return Deployment(
        backend=record.backend,
        address=record.address,
        terms_hash=record.terms_hash,
        chain_id=record.chain_id,
        block=record.block,
        details=record.details,
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
