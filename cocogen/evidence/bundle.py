"""What a member hands to the attester for one round: a signed manifest and the arrays that it names by digest.

The real samples never leave the member; each is represented by a salted commitment, or where organizations registered
their own data, by the registered leaf. Everything else that a claim
rests on is in the bundle: the classifier and the generator after local training, the synthetic samples that were
trained on, a panel to measure the generator by, and the log of the training. Files hold plain arrays (no pickle)
and are read within limits, since the reader does not trust the writer. Left out: judgement
(:mod:`cocogen.evidence.checks`, :mod:`cocogen.evidence.attester`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cocogen.data.archive import read_arrays, write_arrays
from cocogen.data.samples import Samples
from cocogen.errors import EvidenceRejected, LearningError
from cocogen.evidence.leaves import count
from cocogen.files import canonical_json
from cocogen.learning.models.states import ModelState, pack, unpack
from cocogen.learning.training.local import TrainingTrace

__all__ = [
    "MAXIMUM_STEPS",
    "Bundle",
    "Manifest",
    "TrainingLog",
    "commitments",
    "require_loggable",
]

MAXIMUM_BUNDLE_BYTES = 128 * 2**20
_MAXIMUM_MANIFEST = 64 * 2**20
MAXIMUM_STEPS = 1_000_000
"""Gradient steps of a log: the longest that the attester reads within seconds and a few hundred megabytes."""
_MAXIMUM_SIGNATURE = 8_192
"""Bytes; a key's signature has 65, a contract wallet's as many as its owners need."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Measure = Annotated[float, Field(ge=0.0)]
Bitmap = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TrainingLog(_Record):
    """The member's log of its classifier's training: one entry per gradient step, epochs one after the other.

    ``epoch_steps``: gradient steps of each epoch. ``real``, ``synthetic``: samples in each batch. ``losses``: mean
    cross-entropy before the step, nats. ``gradient_norms``: Euclidean norms, weight decay included,
    and whatever else the algorithm adds to the gradient of the loss.
    """

    epoch_steps: Annotated[tuple[Count, ...], Field(max_length=MAXIMUM_STEPS)]
    real: Annotated[tuple[Count, ...], Field(max_length=MAXIMUM_STEPS)]
    synthetic: Annotated[tuple[Count, ...], Field(max_length=MAXIMUM_STEPS)]
    losses: Annotated[tuple[Measure, ...], Field(max_length=MAXIMUM_STEPS)]
    gradient_norms: Annotated[tuple[Measure, ...], Field(max_length=MAXIMUM_STEPS)]

    @classmethod
    def of(cls, trace: TrainingTrace, epochs: int) -> TrainingLog:
        """The log of a trace whose steps fall evenly into ``epochs``; LearningError when they are too many."""
        steps = len(trace.real)
        require_loggable(steps)
        return cls(
            epoch_steps=(steps // epochs,) * epochs,
            real=tuple(trace.real.tolist()),
            synthetic=tuple(trace.synthetic.tolist()),
            losses=tuple(trace.losses.tolist()),
            gradient_norms=tuple(trace.gradient_norms.tolist()),
        )


def require_loggable(steps: int) -> None:
    """LearningError when a round's training takes more gradient steps than a log may hold."""
    if steps > MAXIMUM_STEPS:
        raise LearningError(
            f"local training takes {steps:,} gradient steps in a round, more than {MAXIMUM_STEPS:,}, "
            "as many as evidence may log",
            hint="lower learning.local_epochs, or raise learning.batch_size",
        )


class Manifest(_Record):
    """What the member signs. Digests are SHA-256 as hexadecimal text.

    ``base``: digest of the shared model it started from. ``commitments``: one for each real sample used, sorted.
    ``leaves``: instead of them, the bitmap of the registered rows used (:mod:`.leaves`) of own data.
    ``raw``: synthetic samples trained on. ``update_norm``, ``generator_update_norm``: Euclidean distance of the
    classifier and the generator from those of ``base``. ``control_variate``: digest of the organization's own one,
    which corrected its gradients; only where the terms say SCAFFOLD. ``challenge``: what the attester committed to
    before the round, by which rows will be drawn; only where the terms say openings (:mod:`.challenge`).
    """

    version: Literal[1] = 1
    organization: Annotated[str, Field(min_length=1, max_length=64)]
    round: Annotated[int, Field(ge=1, lt=2**32)]
    terms_hash: Digest
    base: Digest
    classifier: Digest
    generator: Digest
    synthetic: Digest
    panel: Digest
    commitments: tuple[Digest, ...]
    raw: Count
    update_norm: Measure
    generator_update_norm: Measure
    training: TrainingLog
    control_variate: Digest | None = None
    leaves: Bitmap | None = None
    challenge: Digest | None = None

    @property
    def real(self) -> int:
        """Real samples that it claims to have used."""
        return len(self.commitments) if self.leaves is None else count(self.leaves)

    def encode(self) -> bytes:
        """Canonical JSON, the bytes that are hashed and signed."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> bytes:
        """SHA-256 of :meth:`encode`, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest, the arrays it names, and the member's signature of :meth:`digest`.

    65 bytes of a key, whatever a contract wallet takes, or nothing while a wallet's owners have not signed.
    """

    manifest: Manifest
    classifier: ModelState
    generator: ModelState
    synthetic: Samples
    panel: Samples
    signature: bytes

    @classmethod
    def signed(
        cls,
        manifest: Manifest,
        classifier: ModelState,
        generator: ModelState,
        synthetic: Samples,
        panel: Samples,
        sign: Callable[[bytes], bytes],
    ) -> Bundle:
        """The bundle with ``sign``'s signature of the manifest's digest."""
        signature = sign(manifest.digest())
        return cls(manifest, classifier, generator, synthetic, panel, signature)

    @property
    def organization(self) -> str:
        """Who claims to have written it."""
        return self.manifest.organization

    def digest(self) -> bytes:
        """SHA-256 of the canonical manifest, 32 bytes; it covers the arrays through their digests."""
        return self.manifest.digest()

    def is_intact(self) -> bool:
        """Whether the arrays are those whose digests the manifest holds."""
        signed = self.manifest
        return (self.classifier.digest(), self.generator.digest(), self.synthetic.digest(), self.panel.digest()) == (
            *(signed.classifier, signed.generator, signed.synthetic, signed.panel),
        )

    def save(self, path: Path) -> None:
        """Write one npz file atomically; equal bundles give equal bytes."""
        write_arrays(
            path,
            {
                "manifest": np.frombuffer(self.manifest.encode(), dtype=np.uint8),
                "signature": np.frombuffer(self.signature, dtype=np.uint8),
                **pack("classifier", self.classifier),
                **pack("generator", self.generator),
                **_pack_samples("synthetic", self.synthetic),
                **_pack_samples("panel", self.panel),
            },
        )

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read :meth:`save`'s file without trusting it.

        Raises
        ------
        EvidenceRejected
            When the file is missing, truncated, too large or not a bundle; it names the file's stem.
        """
        try:
            arrays = read_arrays(path, maximum_bytes=MAXIMUM_BUNDLE_BYTES)
            content = _vector(arrays, "manifest").tobytes()
            if len(content) > _MAXIMUM_MANIFEST:
                raise LearningError(f"its manifest has {len(content):,} bytes, more than {_MAXIMUM_MANIFEST:,}")
            manifest = Manifest.model_validate_json(content)
            bundle = cls(
                manifest=manifest,
                classifier=unpack("classifier", arrays),
                generator=unpack("generator", arrays),
                synthetic=_unpack_samples("synthetic", arrays),
                panel=_unpack_samples("panel", arrays),
                signature=_vector(arrays, "signature").tobytes(),
            )
        except LearningError as error:
            raise EvidenceRejected(path.stem, error.message, hint="ask the organization for a new bundle") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "manifest"
            raise EvidenceRejected(
                path.stem, f"its manifest is malformed at {field}: {first['msg']}", hint="train again"
            ) from error
        if manifest.encode() != content:
            raise EvidenceRejected(path.stem, "its manifest is not in canonical form", hint="train again")
        expected = len(bundle.classifier) + len(bundle.generator) + 6
        if len(arrays) != expected or len(bundle.signature) > _MAXIMUM_SIGNATURE:
            raise EvidenceRejected(
                path.stem,
                f"it holds {len(arrays)} arrays, not {expected}, or its signature has {len(bundle.signature)} bytes, "
                f"more than {_MAXIMUM_SIGNATURE}",
                hint="train again",
            )
        return bundle


def commitments(
    salt: bytes, positions: Sequence[int], features: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[str, ...]:
    """HMAC-SHA256 of each real sample under a secret ``salt``, sorted, so that order tells nothing.

    ``positions`` (n,): the samples' places in the member's register, which tell apart two equal cases. Whoever does
    not know the salt learns only how many samples there are; the member can open any of them later.
    """
    little = np.ascontiguousarray(features, dtype="<f4")
    return tuple(
        sorted(
            hmac.digest(
                salt, int(position).to_bytes(8, "big") + int(label).to_bytes(8, "big") + row.tobytes(), "sha256"
            ).hex()
            for position, row, label in zip(positions, little, labels, strict=True)
        )
    )


def _pack_samples(part: str, samples: Samples) -> dict[str, NDArray[np.generic]]:
    return {f"{part}.features": samples.features, f"{part}.labels": samples.labels}


def _unpack_samples(part: str, arrays: dict[str, NDArray[np.generic]]) -> Samples:
    features, labels = _entry(arrays, f"{part}.features"), _entry(arrays, f"{part}.labels")
    if features.dtype != np.float32 or labels.dtype != np.int64:
        raise LearningError(f"{part} has features of {features.dtype} and labels of {labels.dtype}")
    return Samples(features.astype(np.float32, copy=False), labels.astype(np.int64, copy=False))


def _vector(arrays: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.generic]:
    array = _entry(arrays, name)
    if array.dtype != np.uint8 or array.ndim != 1:
        raise LearningError(f"{name} is not a row of bytes, but {array.dtype} of shape {array.shape}")
    return array


def _entry(arrays: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.generic]:
    try:
        return arrays[name]
    except KeyError:
        raise LearningError(f"{name} is missing") from None
