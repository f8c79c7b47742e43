from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.archive import read_arrays, write_arrays
from cocogen.errors import EvidenceRejected, LearningError
from cocogen.evidence import bundle as evidence
from cocogen.evidence.bundle import MAXIMUM_STEPS, Bundle, commitments
from cocogen.files import canonical_json


def test_round_trip(scene, tmp_path: Path) -> None:
    bundle = scene.bundles[0]
    bundle.save(tmp_path / "north.bundle")
    loaded = Bundle.load(tmp_path / "north.bundle")
    assert loaded.manifest == bundle.manifest
    assert loaded.digest() == bundle.digest()
    assert loaded.signature == bundle.signature
    assert loaded.classifier.digest() == bundle.classifier.digest()
    assert loaded.generator.digest() == bundle.generator.digest()
    assert np.array_equal(loaded.synthetic.features, bundle.synthetic.features)
    assert np.array_equal(loaded.panel.labels, bundle.panel.labels)
    loaded.save(tmp_path / "again.bundle")
    assert (tmp_path / "again.bundle").read_bytes() == (tmp_path / "north.bundle").read_bytes()


def test_no_real_sample_is_in_the_file(scene, tmp_path: Path) -> None:
    scene.bundles[0].save(tmp_path / "north.bundle")
    content = (tmp_path / "north.bundle").read_bytes()
    own = scene.task.members[0].own.features
    assert scene.bundles[0].synthetic.features[0].tobytes() in content
    assert not any(row.tobytes() in content for row in own)


def test_truncated_files_are_rejected_by_name(scene, tmp_path: Path) -> None:
    path = tmp_path / "north.bundle"
    scene.bundles[0].save(path)
    content = path.read_bytes()
    for length in (0, 10, len(content) // 3, len(content) - 30):
        path.write_bytes(content[:length])
        with pytest.raises(EvidenceRejected, match="north"):
            Bundle.load(path)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(EvidenceRejected, match="cannot be read"):
        Bundle.load(tmp_path / "north.bundle")


def edit(path: Path, name: str, value: np.ndarray | None) -> None:
    arrays = read_arrays(path)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    write_arrays(path, arrays)


def test_missing_surplus_and_mistyped_parts_are_rejected(scene, tmp_path: Path) -> None:
    path = tmp_path / "north.bundle"
    for name, value in (
        ("manifest", None),
        ("signature", None),
        ("panel.labels", None),
        ("synthetic.features", np.zeros((2, 30), dtype=np.int64)),
        ("signature", np.zeros(8_193, dtype=np.uint8)),
        ("signature", np.zeros((5, 13), dtype=np.uint8)),
        ("stowaway", np.zeros(1, dtype=np.float32)),
    ):
        scene.bundles[0].save(path)
        edit(path, name, value)
        with pytest.raises(EvidenceRejected, match="north"):
            Bundle.load(path)


def manifest_with(scene, **changes: object) -> bytes:
    return canonical_json({**json.loads(scene.bundles[0].manifest.encode()), **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"round": "1"},
        {"round": 0},
        {"round": True},
        {"raw": -1},
        {"version": 2},
        {"base": "xyz"},
        {"organization": ""},
        {"surprise": 1},
        {"commitments": ["00"]},
        {"leaves": "f"},
        {"leaves": "FF"},
        {"leaves": 255},
        {"update_norm": -1.0},
        {"training": {}},
    ],
)
def test_malformed_manifests_are_rejected(scene, tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "north.bundle"
    scene.bundles[0].save(path)
    edit(path, "manifest", np.frombuffer(manifest_with(scene, **change), dtype=np.uint8))
    with pytest.raises(EvidenceRejected, match="manifest is malformed"):
        Bundle.load(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[" * 100_000, b"\xff\xfe", b'{"round":NaN}', b'{"update_norm":1e999}'],
)
def test_a_manifest_that_is_no_manifest_is_rejected(scene, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "north.bundle"
    scene.bundles[0].save(path)
    edit(path, "manifest", np.frombuffer(content, dtype=np.uint8))
    with pytest.raises(EvidenceRejected, match="north"):
        Bundle.load(path)


def test_only_the_canonical_form_is_accepted(scene, tmp_path: Path) -> None:
    path = tmp_path / "north.bundle"
    scene.bundles[0].save(path)
    text = scene.bundles[0].manifest.encode()
    for other in (text + b" ", text.replace(b'{"base"', b'{"round":1,"base"', 1)):
        edit(path, "manifest", np.frombuffer(other, dtype=np.uint8))
        with pytest.raises(EvidenceRejected, match="canonical"):
            Bundle.load(path)


def test_commitments_hide_order_and_separate_equal_cases() -> None:
    features = np.array([[1, 2], [3, 4], [1, 2]], dtype=np.float32)
    labels = np.array([0, 1, 0])
    sealed = commitments(b"salt", [0, 1, 2], features, labels)
    assert len(set(sealed)) == 3
    assert sealed == commitments(b"salt", [2, 0, 1], features[[2, 0, 1]], labels[[2, 0, 1]])
    assert not set(sealed) & set(commitments(b"pepper", [0, 1, 2], features, labels))
    assert not set(sealed) & set(commitments(b"salt", [0, 1, 2], features, 1 - labels))


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": float("nan")})


def test_a_manifest_or_log_that_would_keep_the_attester_busy_is_refused_by_its_length(scene, tmp_path: Path) -> None:
    """What is parsed takes many times the memory of its text: a bundle of 126 MB took 2 GiB."""
    path = tmp_path / "north.bundle"
    scene.bundles[0].save(path)
    edit(path, "manifest", np.zeros(64 * 2**20 + 1, dtype=np.uint8))
    with pytest.raises(EvidenceRejected, match="its manifest has 67,108,865 bytes, more than 67,108,864"):
        Bundle.load(path)
    content = json.loads(scene.bundles[0].manifest.encode())
    for column in ("real", "losses"):
        long = {**content, "training": {**content["training"], column: [0] * (MAXIMUM_STEPS + 1)}}
        edit(path, "manifest", np.frombuffer(canonical_json(long), dtype=np.uint8))
        with pytest.raises(EvidenceRejected, match=f"malformed at training.{column}: .*at most 1000000 items"):
            Bundle.load(path)


def test_training_that_no_log_may_hold_is_refused_before_it_begins(build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAXIMUM_STEPS", 8)
    with pytest.raises(LearningError, match="takes 9 gradient steps in a round, more than 8") as caught:
        build(local_epochs=3, batch_size=32)  # 90 samples of north
    assert "raise learning.batch_size" in caught.value.hint
    monkeypatch.setattr(evidence, "MAXIMUM_STEPS", 9)
    build(local_epochs=3, batch_size=32)
