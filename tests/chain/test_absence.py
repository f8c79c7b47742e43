"""Who is absent pays by its stand-in: golden vectors, the theorem that silence never pays, and appeals."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.encoding import kernel
from chain.encoding.codec import decode, encode
from chain.encoding.terms import FIRST_LAYOUT, LAYOUT, check_terms
from chain.errors.chain import ArgumentOutOfRange, UnencodableTerms
from chain.errors.contract import BondLocked, StandInOutOfRange, StandInsLengthInvalid
from chain.errors.disputes import DisputeBondTooSmall
from chain.twin.ledger import MemoryProvider
from cocogen.ledger import Contribution

VECTORS = json.loads((Path(__file__).resolve().parents[1] / "golden" / "absence.json").read_text())
STAND_INS = ((50, 10, 3), (20, 0, 0), (120, 52, 7), (0, 0, 0))
EVIDENCE = b"\x05" * 32
REASON = b"\x0d" * 32


@pytest.fixture
def standing_in(make_terms):
    """Terms of four organizations, each with a stand-in; keywords replace fields."""

    def make(**changes):
        terms = make_terms(4, **changes)
        members = tuple(replace(m, stand_in=s) for m, s in zip(terms.members, STAND_INS, strict=True))
        return replace(terms, members=members)

    return make


def scores_of(vector):
    encoded, result = vector["encoded"], []
    for parts, weight, offset in zip(vector["recorded"], encoded["weight"], encoded["offset"], strict=True):
        if parts is None:
            result.append(None)
            continue
        total = kernel.sum_of_parts(*parts, int(encoded["generatedWeightWad"]), int(encoded["lambdaWad"]))
        result.append(kernel.score(total, int(weight), int(offset)))
    return result


class TestGolden:
    @pytest.mark.parametrize("rule", ["planned", "least", "masked"])
    def test_payoffs_match_to_the_last_digit(self, rule):
        for vector in VECTORS:
            k, gamma = vector["encoded"]["k"], int(vector["encoded"]["gammaWad"])
            if rule == "masked":
                absent, expected = (), vector["masked"]
            else:
                scores = map(int, vector[rule]["stand_in"])
                absent = [x if i in vector["absent"] else None for i, x in enumerate(scores)]
                expected = vector[rule]["payoffs"]
            assert kernel.payoffs(k, gamma, scores_of(vector), absent) == tuple(map(int, expected))


class TestCodec:
    def test_stand_ins_become_scores_in_contract_order_and_enter_the_hash(self, standing_in, make_terms):
        encoded, plain = encode(standing_in()), encode(make_terms(4))
        for n, parts in enumerate(STAND_INS):
            position = encoded.positions[n]
            assert encoded.stand_ins[position] == encoded.score(position, *parts)
        assert len(encoded.packed_stand_ins) == 4 * 16
        assert plain.stand_ins == ()
        assert plain.packed_stand_ins == b""
        assert encoded.terms_hash != plain.terms_hash
        assert replace(encoded, stand_ins=encoded.stand_ins[::-1]).terms_hash != encoded.terms_hash

    def test_the_first_layout_hashes_no_stand_ins_and_has_none(self, standing_in, make_terms):
        plain = encode(make_terms(4))
        first, second = plain.in_layout(FIRST_LAYOUT), plain.in_layout(LAYOUT)
        assert first.terms_hash.hex() == "dfb8ba8fe03307391ef57ab7f0cfa7b0d431a2a2dbce556a39ae996f9e7c099e"
        assert second.terms_hash != first.terms_hash
        with pytest.raises(ArgumentOutOfRange):
            encode(standing_in()).in_layout(FIRST_LAYOUT)

    def test_decoded_scores_are_in_the_order_of_the_terms_file(self, standing_in, make_terms):
        decoded = decode(encode(standing_in()))
        for n, (data, generated, compute) in enumerate(STAND_INS):
            parts = data + decoded.generated_weight * generated + decoded.compute_weight * compute
            expected = decoded.score_offsets[n] + decoded.score_weights[n] * parts
            assert decoded.stand_in_scores[n] == pytest.approx(expected)
        assert decode(encode(make_terms(4))).stand_in_scores is None

    @pytest.mark.parametrize(
        ("stand_in", "field"),
        [
            (None, "members[1] (o1).stand_in"),
            ((1, 2), "members[1] (o1).stand_in"),
            ((111, 0, 0), "members[1] (o1).stand_in (data)"),
            ((0, 52, 0), "members[1] (o1).stand_in (generated)"),
            ((0, 0, 8), "members[1] (o1).stand_in (compute)"),
            ((0, -1, 0), "members[1] (o1).stand_in (generated)"),
            ((0.5, 0, 0), "members[1] (o1).stand_in (data)"),
        ],
    )
    def test_what_cannot_stand_in_is_named(self, standing_in, stand_in, field):
        terms = standing_in()
        members = tuple(replace(m, stand_in=stand_in) if n == 1 else m for n, m in enumerate(terms.members))
        with pytest.raises(UnencodableTerms) as caught:
            encode(replace(terms, members=members))
        assert [problem.field for problem in caught.value.problems] == [field]

    def test_vector_mode_has_no_stand_ins(self, standing_in):
        with pytest.raises(UnencodableTerms, match="vector mode"):
            encode(standing_in(mode="vector"))

    def test_the_constructors_rules_are_the_twins(self, standing_in):
        encoded = encode(standing_in())
        check_terms(encoded)
        with pytest.raises(StandInsLengthInvalid) as short:
            check_terms(replace(encoded, stand_ins=encoded.stand_ins[:3]))
        assert short.value.values == (48, 64)
        low, high = encoded.members[2].offset, encoded.largest_scores[2]
        for allowed in (low, high):
            check_terms(replace(encoded, stand_ins=(*encoded.stand_ins[:2], allowed, encoded.stand_ins[3])))
        for refused in (low - 1, high + 1):
            with pytest.raises(StandInOutOfRange) as caught:
                check_terms(replace(encoded, stand_ins=(*encoded.stand_ins[:2], refused, encoded.stand_ins[3])))
            assert caught.value.values == (2, refused, low, high)


@st.composite
def markets(draw):
    """k, gamma, caps of the score above an offset of 0, the reports of a round (None: silent), and stand-ins."""
    count = draw(st.integers(2, 7))
    k = [[0] * count for _ in range(count)]
    for i in range(count):
        for j in range(i):
            k[i][j] = k[j][i] = draw(st.integers(0, kernel.PAIR_WEIGHT_MAX))
    gamma = draw(st.integers(0, 10**36))
    offsets = draw(st.lists(st.integers(-(10**24), 10**24), min_size=count, max_size=count))
    caps = [offset + draw(st.integers(0, 10**24)) for offset in offsets]
    scores = [draw(st.none() | st.integers(low, high)) for low, high in zip(offsets, caps, strict=True)]
    stand_ins = [draw(st.integers(low, high)) for low, high in zip(offsets, caps, strict=True)]
    masked = draw(st.sets(st.integers(0, count - 1)))
    return k, gamma, offsets, caps, scores, stand_ins, masked


def round_of(market, scores):
    k, gamma, _, _, _, stand_ins, masked = market
    absent = [
        s if x is None and i not in masked else None for i, (x, s) in enumerate(zip(scores, stand_ins, strict=True))
    ]
    return kernel.payoffs(k, gamma, scores, absent)


class TestTheorem:
    @settings(max_examples=60, deadline=None)
    @given(markets(), st.data())
    def test_property_silence_never_pays_more_than_delivering_as_much_as_the_stand_in(self, market, data):
        _, _, _, caps, scores, stand_ins, masked = market
        a = data.draw(st.integers(0, len(scores) - 1))
        masked.discard(a)
        silent = [*scores]
        silent[a] = None
        delivered = [*scores]
        delivered[a] = data.draw(st.integers(stand_ins[a], caps[a]))
        assert round_of(market, silent)[a] <= round_of(market, delivered)[a]

    @settings(max_examples=60, deadline=None)
    @given(markets())
    def test_property_contributors_get_from_the_absent_what_their_stand_ins_would_have_owed(self, market):
        k, gamma, offsets, caps, scores, stand_ins, masked = market
        payoffs = round_of(market, scores)
        expected = list(kernel.payoffs(k, gamma, scores))
        for a, own in enumerate(scores):
            if own is not None or a in masked:
                continue
            for m, other in enumerate(scores):
                if other is None:
                    continue
                # what the two alone would settle to, with the stand-in in the absent member's place
                pair = [None] * len(scores)
                pair[a], pair[m] = stand_ins[a], other
                received = max(0, kernel.payoffs(k, gamma, pair)[m])
                expected[m] += received
                expected[a] -= received
        assert payoffs == tuple(expected)
        assert sum(payoffs) == 0
        for i, (payoff, bond) in enumerate(zip(payoffs, kernel.liabilities(k, gamma, offsets, caps), strict=True)):
            assert -bond <= payoff
            if scores[i] is None:
                assert payoff <= 0
            if i in masked and scores[i] is None:
                assert payoff == 0

    @settings(max_examples=40, deadline=None)
    @given(markets())
    def test_property_every_payoff_is_within_a_wei_a_pair_of_the_exact_one(self, market):
        k, gamma, _, _, scores, stand_ins, masked = market
        payoffs = round_of(market, scores)
        for i, payoff in enumerate(payoffs):
            exact = Fraction(0)
            for j, other in enumerate(scores):
                silent = [n for n in (i, j) if scores[n] is None]
                if i == j or len(silent) == 2 or any(n in masked for n in silent):
                    continue
                mine = stand_ins[i] if scores[i] is None else scores[i]
                theirs = stand_ins[j] if other is None else other
                due = Fraction(k[i][j] * gamma * (mine - theirs), kernel.TRANSFER_DIVISOR)
                exact += min(due, 0) if scores[i] is None else max(due, 0) if other is None else due
            assert abs(payoff - exact) < max(1, len(scores) - 1)


class Round:
    """A recorded round in memory in which some organizations are silent."""

    def __init__(self, terms, silent, extra=()):
        self.ledger = MemoryProvider(7).deploy(terms)
        for n, bond in enumerate(self.ledger.decoded.liabilities):
            self.ledger.deposit(n, bond + dict(extra).get(n, 0))
        self.ledger.open_round()
        self.contributions = [
            None if n in silent else Contribution(m.data_cap // 2 + 20, m.generated_cap, 3, EVIDENCE)
            for n, m in enumerate(terms.members)
        ]
        for n, contribution in enumerate(self.contributions):
            if contribution is not None:
                self.ledger.submit(n, contribution, self.ledger.attest(n, contribution))
        self.ledger.wait_until(self.ledger.state().deadline + 1)
        self.ledger.record()
        self.owed = -self.ledger.predict(self.contributions, absent=silent)[silent[0]]

    def settle(self):
        self.ledger.wait_until(self.ledger.state().deadline + 1)
        return self.ledger.settle()


class TestRound:
    def test_the_absent_pay_and_the_outcome_says_who_they_are(self, standing_in):
        played = Round(standing_in(), (1,))
        before = played.ledger.state().balances
        assert played.ledger.outcomes()[-1].absent == (False, True, False, False)
        outcome = played.settle()
        assert outcome.absent == (False, True, False, False)
        assert outcome.transfers == played.ledger.predict(played.contributions, absent=[1])
        assert outcome.transfers[1] < 0
        assert sum(outcome.transfers) == 0
        after = played.ledger.state()
        assert after.balances == tuple(b + t for b, t in zip(before, outcome.transfers, strict=True))
        # what it paid was a part of its bond
        assert after.solvent == (True, False, *after.solvent[2:])

    def test_by_default_a_prediction_promises_nothing_of_the_absent(self, standing_in):
        played = Round(standing_in(), (1,))
        masked = played.ledger.predict(played.contributions)
        assert masked[1] == 0
        charged = played.settle().transfers
        assert all(m <= c for n, (m, c) in enumerate(zip(masked, charged, strict=True)) if n != 1)

    def test_two_absent_pay_nothing_between_themselves(self, standing_in):
        played = Round(standing_in(quorum_bps=5_000), (1, 3))
        outcome = played.settle()
        alone = [played.ledger.predict(played.contributions, absent=[n])[n] for n in (1, 3)]
        assert [outcome.transfers[n] for n in (1, 3)] == alone

    def test_who_has_left_is_masked(self, standing_in):
        terms = standing_in(quorum_bps=5_000)
        ledger = MemoryProvider(7).deploy(terms)
        for n, bond in enumerate(ledger.decoded.liabilities):
            ledger.deposit(n, bond)
        ledger.exit(1)
        ledger.open_round()
        assert ledger.outcomes()[-1].absent == (False,) * 4
        contributions = [None if n in (1, 3) else Contribution(90, 9, 1, EVIDENCE) for n in range(4)]
        for n in (0, 2):
            ledger.submit(n, contributions[n], ledger.attest(n, contributions[n]))
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.record()
        ledger.wait_until(ledger.state().deadline + 1)
        outcome = ledger.settle()
        assert outcome.absent == (False, False, False, True)
        assert outcome.transfers == ledger.predict(contributions, absent=[3])
        assert outcome.transfers[1] == 0 > outcome.transfers[3]

    def test_a_void_round_charges_nobody(self, standing_in):
        terms = standing_in(quorum_bps=10_000)
        ledger = MemoryProvider(7).deploy(terms)
        for n, bond in enumerate(ledger.decoded.liabilities):
            ledger.deposit(n, bond)
        ledger.open_round()
        before = ledger.state().balances
        contribution = Contribution(90, 9, 1, EVIDENCE)
        ledger.submit(0, contribution, ledger.attest(0, contribution))
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.record()
        assert ledger.outcomes()[-1].status == "voided"
        assert ledger.outcomes()[-1].absent == (False, True, True, True)
        assert ledger.state().balances == before

    def test_terms_without_stand_ins_mask_the_absent(self, make_terms):
        played = Round(make_terms(4), (1,))
        assert played.settle().transfers == played.ledger.predict(played.contributions)
        assert played.ledger.predict(played.contributions, absent=[1]) == played.ledger.predict(played.contributions)

    @pytest.mark.parametrize("absent", [[0], [4], [-1]])
    def test_only_who_has_not_contributed_is_absent(self, standing_in, absent):
        ledger = MemoryProvider(7).deploy(standing_in())
        with pytest.raises(ArgumentOutOfRange, match="absent"):
            ledger.predict([Contribution(1, 1, 1, EVIDENCE), None, None, None], absent=absent)


class TestAppeal:
    BOND = 3 * 10**12

    def played(self, standing_in, extra=0):
        return Round(standing_in(dispute_bond=self.BOND), (1,), {1: extra})

    def test_the_absent_may_appeal_with_what_they_owe_and_the_dispute_bond(self, standing_in):
        played = self.played(standing_in)
        liability = played.ledger.decoded.liabilities[1]
        assert 0 < played.owed < liability - self.BOND
        played.ledger.dispute(1, REASON)
        assert played.ledger.state().phase == "disputed"

    def test_a_contributor_needs_its_liability_and_the_dispute_bond(self, standing_in):
        played = self.played(standing_in)
        with pytest.raises(DisputeBondTooSmall) as caught:
            played.ledger.dispute(0, REASON)
        assert caught.value.needed == played.ledger.decoded.liabilities[0] + self.BOND

    def test_one_wei_below_what_is_owed_and_the_bond_is_too_little(self, standing_in):
        bond = self.played(standing_in).ledger.decoded.liabilities[1] - self.played(standing_in).owed + 1
        enough, short = Round(standing_in(dispute_bond=bond), (1,), {1: 1}), Round(standing_in(dispute_bond=bond), (1,))
        enough.ledger.dispute(1, REASON)
        with pytest.raises(DisputeBondTooSmall) as caught:
            short.ledger.dispute(1, REASON)
        assert caught.value.needed == short.owed + bond == short.ledger.decoded.liabilities[1] + 1

    def test_while_it_is_disputed_the_bond_stays(self, standing_in):
        bond = self.played(standing_in).ledger.decoded.liabilities[1]
        played = Round(standing_in(dispute_bond=bond), (1,), {1: bond})
        played.ledger.dispute(1, REASON)
        free = played.ledger.state().balances[1] - played.owed - bond
        with pytest.raises(BondLocked) as caught:
            played.ledger.withdraw(1, free + 1)
        assert caught.value.available == free
        played.ledger.withdraw(1, free)

    def test_the_ruling_void_lets_it_go(self, standing_in):
        played = self.played(standing_in)
        before = played.ledger.state().balances
        played.ledger.dispute(1, REASON)
        played.ledger.resolve("void")
        assert played.ledger.state().balances == before

    def test_a_forfeited_bond_below_the_liability_shows_at_once_and_the_debt_is_paid(self, standing_in):
        played = self.played(standing_in)
        liability = played.ledger.decoded.liabilities[1]
        played.ledger.dispute(1, REASON)
        played.ledger.resolve("settle-and-forfeit")
        state = played.ledger.state()
        assert state.balances[1] == liability - self.BOND
        assert state.solvent[1] is False
        with pytest.raises(BondLocked) as caught:
            played.ledger.withdraw(1, 1)
        assert caught.value.available == 0
        outcome = played.settle()
        assert outcome.transfers[1] == -played.owed
        assert played.ledger.state().balances[1] == liability - self.BOND - played.owed
