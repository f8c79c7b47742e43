"""The compiled contracts, as they are shipped: nobody needs a compiler to deploy or audit.

Contracts of earlier layouts of the terms lie in a folder named by the layout: whoever deployed them can still open,
settle and audit. Left out: compiling (``python -m chain.contract.build``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocogen.errors import CoCoGenError

__all__ = ["ARTIFACTS", "CONTRACTS", "Artifact", "ArtifactInvalid", "load_artifact"]

CONTRACTS = ("ConsortiumNative", "ConsortiumERC20", "VectorConsortiumNative", "VectorConsortiumERC20")
"""The deployable contracts, each with an artifact of its name."""

ARTIFACTS = Path(__file__).resolve().parent


class ArtifactInvalid(CoCoGenError):
    """A shipped artifact is missing or cannot be read."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract.

    ``bytecode`` creates it (constructor arguments follow); ``deployed_bytecode`` is the runtime code with zeros where
    the immutables go. ``immutable_references`` gives for each immutable, by its name in the source, the (start,
    length) of every place in the runtime code, bytes. ``errors`` maps each 4-byte selector to the signature of the
    custom error. ``input_sha256`` is the digest of the compiler's standard-JSON input, hexadecimal.
    """

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_references: Mapping[str, tuple[tuple[int, int], ...]]
    compiler: str
    settings: Mapping[str, Any]
    input_sha256: str
    errors: Mapping[bytes, str]


def load_artifact(name: str, directory: Path = ARTIFACTS) -> Artifact:
    """Read a shipped artifact.

    Raises
    ------
    ArtifactInvalid
        There is no such artifact, or the file is not one.
    """
    path = directory / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Artifact(
            name=content["name"],
            abi=tuple(content["abi"]),
            bytecode=bytes.fromhex(content["bytecode"].removeprefix("0x")),
            deployed_bytecode=bytes.fromhex(content["deployedBytecode"].removeprefix("0x")),
            immutable_references={
                immutable: tuple((place["start"], place["length"]) for place in places)
                for immutable, places in content["immutableReferences"].items()
            },
            compiler=content["compiler"],
            settings=content["settings"],
            input_sha256=content["inputSha256"],
            errors={bytes.fromhex(error["selector"][2:]): error["signature"] for error in content["errors"]},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactInvalid(
            f"{path}: no readable artifact of {name} ({type(error).__name__}: {error})",
            hint="reinstall the package, or compile it again: python -m chain.contract.build",
        ) from error
