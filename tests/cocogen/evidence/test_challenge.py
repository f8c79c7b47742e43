"""Rows that are opened: who can choose them, what a member refuses to open, what the attester refuses to believe."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cocogen.data.own.leaves import Opening, opening
from cocogen.errors import EvidenceRejected, LearningError
from cocogen.evidence.attester import Attester
from cocogen.evidence.challenge import (
    Answer,
    Challenge,
    Opened,
    answer,
    check_answer,
    commitment,
    drawn,
    longest_answer,
    new_nonce,
)
from cocogen.evidence.leaves import bitmap, used
from cocogen.evidence.local import Assignment, Local
from cocogen.files import canonical_json
from tests.cocogen.evidence.own import OwnRows, agreed_on, rows_of, schema_of, secret_of

NAMES = ("north", "harbor", "meadow", "lakeview")
NAME, N, K = "harbor", 1, 3
TERMS = bytes(range(32))
NONCE = hashlib.sha256(b"nonce").hexdigest()


@pytest.fixture(scope="module")
def source(scene) -> OwnRows:
    return OwnRows(scene.task.agreed.source())


@pytest.fixture(scope="module")
def own(scene, source, signer):
    """The scene's round, in which each member opens three of its rows."""
    task = Local(agreed_on(scene.task.agreed, source.schema, K), source)
    assignments = [Assignment(int(local), 24) for local in task.registered]
    bundles = task.train(1, scene.shared, assignments, TERMS, signer, challenge=commitment(NONCE))
    return replace(scene, task=task, bundles=list(bundles))


def challenge_for(bundles, nonce: str = NONCE) -> Challenge:
    return Challenge(round=1, nonce=nonce, bundles=tuple(sorted(b.digest().hex() for b in bundles)))


@pytest.fixture(scope="module")
def challenge(own) -> Challenge:
    return challenge_for(own.bundles)


@pytest.fixture(scope="module")
def answers(own, challenge) -> dict[int, Answer]:
    return {n: own.task.members[n].answer(challenge, bundle.manifest) for n, bundle in enumerate(own.bundles)}


def altered(given: Answer, place: int = 0, **changes: object) -> Answer:
    rows = list(given.rows)
    rows[place] = rows[place].model_copy(update=changes)
    return given.model_copy(update={"rows": tuple(rows)})


# Which rows


def manifest_of(own, rows, **changes):
    leaves = bitmap(np.array(rows, dtype=np.int64), 60)
    return own.bundles[N].manifest.model_copy(update={"leaves": leaves, **changes})


def test_the_draw_is_the_one_that_is_written_down(own) -> None:
    """Computed again as the module says, with other means."""
    manifest = manifest_of(own, [2, 3, 5, 7, 11, 13, 17], update_norm=1.0)
    pool, j = [2, 3, 5, 7, 11, 13, 17], 0
    for place in range(3):
        left = 7 - place
        while True:
            text = (
                b"cocogen challenge\x00" + bytes.fromhex(NONCE) + manifest.digest() + b"harbor" + j.to_bytes(8, "big")
            )
            word, j = int(hashlib.sha256(text).hexdigest()[:16], 16), j + 1
            if word < (2**64 // left) * left:
                break
        other = place + word % left
        pool[place], pool[other] = pool[other], pool[place]
    assert drawn(NONCE, manifest, 3).tolist() == sorted(pool[:3])


@pytest.mark.parametrize(("rows", "opened"), [([], 0), ([4], 1), ([4, 9], 2), ([0, 4, 9, 59], 3)])
def test_as_many_as_agreed_are_drawn_or_all_that_were_used(own, rows, opened) -> None:
    found = drawn(NONCE, manifest_of(own, rows), K).tolist()
    assert len(set(found)) == len(found) == opened
    assert set(found) <= set(rows)
    assert found == sorted(found)


def test_every_used_row_is_drawn_as_often_as_any_other(own) -> None:
    """χ² over 2,000 nonces stays below the value that one in a million exceeds."""
    manifest, times = manifest_of(own, range(0, 60, 4)), 2_000
    counts = np.zeros(60)
    for nonce in range(times):
        counts[drawn(f"{nonce:064x}", manifest, K)] += 1
    expected = times * K / 15
    assert counts[1::4].sum() == 0
    assert float(((counts[::4] - expected) ** 2 / expected).sum()) < 55.0


def test_bundle_and_nonce_both_decide_and_no_other_members_bundle_does(own, challenge) -> None:
    manifest = manifest_of(own, range(60))
    other = manifest.model_copy(update={"update_norm": 1.0})
    assert drawn(NONCE, manifest, K).tolist() != drawn(NONCE, other, K).tolist()
    assert drawn(NONCE, manifest, K).tolist() != drawn("00" * 32, manifest, K).tolist()
    mine = own.bundles[N].manifest
    alone = Challenge(round=1, nonce=NONCE, bundles=(mine.digest().hex(),))
    members = own.task.members
    assert members[N].answer(alone, mine) == members[N].answer(challenge, mine)


def test_a_nonce_is_32_bytes_of_the_system_and_none_comes_twice() -> None:
    nonces = {new_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {32}


# What a member opens


def test_a_member_opens_the_rows_drawn_and_nothing_else(own, challenge, answers) -> None:
    for n, (bundle, given) in enumerate(zip(own.bundles, answers.values(), strict=True)):
        assert [row.index for row in given.rows] == drawn(NONCE, bundle.manifest, K).tolist()
        assert len(given.openings) == K
        shown = given.openings[0]
        assert shown == opening(secret_of(n), rows_of(schema_of(30), own.task.members[n].own), shown.index)


def test_asked_again_it_opens_the_same_rows(own, challenge, answers) -> None:
    assert own.task.members[N].answer(challenge, own.bundles[N].manifest) == answers[N]


def test_it_opens_nothing_for_another_nonce_than_it_was_bound_to(own) -> None:
    asked = []
    wanted = challenge_for(own.bundles, nonce="11" * 32)
    with pytest.raises(LearningError, match="the nonce of the challenge is not the one"):
        answer(wanted, own.bundles[N].manifest, K, lambda index: asked.append(index))
    assert not asked


@pytest.mark.parametrize("change", [{"bundles": ()}, {"bundles": ("00" * 32,)}, {"round": 2}])
def test_it_opens_nothing_for_a_bundle_that_the_attester_does_not_have(own, challenge, change) -> None:
    with pytest.raises(LearningError, match="is not for its bundle of round 1"):
        own.task.members[N].answer(challenge.model_copy(update=change), own.bundles[N].manifest)


def test_it_opens_nothing_where_nothing_was_agreed(own, scene, source, challenge) -> None:
    for task in (Local(agreed_on(scene.task.agreed, source.schema), source), scene.task):
        with pytest.raises(LearningError, match="none was agreed to be opened"):
            task.members[N].answer(challenge, own.bundles[N].manifest)


@pytest.mark.parametrize(("openings", "sent", "reason"), [(3, None, "no draw"), (0, "00" * 32, "commits to a draw")])
def test_an_order_that_commits_otherwise_than_agreed_is_not_trained(scene, source, openings, sent, reason) -> None:
    task = Local(agreed_on(scene.task.agreed, source.schema, openings), source)
    with pytest.raises(LearningError, match=rf"north agreed to open {openings} rows a round, .*{reason}"):
        task.train(1, scene.shared, [Assignment(20, 4)] * 4, TERMS, lambda *_: b"", challenge=sent)


# What the attester believes


def test_rows_that_hold_are_digests_in_the_documents(own, challenge, answers) -> None:
    evidence = own.attest(opened=Opened(challenge, answers))
    assert not evidence.rejected
    assert [document["openings"] for document in evidence.documents] == [given.digest() for given in answers.values()]
    text = canonical_json(list(evidence.documents)).decode()
    assert not any(row.row in text or row.salt in text for given in answers.values() for row in given.rows)


def test_without_openings_no_document_speaks_of_them(scene) -> None:
    assert all("openings" not in document for document in scene.attest().documents)


def refused(own, challenge, answers, lie: Answer | None, reason: str) -> None:
    """Harbor is refused for ``reason``, and the others count."""
    given = {n: other for n, other in answers.items() if n != N} | ({} if lie is None else {N: lie})
    evidence = own.attest(opened=Opened(challenge, given))
    assert set(evidence.rejected) == {NAME}
    assert reason in evidence.rejected[NAME]
    assert [c is None for c in evidence.contributions] == [False, True, False, False]


def test_who_opens_nothing_is_refused(own, challenge, answers) -> None:
    refused(own, challenge, answers, None, "it has not opened the 3 rows that were drawn")


def test_another_row_than_was_drawn_is_refused(own, challenge, answers) -> None:
    used_rows = used(own.bundles[N].manifest.leaves).tolist()
    wanted = [row.index for row in answers[N].rows]
    other = next(index for index in used_rows if index not in wanted)
    shown = opening(secret_of(N), rows_of(schema_of(30), own.task.members[N].own), other)
    lie = altered(answers[N], index=other, row=shown.row.hex(), label=shown.label, salt=shown.salt.hex())
    refused(own, challenge, answers, lie, f"not {wanted}, which were drawn")


def test_a_row_that_is_not_the_registered_one_is_refused(own, challenge, answers) -> None:
    row = answers[N].rows[0]
    reason = f"not the one that it registered as leaf {row.index}"
    for change in ({"row": "00" * 240}, {"label": 1 - row.label}, {"salt": "00" * 32}):
        refused(own, challenge, answers, altered(answers[N], **change), reason)


def test_fewer_or_more_rows_than_drawn_are_refused(own, challenge, answers) -> None:
    rows = answers[N].rows
    for lie in (rows[:-1], (*rows, rows[0]), (rows[1], rows[0], rows[2])):
        refused(own, challenge, answers, answers[N].model_copy(update={"rows": lie}), "it opened the leaves")


def test_what_was_opened_for_another_bundle_is_refused(own, challenge, answers) -> None:
    for change in ({"bundle": "00" * 32}, {"round": 2}, {"organization": "north"}):
        lie = answers[N].model_copy(update=change)
        refused(own, challenge, answers, lie, "it opened rows of another bundle")


def test_a_bundle_that_was_bound_to_another_draw_is_refused(own, answers) -> None:
    other = challenge_for(own.bundles, nonce="11" * 32)
    evidence = own.attest(opened=Opened(other, answers))
    assert all("its challenge is" in reason for reason in evidence.rejected.values())
    assert len(evidence.rejected) == 4


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("0001000000000001", "a value of 'feature 0' beyond its range"), ("ff" * 8, "no value of 'feature 0', which")],
)
def test_a_registered_row_that_is_none_of_the_schema_is_refused(own, challenge, answers, cell, reason) -> None:
    """Registered by a node that was modified: the leaf is right, the row behind it is not."""
    row = answers[N].rows[0]
    lie = altered(answers[N], row=cell + row.row[16:])
    manifest, leaves = own.bundles[N].manifest, own.task.attester.rows[N].leaves.copy()
    shown = lie.openings[0]
    content = b"\x00" + shown.index.to_bytes(8, "big") + shown.salt + shown.row + shown.label.to_bytes(4, "big")
    leaves[shown.index] = np.frombuffer(hashlib.sha256(content).digest(), dtype=np.uint8)
    with pytest.raises(EvidenceRejected, match=f"behind leaf {shown.index} is none of the schema: {reason}") as caught:
        check_answer(lie, challenge, manifest, K, leaves, schema_of(30))
    assert row.row not in str(caught.value)


def test_nothing_is_attested_while_rows_were_not_drawn_or_leaves_are_not_here(own, scene, challenge, answers) -> None:
    with pytest.raises(LearningError, match="3 rows of each member are to be opened, but none were drawn"):
        own.attest()
    hidden = Attester(own.task.agreed, scene.task.agreed.source())
    with pytest.raises(LearningError, match="but the registered leaves are not here"):
        replace(own, task=replace_attester(own.task, hidden)).attest(opened=Opened(challenge, answers))


def replace_attester(task: Local, attester: Attester):
    from types import SimpleNamespace

    return SimpleNamespace(attester=attester, registered=task.registered)


# As text


def test_challenge_and_answer_come_back_from_their_text_within_the_stated_length(challenge, answers) -> None:
    assert Challenge.from_plain(json.loads(canonical_json(challenge.to_plain()))) == challenge
    for given in answers.values():
        text = canonical_json(given.to_plain())
        assert len(text) <= longest_answer(schema_of(30), K)
        assert Answer.from_plain(json.loads(text), NAME) == given


@pytest.mark.parametrize("change", [{"nonce": "00"}, {"round": 0}, {"more": 1}, {"bundles": [1]}, {"bundles": None}])
def test_a_challenge_that_is_none_is_refused(challenge, change) -> None:
    with pytest.raises(LearningError, match="not a challenge"):
        Challenge.from_plain({**challenge.to_plain(), **change})


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        {"organization": NAME},
        {"rows": [{"index": -1}]},
        {"rows": [{"row": "secret value"}]},
        math.nan,
    ],
)
def test_an_answer_that_is_none_is_refused_without_its_values(answers, value) -> None:
    content = {**answers[N].to_plain(), **value} if isinstance(value, dict) and "rows" in value else value
    with pytest.raises(EvidenceRejected, match=r"harbor.*what it opened is malformed") as caught:
        Answer.from_plain(content, NAME)
    assert "secret value" not in str(caught.value)


# The odds


@pytest.mark.parametrize(("share", "openings"), [(0.1, 3), (0.3, 3), (0.05, 10)])
def test_leaves_without_a_row_behind_them_are_caught_with_the_odds_stated(own, share, openings) -> None:
    """A modified node registers leaves that it cannot open: 1 − (1 − f)^k, within three standard errors.

    Rows are drawn without putting any back, which only raises the odds: the exact ones are those of the
    hypergeometric distribution.
    """
    rows, times = 60, 1_500
    empty = set(range(round(share * rows)))
    manifest = manifest_of(own, range(rows))
    caught = 0
    for nonce in range(times):
        caught += bool(empty & set(drawn(hashlib.sha256(b"%d" % nonce).hexdigest(), manifest, openings).tolist()))
    stated = 1.0 - (1.0 - len(empty) / rows) ** openings
    exact = 1.0 - math.comb(rows - len(empty), openings) / math.comb(rows, openings)
    error = math.sqrt(exact * (1.0 - exact) / times)
    assert abs(caught / times - exact) < 3.0 * error
    assert caught / times > stated - 3.0 * error


def test_a_leaf_that_nobody_can_open_is_refused_when_it_is_drawn(own, challenge, answers) -> None:
    """What the modified node does instead: it shows some row, under a salt that it makes up."""
    honest = answers[N].rows[1]
    invented = Opening(honest.index, bytes(240), 0, bytes(32))
    lie = altered(answers[N], place=1, row=invented.row.hex(), label=invented.label, salt=invented.salt.hex())
    refused(own, challenge, answers, lie, f"not the one that it registered as leaf {honest.index}")
