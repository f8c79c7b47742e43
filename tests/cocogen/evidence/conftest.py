"""A small consortium on the real diagnostic table, with signatures that need no chain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cocogen.evidence.bundle import Bundle
from cocogen.evidence.local import Agreed, Assignment, Local, SharedModel
from cocogen.evidence.measurement import RoundEvidence
from cocogen.ledger import Member
from cocogen.terms.sections import Generation, Learning, Partition

NAMES = ("north", "harbor", "meadow", "lakeview")
SIZES = (90, 60, 40, 20)
TERMS = bytes(range(32))


def sign(name: str, digest: bytes) -> bytes:
    """A stand-in for a signature: 65 bytes that only ``verify`` can tell apart."""
    return (hashlib.sha256(name.encode() + digest).digest() * 3)[:65]


def verify(address: str, digest: bytes, signature: bytes) -> bool:
    return any(f"0x{name}" == address and sign(name, digest) == signature for name in (*NAMES, "mallory"))


def make_task(seed: int = 3, split: int = 0, salts: list[bytes] | None = None, **learning: Any) -> Local:
    terms = {"local_epochs": 3, "partition": Partition(alpha=1.0, sizes=SIZES), **learning}
    generation = Generation(pretraining_rounds=15, epochs=2, panel=40, maximum=60)
    return Local(Agreed(Learning(dataset="diagnostic", **terms), generation, NAMES, seed, split), salts=salts)


def members(task: Local, *, generated_cap: int = 60, compute_cap: int = 0) -> list[Member]:
    return [
        Member(name, f"0x{name}", int(local), generated_cap, compute_cap, 1.0, -float(local))
        for name, local in zip(NAMES, task.registered, strict=True)
    ]


@dataclass(frozen=True)
class Scene:
    """A round as honest members leave it for the attester."""

    task: Local
    shared: SharedModel
    quality: np.ndarray
    bundles: list[Any]

    def attest(self, bundles: list[Any] | None = None, **changes: Any) -> RoundEvidence:
        arguments: dict[str, Any] = {
            "round_number": 1,
            "shared": self.shared,
            "bundles": self.bundles if bundles is None else bundles,
            "addresses": [f"0x{name}" for name in NAMES],
            "verify": verify,
            "quality": self.quality,
            "caps": members(self.task),
            "terms_hash": TERMS,
        }
        return self.task.attester.attest(**{**arguments, **changes})


@pytest.fixture(scope="session")
def scene() -> Scene:
    task = make_task()
    shared = task.pretrain()
    assignments = [Assignment(int(local), 24) for local in task.registered]
    return Scene(task, shared, task.measure_quality(shared), list(task.train(1, shared, assignments, TERMS, sign)))


@pytest.fixture(scope="session")
def build() -> Callable[..., Local]:
    return make_task


@pytest.fixture(scope="session")
def signer() -> Callable[[str, bytes], bytes]:
    return sign


def resign(
    bundle: Bundle,
    *,
    manifest: dict[str, Any] | None = None,
    log: dict[str, Any] | None = None,
    by: str | None = None,
    base: SharedModel | None = None,
    **arrays: Any,
) -> Bundle:
    """The bundle of a liar who signs what it changed: ``arrays`` replaces parts, and the digests follow them.

    With ``base`` the claimed norms follow too.
    """
    parts = {
        name: arrays.get(name, getattr(bundle, name)) for name in ("classifier", "generator", "synthetic", "panel")
    }
    changes: dict[str, Any] = {name: part.digest() for name, part in parts.items()}
    if base is not None:
        changes["update_norm"] = parts["classifier"].distance(base.classifier)
        changes["generator_update_norm"] = parts["generator"].distance(base.generator)
    changes |= manifest or {}
    if log is not None:
        changes["training"] = bundle.manifest.training.model_copy(update=log)
    forged = bundle.manifest.model_copy(update=changes)
    return Bundle.signed(forged, **parts, sign=lambda digest: sign(by or bundle.organization, digest))


@pytest.fixture(scope="session")
def forge() -> Callable[..., Bundle]:
    return resign
