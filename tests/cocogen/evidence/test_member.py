"""A member and an attester, each from a source that has nothing for anybody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.data.samples import Samples
from cocogen.data.sources.base import RegisteredRows, Reserved, Source
from cocogen.errors import LearningError
from cocogen.evidence.attester import Attester
from cocogen.evidence.member import Assignment, Member

TERMS = bytes(range(32))
HARBOR = 1


@dataclass
class Folder:
    """A source on a machine of one's own: what all agreed on, and the samples of ``holder`` (None: the attester)."""

    source: Source
    holder: int | None
    asked: list[object] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def counts(self) -> np.ndarray:
        return self.source.counts

    def of_member(self, n: int) -> Samples:
        assert n == self.holder, "somebody else's samples"
        self.asked.append(n)
        return self.source.of_member(n)

    def own_patients(self, n: int) -> Samples | None:
        return self.source.own_patients(n)

    def registered(self, n: int) -> RegisteredRows | None:
        return self.source.registered(n)

    def of_attester(self) -> Reserved:
        assert self.holder is None, "the attester's samples"
        self.asked.append("attester")
        return self.source.of_attester()


@pytest.fixture(scope="module")
def agreed(scene):
    return scene.task.agreed


@pytest.fixture(scope="module")
def source(agreed):
    return agreed.source()


def alone(agreed, source, **how) -> Member:
    return Member(agreed, Folder(source, HARBOR), HARBOR, **how)


def test_a_member_asks_for_its_own_samples_once_and_for_nobody_elses(agreed, source) -> None:
    folder = Folder(source, HARBOR)
    member = Member(agreed, folder, HARBOR)
    assert folder.asked == [HARBOR]
    assert (member.name, member.registered, member.index) == ("harbor", 60, HARBOR)
    assert member.own.digest() == source.of_member(HARBOR).digest()


@pytest.mark.parametrize("assignment", [Assignment(60, 24), Assignment(17, 5), Assignment(0, 0)])
def test_a_member_alone_writes_the_bundle_that_it_writes_among_all(scene, agreed, source, signer, assignment):
    bundle = alone(agreed, source).train(1, scene.shared, assignment, TERMS, lambda digest: signer("harbor", digest))
    local = scene.task.train(1, scene.shared, [None, assignment, None, None], TERMS, signer)[HARBOR]
    assert bundle.manifest == local.manifest
    assert bundle.signature == local.signature
    assert bundle.is_intact()


def test_a_salt_of_its_own_hides_its_samples_and_changes_nothing_else(scene, agreed, source) -> None:
    plain, secret = (
        alone(agreed, source, salt=salt).train(1, scene.shared, Assignment(20, 4), TERMS, lambda _: b"").manifest
        for salt in (None, b"secret")
    )
    assert not set(plain.commitments) & set(secret.commitments)
    assert plain.model_copy(update={"commitments": secret.commitments}) == secret


@pytest.mark.parametrize("assignment", [Assignment(61, 0), Assignment(-1, 0), Assignment(1, -1)])
def test_a_member_uses_no_more_than_it_registered(scene, agreed, source, assignment) -> None:
    with pytest.raises(LearningError, match=r"harbor cannot use .* it registered 60"):
        alone(agreed, source).train(1, scene.shared, assignment, TERMS, lambda _: b"")


def test_an_attester_asks_for_holdout_and_test_fold_alone_and_comes_to_the_same(scene, agreed, source) -> None:
    folder = Folder(source, None)
    attester = Attester(agreed, folder)
    assert folder.asked == ["attester"]
    there = scene.attest()
    addresses = [f"0x{name}" for name in agreed.names]
    caps = [SimpleNamespace(data_cap=size, generated_cap=60, compute_cap=0) for size in (90, 60, 40, 20)]
    here = attester.attest(1, scene.shared, scene.bundles, addresses, lambda *_: True, scene.quality, caps, TERMS)
    assert not here.rejected
    assert here.aggregated.digest() == there.aggregated.digest()
    assert here.documents == there.documents
