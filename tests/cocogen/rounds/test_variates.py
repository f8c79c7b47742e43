"""Control variates are what the recorded evidence says, whoever computes them and whenever."""

from __future__ import annotations

import pytest

from cocogen.errors import WorkspaceError
from cocogen.evidence.bundle import Bundle
from cocogen.learning.models.states import SharedModel, average
from cocogen.learning.training.scaffold import Variate, shared_variate
from cocogen.rounds.loop import RoundLoop


@pytest.fixture
def make_loop(scaffolding_clinics, tmp_path_factory):
    return lambda: scaffolding_clinics.loop(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def loop(make_loop):
    return make_loop()


def again(loop: RoundLoop) -> RoundLoop:
    """Another process over the same ledger and files."""
    return RoundLoop(loop.resolved, loop.ledger, loop.workspace, task=loop.task)


def digests(variates) -> list[tuple[str, int]]:
    return [(variate.state.digest(), variate.weight) for variate in variates]


def by_hand(loop: RoundLoop, name: str, rounds: list[int]) -> Variate:
    """The variate of an organization after the rounds that recorded it, of which each builds on the one before."""
    variate, n = Variate(), loop.resolved.names.index(name)
    outcomes = {outcome.round: outcome for outcome in loop.ledger.outcomes()}
    for before, number in zip([0, *rounds], rounds, strict=False):
        bundle = Bundle.load(loop.workspace.bundle(number, name))
        given = outcomes[number].contributions[n]
        variate = variate.renewed(
            SharedModel.load(loop.workspace.model(before)),
            bundle.classifier,
            len(bundle.manifest.training.real),
            loop.resolved.learning.learning_rate,
            given.data + given.generated,
        )
    return variate


def play_without(loop: RoundLoop, *left_out: int) -> None:
    loop.open()
    loop.train()
    loop.attest()
    for n in set(range(6)) - set(left_out):
        loop.submit(n)
    loop.record(advance=True)
    if loop.ledger.state().phase != "idle":
        loop.settle(advance=True)


def test_variates_follow_from_the_recorded_rounds_and_their_average_is_in_the_model(loop):
    assert digests(loop.variates(1)) == digests([Variate()] * 6)
    loop.play()
    loop.play()
    variates = loop.variates(3)
    assert digests(variates) == digests(by_hand(loop, name, [1, 2]) for name in loop.resolved.names)
    mean = average([v.state for v in variates], [v.weight for v in variates])
    assert shared_variate(SharedModel.load(loop.workspace.model(2))).digest() == mean.digest()


@pytest.mark.slow
def test_another_process_comes_to_the_same_bytes(loop):
    loop.play()
    assert digests(again(loop).variates(2)) == digests(loop.variates(2))
    loop.play()
    fresh = again(loop)
    assert digests(fresh.variates(3)) == digests(loop.variates(3))
    assert digests(fresh.variates(2)) == digests(again(loop).variates(2))
    alone = fresh.variates(3, [4])
    assert digests(alone) == digests([Variate()] * 4 + [loop.variates(3)[4], Variate()])


@pytest.mark.slow
def test_a_round_that_another_process_ends_is_the_same_round(make_loop):
    here = make_loop()
    here.play()
    expected = here.play()
    for stop in ("train", "attest"):
        there = make_loop()
        there.play()
        for step in ("open", "train", "attest"):
            there = again(there)
            getattr(there, step)()
            if step == stop:
                break
        found = again(there).play()
        assert found.evaluation == expected.evaluation
        assert found.rejected == expected.rejected == {}
        models = [SharedModel.load(loop.workspace.model(2)).digest() for loop in (here, there)]
        assert models[0] == models[1]


def test_whoever_is_left_out_goes_on_from_its_own_variate_and_the_model_of_its_round(loop):
    loop.play()
    play_without(loop, 5)
    name = loop.resolved.names[5]
    loop.bond()
    variates = loop.variates(3)
    assert digests([variates[5]]) == digests([by_hand(loop, name, [1])])
    assert digests(variates[:5]) == digests(by_hand(loop, other, [1, 2]) for other in loop.resolved.names[:5])
    report = loop.play()
    assert report.rejected == {}
    assert report.contributions[5] is not None
    assert digests([loop.variates(4)[5]]) == digests([by_hand(loop, name, [1, 3])])
    bundle = Bundle.load(loop.workspace.bundle(3, name))
    assert bundle.manifest.base == SharedModel.load(loop.workspace.model(1)).digest()
    assert bundle.manifest.control_variate == variates[5].state.digest()
    variates = loop.variates(4)
    mean = average([v.state for v in variates], [v.weight for v in variates])
    assert shared_variate(SharedModel.load(loop.workspace.model(3))).digest() == mean.digest()


def test_a_rejected_bundle_and_a_voided_round_change_no_variate(loop):
    loop.play()
    before = digests(loop.variates(2))
    play_without(loop, 1, 2, 3, 4, 5)
    assert loop.ledger.outcomes()[-1].status == "voided"
    assert digests(loop.variates(3)) == before
    loop.open()
    loop.train()
    loop.workspace.bundle(3, "north").write_bytes(loop.workspace.bundle(1, "north").read_bytes())
    assert list(loop.play().rejected) == ["north"]
    after = digests(loop.variates(4))
    assert after[0] == before[0]
    assert all(mine != other for mine, other in zip(after[1:], before[1:], strict=True))


def test_evidence_from_elsewhere_is_kept_for_the_rounds_to_come(loop, tmp_path):
    loop.open()
    moved = [path.rename(tmp_path / path.name) for path in loop.train()]
    attested = loop.attest(moved)
    assert attested.rejected == {}
    assert loop.play().status == "settled"
    assert all(variate.weight for variate in loop.variates(2))
    assert loop.play().rejected == {}


@pytest.mark.parametrize(("damage", "reason"), [("missing", "is not there"), ("altered", "was altered")])
def test_evidence_that_is_gone_or_altered_is_named(loop, damage, reason):
    loop.play()
    path = loop.workspace.bundle(1, "harbor")
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(loop.workspace.bundle(1, "north").read_bytes())
    with pytest.raises(WorkspaceError, match=rf"harbor\.bundle {reason}"):
        loop.variates(2)
    assert loop.variates(2, [0])[0].weight > 0
    with pytest.raises(WorkspaceError, match="harbor"):
        again(loop).play()


def test_an_altered_model_of_an_earlier_round_is_named(loop):
    loop.play()
    loop.play()
    loop.workspace.model(1).write_bytes(loop.workspace.model(2).read_bytes())
    with pytest.raises(WorkspaceError, match="was altered"):
        loop.variates(3)


def test_terms_without_scaffold_keep_no_variates(loop):
    plain = loop.resolved.learning.model_copy(update={"scaffold": False})
    other = RoundLoop(loop.resolved.model_copy(update={"learning": plain}), loop.ledger, loop.workspace)
    assert other.variates(1) is None
