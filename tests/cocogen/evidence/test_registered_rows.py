"""Evidence of organizations that registered their own data: a bitmap of leaves in place of commitments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cocogen.data.sources.base import Source
from cocogen.errors import DatasetError, LearningError
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.leaves import bitmap, used
from cocogen.evidence.local import Assignment, Local
from cocogen.evidence.member import Member
from cocogen.terms.sections import Privacy
from tests.cocogen.evidence.own import OwnRows

NAME, N = "harbor", 1
TERMS = bytes(range(32))
DATA = (90, 41, 40, 20)


@pytest.fixture(scope="module")
def source(scene) -> Source:
    return scene.task.agreed.source()


@pytest.fixture(scope="module")
def own(scene, source, signer):
    """The scene's round, played by members who registered their rows; harbor uses 41 of its 60."""
    task = Local(scene.task.agreed, OwnRows(source))
    assignments = [Assignment(data, 24) for data in DATA]
    bundles = task.train(1, scene.shared, assignments, TERMS, signer)
    return replace(scene, task=task, bundles=list(bundles))


def refused(own, bundle: Bundle, reason: str) -> None:
    """Harbor's bundle is refused for ``reason``, and what the others contributed counts."""
    bundles = [*own.bundles]
    bundles[N] = bundle
    evidence = own.attest(bundles)
    assert set(evidence.rejected) == {NAME}
    assert reason in evidence.rejected[NAME]
    assert [c is None for c in evidence.contributions] == [False, True, False, False]


def test_rows_are_named_by_their_leaves_and_counted(own) -> None:
    evidence = own.attest()
    assert not evidence.rejected
    assert tuple(c.data for c in evidence.contributions) == DATA
    for bundle, data in zip(own.bundles, DATA, strict=True):
        assert bundle.manifest.commitments == ()
        assert bundle.manifest.real == len(used(bundle.manifest.leaves)) == data


def test_the_leaves_are_those_of_the_rows_that_were_trained_on(own) -> None:
    assert used(own.bundles[N].manifest.leaves).tolist() == own.task.members[N].subset(1, 41).tolist()


def test_models_are_those_of_a_rehearsal_with_the_same_samples(own, scene, signer) -> None:
    rehearsal = scene.task.train(1, scene.shared, [Assignment(data, 24) for data in DATA], TERMS, signer)
    for bundle, other in zip(own.bundles, rehearsal, strict=True):
        names = {"leaves": None, "commitments": other.manifest.commitments}
        assert bundle.manifest.model_copy(update=names) == other.manifest


def test_a_bundle_with_leaves_comes_back_from_its_file(own, tmp_path) -> None:
    own.bundles[N].save(path := tmp_path / "harbor.bundle")
    assert Bundle.load(path).manifest == own.bundles[N].manifest


def test_a_manifest_without_leaves_does_not_speak_of_them(scene) -> None:
    assert b"leaves" not in scene.bundles[N].manifest.encode()


def test_a_leaf_used_twice_is_one_sample(own, forge) -> None:
    leaves = used(own.bundles[N].manifest.leaves)
    lie = bitmap(np.append(leaves[:-1], leaves[0]), 60)
    refused(own, forge(own.bundles[N], manifest={"leaves": lie}), "64 samples in batches of 32 make 2")


def test_a_row_that_was_not_registered_is_refused(own, forge) -> None:
    text = own.bundles[N].manifest.leaves
    lie = text[:-1] + "1"  # 60 leaves fill 7 bytes and a half
    refused(own, forge(own.bundles[N], manifest={"leaves": lie}), "it claims leaf 63")
    refused(own, forge(own.bundles[N], manifest={"leaves": text + "80"}), "its bitmap has 9 bytes")


def test_more_rows_than_the_log_goes_through_are_refused(own, forge) -> None:
    lie = bitmap(np.arange(42), 60)
    refused(own, forge(own.bundles[N], manifest={"leaves": lie}), "but 42 and 24 are claimed")


def test_commitments_do_not_count_where_rows_are_registered(own, forge) -> None:
    sealed = tuple(f"{n:064x}" for n in range(41))
    refused(own, forge(own.bundles[N], manifest={"leaves": None, "commitments": sealed}), "and no registered rows")
    refused(own, forge(own.bundles[N], manifest={"commitments": sealed}), "and also registered rows")


def test_registered_rows_do_not_count_where_none_are(scene, forge) -> None:
    lie = forge(scene.bundles[N], manifest={"leaves": "ff" * 8, "commitments": ()})
    evidence = scene.attest([scene.bundles[0], lie, *scene.bundles[2:]])
    assert evidence.rejected == {NAME: "it names registered rows, but no data were registered"}


def test_a_member_whose_samples_are_not_as_many_as_it_registered_is_told(scene, source) -> None:
    with pytest.raises(DatasetError, match="harbor has 60 samples to train on, but registered 61"):
        Member(scene.task.agreed, OwnRows(source, surplus=1), N)


def test_noise_on_updates_of_own_data_needs_a_secret(scene, source) -> None:
    privacy = Privacy(clip=1.0, noise_multiplier=1.0, delta=1e-5)
    agreed = replace(scene.task.agreed, learning=scene.task.agreed.learning.model_copy(update={"privacy": privacy}))
    with pytest.raises(LearningError, match="noise on the updates of harbor would follow from the public seed"):
        Member(agreed, OwnRows(source), N)
    assert Member(agreed, OwnRows(source), N, salt=b"secret").rows.training == 60
