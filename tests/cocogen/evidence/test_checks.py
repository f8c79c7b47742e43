"""Which checks look at a member's single update: what docs/evidence.md says would be lost under secure aggregation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cocogen.evidence.checks import Expectation, check_arrays, check_identity, check_log, check_update
from cocogen.evidence.copies import copies
from cocogen.evidence.replay import check_drawn, check_worth
from cocogen.learning.models.states import ModelState

PAGE = Path(__file__).parents[3] / "docs" / "evidence.md"
ANSWERS = {"yes", "no", "of the generator", "of the models", "the classifier; commitments not"}


class Unseen(ModelState):
    """A model that was summed with others before anybody could look at it."""

    def __init__(self) -> None:
        super().__init__({})

    def _look(self, *_: object, **__: object):
        raise PermissionError("a single update was looked at")

    digest = distance = is_finite = __getitem__ = __iter__ = __len__ = items = values = keys = _look  # type: ignore[assignment]
    layout = property(_look)  # type: ignore[assignment]


@pytest.fixture
def expected(scene) -> Expectation:
    agreed, terms_hash = scene.task.agreed, bytes(range(32))
    shapes = 30, 2, agreed.panel
    return Expectation("harbor", "0xharbor", 1, terms_hash, 60, 60, scene.shared, *shapes, agreed.schedule)


@pytest.fixture
def masked(scene):
    return replace(scene.bundles[1], classifier=Unseen())


@pytest.fixture
def hidden(masked):
    return replace(masked, generator=Unseen())


def test_signatures_counts_commitments_and_worth_are_checked_without_a_single_update(scene, hidden, expected) -> None:
    check_identity(hidden, expected, lambda *_: True)
    check_log(hidden, expected)
    check_worth(hidden, expected, 0.9, 0.9, 0.1)
    assert scene.task.attester.measure_panel(hidden.panel, 1) == pytest.approx(scene.attest().measurements[1].quality)


def test_of_copies_the_commitments_need_no_update(scene, hidden, expected) -> None:
    stolen = {"commitments": scene.bundles[1].manifest.commitments}
    twin = replace(scene.bundles[0], manifest=scene.bundles[0].manifest.model_copy(update=stolen))
    both = [replace(expected, organization="north"), expected]
    found = copies({0: replace(twin, classifier=Unseen()), 1: hidden}, both)
    assert set(found) == {0, 1}
    assert "claimed by" in found[0]


def test_a_draw_is_repeated_from_the_generator_alone(scene, masked, hidden, expected) -> None:
    attester = scene.task.attester
    check_drawn(masked, 1, expected, attester.generator, attester.streams)
    with pytest.raises(PermissionError):
        check_drawn(hidden, 1, expected, attester.generator, attester.streams)


@pytest.mark.parametrize("check", [check_arrays, check_update])
def test_arrays_and_distances_need_the_single_update(check, scene, masked, expected) -> None:
    check(scene.bundles[1], expected)
    with pytest.raises(PermissionError):
        check(masked, expected)


def test_comparison_and_harm_need_the_single_update(scene, masked, expected) -> None:
    with pytest.raises(PermissionError):
        scene.task.attester.comparison.movements({1: masked}, [expected, expected])
    with pytest.raises(PermissionError):
        scene.task.attester._held_out_loss(masked.classifier)


def test_the_page_answers_for_every_lie_that_is_caught() -> None:
    table = PAGE.read_text().split("## Lies that are caught")[1].split("##")[0]
    rows = [row.strip(" |").split(" | ") for row in table.splitlines() if row.startswith("| ")]
    assert rows[0] == ["lie", "how it shows", "needs a single update"]
    assert len(rows) > 15
    assert {row[-1] for row in rows[1:]} == ANSWERS
    assert all(len(row) == 3 for row in rows)
