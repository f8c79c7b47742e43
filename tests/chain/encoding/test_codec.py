"""The codec and the integer kernel: golden vectors, exact rounding, and the theorems that settlement rests on."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chain.abi import keccak256, words
from chain.artifacts import CONTRACTS
from chain.encoding import kernel
from chain.encoding.codec import EncodedTerms, check_terms, decode, encode, predict
from chain.encoding.terms import contract_name
from chain.errors.chain import ArgumentOutOfRange, UnencodableTerms
from chain.errors.contract import ArithmeticBound, MemberCountOutOfRange, MembersNotSorted, TermOutOfRange
from chain.errors.disputes import WrongMode

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def markets(draw, largest=7):
    """(k symmetric, gammaWad, weights, offsets, caps in S units, reports within them with None for masked)."""
    count = draw(st.integers(2, largest))
    k = [[0] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1, count):
            k[i][j] = k[j][i] = draw(st.integers(0, kernel.PAIR_WEIGHT_MAX))
    gamma = draw(st.integers(0, 10**34))
    each = {"min_size": count, "max_size": count}
    weights = draw(st.lists(st.integers(0, 4 * kernel.WEIGHT_ONE), **each))
    offsets = draw(st.lists(st.integers(-(10**24), 10**24), **each))
    caps = draw(st.lists(st.integers(0, 10**24), **each))
    reports = [draw(st.none() | st.integers(0, cap)) for cap in caps]
    return k, gamma, weights, offsets, caps, reports


def scores_of(reports, weights, offsets):
    return [
        None if parts is None else kernel.score(parts, weight, offset)
        for parts, weight, offset in zip(reports, weights, offsets, strict=True)
    ]


class TestGolden:
    def test_encoded_integers_match(self, golden_settlements):
        for terms, expected in golden_settlements:
            encoded, order = encode(terms), encode(terms).positions
            assert [[encoded.pair_weights[i][j] for j in order] for i in order] == expected["encoded"]["k"]
            assert encoded.scalars.gamma_wad == int(expected["encoded"]["gammaWad"])
            assert [encoded.members[i].weight for i in order] == [int(w) for w in expected["encoded"]["weight"]]
            assert [encoded.members[i].offset for i in order] == [int(o) for o in expected["encoded"]["offset"]]
            assert encoded.scalars.generated_weight_wad == int(expected["encoded"]["generatedWeightWad"])
            assert encoded.scalars.lambda_wad == int(expected["encoded"]["lambdaWad"])

    def test_scores_payoffs_and_liabilities_match(self, golden_settlements):
        for terms, expected in golden_settlements:
            encoded = encode(terms)
            scores = [encoded.score(i, *c) for i, c in zip(encoded.positions, expected["contributions"], strict=True)]
            assert scores == [int(x) for x in expected["scores"]]
            assert predict(encoded, expected["contributions"]) == tuple(int(r) for r in expected["payoffs"])
            masked = predict(encoded, expected["masked_contributions"])
            assert masked == tuple(int(r) for r in expected["masked_payoffs"])
            assert decode(encoded).liabilities == tuple(int(bond) for bond in expected["liabilities"])

    def test_the_contract_accepts_all(self, golden_settlements):
        for terms, _ in golden_settlements:
            check_terms(encode(terms))


class TestRounding:
    def test_trunc0_truncates_toward_zero(self):
        assert [kernel.trunc0(n, 3) for n in (-7, -6, -1, 0, 1, 6, 7)] == [-2, -2, 0, 0, 0, 2, 2]

    @PROPERTY
    @given(st.integers(-(2**255), 2**255), st.integers(1, 2**200))
    def test_property_trunc0_is_odd_and_never_away_from_zero(self, numerator, denominator):
        result = kernel.trunc0(numerator, denominator)
        assert kernel.trunc0(-numerator, denominator) == -result
        exact = Fraction(numerator, denominator)
        assert abs(result) <= abs(exact) < abs(result) + 1

    def test_ties_round_to_even(self, make_terms):
        # σ_01 / σ_max = 1/2 exactly, and 65535/2 = 32767.5
        rho = ((0.0, 0.25, 0.5), (0.25, 0.0, 0.25), (0.5, 0.25, 0.0))
        encoded = encode(make_terms(3, competition=rho))
        order = encoded.positions
        assert encoded.pair_weights[order[0]][order[1]] == 32768
        assert encoded.pair_weights[order[0]][order[2]] == 65535

    @PROPERTY
    @given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
    def test_property_pair_weights_are_the_rounded_exact_ratios(self, make_terms, values):
        assume(any(values))
        a, b, c, d, e, f = values
        encoded = encode(make_terms(3, competition=((0.0, a, b), (c, 0.0, d), (e, f, 0.0)), incentive=0.0))
        pairs = {(0, 1): (a, c), (0, 2): (b, e), (1, 2): (d, f)}
        sigma = {pair: Fraction(one) + Fraction(other) for pair, (one, other) in pairs.items()}
        for (n, m), value in sigma.items():
            expected = round(65_535 * value / max(sigma.values()))
            i, j = encoded.positions[n], encoded.positions[m]
            assert encoded.pair_weights[i][j] == encoded.pair_weights[j][i] == expected

    def test_floats_count_at_their_exact_binary_value(self, make_terms):
        # 0.1 is a little more than a tenth: 0.1 · 1e18 rounds to 1e17, but 0.1 · wei shows the surplus
        encoded = encode(make_terms(2, incentive=0.1, competition=((0.0, 1.0), (1.0, 0.0)), wei_per_unit=10**20))
        assert encoded.scalars.gamma_wad == round(Fraction(0.1) * 10**38)
        assert encoded.scalars.gamma_wad != 10**37

    def test_competition_is_symmetrized(self, make_terms):
        lopsided = encode(make_terms(2, competition=((0.0, 0.5), (0.25, 0.0))))
        even = encode(make_terms(2, competition=((0.0, 0.375), (0.375, 0.0))))
        assert lopsided == even


class TestEncode:
    def test_members_are_sorted_by_address_and_positions_lead_back(self, make_terms):
        terms = make_terms(9)
        encoded = encode(terms)
        addresses = [int(member.account, 16) for member in encoded.members]
        assert addresses == sorted(addresses)
        for n, member in enumerate(terms.members):
            assert encoded.members[encoded.positions[n]].account == member.address
            assert encoded.organizations[encoded.positions[n]] == n

    def test_address_case_does_not_matter(self, make_terms):
        terms = make_terms(3)
        lower = replace(terms, members=tuple(replace(m, address=m.address.lower()) for m in terms.members))
        assert encode(lower).terms_hash == encode(terms).terms_hash

    def test_packed_layout(self, make_terms):
        encoded = encode(make_terms(3))
        member = encoded.members[1]
        record = encoded.records[68:136]
        assert record[:20].hex() == member.account[2:].lower()
        assert [int.from_bytes(record[20 + 8 * i : 28 + 8 * i], "big") for i in range(4)] == [
            member.data_cap,
            member.generated_cap,
            member.compute_cap,
            member.weight,
        ]
        assert int.from_bytes(record[52:], "big", signed=True) == member.offset
        k = encoded.pair_weights
        assert encoded.triangle == b"".join(w.to_bytes(2, "big") for w in (k[0][1], k[0][2], k[1][2]))
        assert len(encoded.blob) == 1 + 3 * 84 + 6
        assert int.from_bytes(encoded.blob[1 + 68 : 1 + 84], "big") == encoded.liabilities[0]

    def test_120_members_fit_a_contract(self, make_terms):
        assert len(encode(make_terms(120)).blob) == 24_361

    def test_terms_hash_covers_every_scalar(self, make_terms):
        encoded = encode(make_terms(2))
        hashes = {encoded.terms_hash}
        for name in encoded.scalars.__dataclass_fields__:
            value = getattr(encoded.scalars, name)
            if isinstance(value, bool):
                other = not value
            elif isinstance(value, int):
                other = value + 1
            else:
                other = b"\xff" * 32 if isinstance(value, bytes) else "0x" + "11" * 20
            hashes.add(replace(encoded, scalars=replace(encoded.scalars, **{name: other})).terms_hash)
        assert len(hashes) == 1 + len(encoded.scalars.__dataclass_fields__)

    def test_terms_hash_is_that_of_the_abi_encoding(self, make_terms):
        from eth_abi import encode as abi_encode

        encoded = encode(make_terms(2))
        types = ["bytes32"] * 3 + ["uint160", "uint128", "uint128", "address", "address", "address"]
        types += ["uint32"] * 4 + ["uint16", "uint8", "uint32", "uint128", "uint8", "bool", "uint8", "bytes32"]
        packed = (encoded.records, encoded.triangle, encoded.packed_stand_ins)
        values = [*map(keccak256, packed), *encoded.scalars.values]
        assert encoded.terms_hash == keccak256(abi_encode(types, values))

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"incentive": math.nan}, "incentive"),
            ({"incentive": math.inf}, "incentive"),
            ({"incentive": -0.1}, "incentive"),
            ({"incentive": 1e30}, "incentive"),
            ({"wei_per_unit": 0}, "wei_per_unit"),
            ({"wei_per_unit": 1.5}, "wei_per_unit"),
            ({"generated_weight": -1.0}, "generated_weight"),
            ({"generated_weight": 4e20}, "generated_weight"),
            ({"compute_weight": math.nan}, "compute_weight"),
            ({"attester": "0x12"}, "attester"),
            ({"attester": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"}, "attester"),
            ({"arbiter": None}, "arbiter"),
            ({"arbiter": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"}, "arbiter"),
            ({"token": "ether"}, "token"),
            ({"token": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"}, "token"),
            ({"submit_window": 2**32}, "submit_window"),
            ({"dispute_window": -1}, "dispute_window"),
            ({"arbiter_window": 1.0}, "arbiter_window"),
            ({"minimum_gap": 2**32}, "minimum_gap"),
            ({"quorum_bps": 2**16}, "quorum_bps"),
            ({"minimum_members": 256}, "minimum_members"),
            ({"maximum_rounds": 2**32}, "maximum_rounds"),
            ({"dispute_bond": 2**128}, "dispute_bond"),
            ({"dispute_default": "forfeit"}, "dispute_default"),
            ({"mode": "matrix"}, "mode"),
            ({"token": "0x12"}, "token"),
            ({"document_hash": b"short"}, "document_hash"),
            ({"competition": ((0.0, 0.1), (0.1, 0.0))}, "competition"),
        ],
    )
    def test_a_scalar_that_does_not_fit_is_named(self, make_terms, changes, field):
        with pytest.raises(UnencodableTerms) as caught:
            encode(make_terms(3, **changes))
        assert [problem.field for problem in caught.value.problems] == [field]

    @pytest.mark.parametrize("value", [math.nan, -0.1, 1.1, math.inf])
    def test_a_competition_out_of_range_is_named(self, make_terms, value):
        with pytest.raises(UnencodableTerms, match=r"competition\[0\]\[1\] \(o0, o1\)"):
            encode(make_terms(2, competition=((0.0, value), (0.1, 0.0))))

    def test_a_diagonal_that_is_not_zero_is_named(self, make_terms):
        with pytest.raises(UnencodableTerms, match=r"competition\[1\]\[1\].*0 on the diagonal"):
            encode(make_terms(2, competition=((0.0, 0.1), (0.1, 0.1))))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("data_cap", 2**64),
            ("data_cap", -1),
            ("generated_cap", 3.0),
            ("compute_cap", 2**64),
            ("score_weight", 2**64 / 1e9),
            ("score_weight", -1.0),
            ("score_weight", math.nan),
            ("score_offset", 2.0**127 / 1e18),
            ("score_offset", -math.inf),
            ("address", "0xabc"),
        ],
    )
    def test_a_member_field_that_does_not_fit_names_the_organization(self, make_terms, field, value):
        terms = make_terms(3)
        members = (terms.members[0], replace(terms.members[1], **{field: value}), terms.members[2])
        with pytest.raises(UnencodableTerms) as caught:
            encode(replace(terms, members=members))
        assert [problem.field for problem in caught.value.problems] == [f"members[1] (o1).{field}"]

    def test_all_problems_are_named_at_once(self, make_terms):
        with pytest.raises(UnencodableTerms) as caught:
            encode(make_terms(3, incentive=math.nan, quorum_bps=-1, attester="x"))
        assert [problem.field for problem in caught.value.problems] == ["incentive", "attester", "quorum_bps"]

    def test_two_organizations_with_one_address_are_named(self, make_terms):
        terms = make_terms(3)
        twin = replace(terms.members[2], address=terms.members[0].address.lower())
        with pytest.raises(UnencodableTerms, match=r"members\[2\] \(o2\).*members\[0\] \(o0\)"):
            encode(replace(terms, members=(*terms.members[:2], twin)))

    def test_extreme_values_that_fit_are_encoded(self, make_terms):
        terms = make_terms(2, competition=((0.0, 1.0), (1.0, 0.0)))
        member = replace(terms.members[0], data_cap=2**64 - 1, generated_cap=2**64 - 1, compute_cap=2**64 - 1)
        encoded = encode(replace(terms, members=(member, terms.members[1])))
        assert encoded.members[encoded.positions[0]].data_cap == 2**64 - 1


class TestDecode:
    def test_round_trip_through_the_codec_is_the_identity(self, golden_settlements):
        for terms, _ in golden_settlements:
            decoded = decode(encode(terms))
            members = tuple(
                replace(member, score_weight=float(weight), score_offset=float(offset))
                for member, weight, offset in zip(
                    terms.members, decoded.score_weights, decoded.score_offsets, strict=True
                )
            )
            again = encode(replace(terms, members=members))
            assert again.members == encode(terms).members

    def test_rates_are_close_to_the_floats_agreed(self, golden_settlements):
        for terms, _ in golden_settlements:
            rates = decode(encode(terms)).rates
            rho = np.array(terms.competition)
            agreed = terms.incentive * (rho + rho.T) / 2
            assert rates.shape == rho.shape
            assert rates.dtype == np.float64
            np.testing.assert_allclose(rates, agreed, rtol=0, atol=terms.incentive * rho.max() / 65_535)
            np.testing.assert_array_equal(rates, rates.T)

    def test_order_is_that_of_the_terms_file(self, make_terms):
        terms = make_terms(6)
        decoded = decode(encode(terms))
        assert decoded.score_weights.tolist() == [member.score_weight for member in terms.members]
        assert decoded.score_offsets.tolist() == [member.score_offset for member in terms.members]
        assert (decoded.generated_weight, decoded.compute_weight) == (0.75, 1.5)
        assert decoded.terms_hash == encode(terms).terms_hash

    def test_the_game_on_the_decoded_floats_is_the_kernel(self, golden_settlements):
        for terms, expected in golden_settlements:
            encoded = encode(terms)
            decoded = decode(encoded)
            parts = np.array(expected["contributions"], dtype=float)
            scores = decoded.score_offsets + decoded.score_weights * (
                parts[:, 0] + decoded.generated_weight * parts[:, 1] + decoded.compute_weight * parts[:, 2]
            )
            transfers = (decoded.rates * (scores[:, None] - scores[None, :])).sum(axis=1) * decoded.wei_per_unit
            wei = np.array(predict(encoded, expected["contributions"]), dtype=float)
            np.testing.assert_allclose(transfers, wei, rtol=1e-12, atol=1e-12 * np.abs(wei).max() + len(wei))

    def test_nobody_competes(self, make_terms):
        encoded = encode(make_terms(3, competition=((0.0,) * 3,) * 3))
        check_terms(encoded)
        assert encoded.scalars.gamma_wad == 0
        assert encoded.liabilities == (0, 0, 0)
        assert predict(encoded, [(100, 50, 7), (1, 1, 1), None]) == (0, 0, 0)
        assert not decode(encoded).rates.any()


class TestKernel:
    @PROPERTY
    @given(markets())
    def test_property_payoffs_sum_to_zero(self, market):
        k, gamma, weights, offsets, _, reports = market
        assert sum(kernel.payoffs(k, gamma, scores_of(reports, weights, offsets))) == 0

    @PROPERTY
    @given(markets())
    def test_property_payoffs_are_within_n_minus_1_wei_of_the_exact_rational(self, market):
        k, gamma, weights, offsets, _, reports = market
        scores = scores_of(reports, weights, offsets)
        present = [(i, x) for i, x in enumerate(scores) if x is not None]
        exact = [
            Fraction(0)
            if own is None
            else Fraction(gamma, 65535 * 10**36) * sum(k[i][j] * (own - x) for j, x in present)
            for i, own in enumerate(scores)
        ]
        assert sum(exact) == 0
        for payoff, value in zip(kernel.payoffs(k, gamma, scores), exact, strict=True):
            assert abs(payoff - value) < len(scores) - 1

    @PROPERTY
    @given(markets())
    def test_property_nobody_pays_more_than_its_liability(self, market):
        k, gamma, weights, offsets, caps, reports = market
        bonds = kernel.liabilities(k, gamma, offsets, scores_of(caps, weights, offsets))
        payoffs = kernel.payoffs(k, gamma, scores_of(reports, weights, offsets))
        for bond, payoff in zip(bonds, payoffs, strict=True):
            assert payoff >= -bond

    @PROPERTY
    @given(markets(), st.data())
    def test_property_the_liability_is_tight_without_offsets(self, market, data):
        k, gamma, weights, _, caps, _ = market
        offsets = [0] * len(caps)
        victim = data.draw(st.integers(0, len(caps) - 1))
        worst = [0 if i == victim else cap for i, cap in enumerate(caps)]
        payoffs = kernel.payoffs(k, gamma, scores_of(worst, weights, offsets))
        bonds = kernel.liabilities(k, gamma, offsets, scores_of(caps, weights, offsets))
        assert payoffs[victim] == -bonds[victim]

    @PROPERTY
    @given(markets(), st.randoms(use_true_random=False))
    def test_property_permuting_members_permutes_payoffs_and_liabilities(self, market, random):
        k, gamma, weights, offsets, caps, reports = market
        order = list(range(len(caps)))
        random.shuffle(order)
        scores, best = scores_of(reports, weights, offsets), scores_of(caps, weights, offsets)
        shuffled = [[k[i][j] for j in order] for i in order]
        payoffs = kernel.payoffs(k, gamma, scores)
        bonds = kernel.liabilities(k, gamma, offsets, best)
        assert kernel.payoffs(shuffled, gamma, [scores[i] for i in order]) == tuple(payoffs[i] for i in order)
        assert kernel.liabilities(shuffled, gamma, [offsets[i] for i in order], [best[i] for i in order]) == tuple(
            bonds[i] for i in order
        )

    @PROPERTY
    @given(markets(), st.data())
    def test_property_a_member_is_never_worse_off_for_contributing_more(self, market, data):
        k, gamma, weights, offsets, caps, reports = market
        present = [i for i, parts in enumerate(reports) if parts is not None]
        assume(present)
        who = data.draw(st.sampled_from(present))
        more = list(reports)
        more[who] = data.draw(st.integers(reports[who], caps[who]))
        before = kernel.payoffs(k, gamma, scores_of(reports, weights, offsets))
        after = kernel.payoffs(k, gamma, scores_of(more, weights, offsets))
        assert after[who] >= before[who]

    def test_masked_members_neither_pay_nor_count(self):
        k = [[0, 9, 8], [9, 0, 7], [8, 7, 0]]
        gamma = 10**40
        assert kernel.payoffs(k, gamma, [5, None, 3])[1] == 0
        assert kernel.payoffs(k, gamma, [5, None, 3])[0] == kernel.payoffs([[0, 8], [8, 0]], gamma, [5, 3])[0]
        assert kernel.payoffs(k, gamma, [None, 4, None]) == (0, 0, 0)
        assert kernel.payoffs(k, gamma, [None, None, None]) == (0, 0, 0)

    def test_equal_scores_move_nothing(self):
        assert kernel.payoffs([[0, 65_535], [65_535, 0]], 10**40, [4, 4]) == (0, 0)

    def test_the_largest_uint64_counts_in_full(self):
        # uint64 arithmetic would wrap: (2^64 - 1) · 1e18 needs 124 bits
        assert kernel.sum_of_parts(2**64 - 1, 0, 0, 0, 0) == (2**64 - 1) * 10**18

    def test_a_liability_ignores_those_who_can_only_pay(self):
        # member 1 cannot reach the offset of member 0, and masking it takes the credit away
        assert kernel.liabilities([[0, 65_535], [65_535, 0]], 10**36, [10, 0], [20, 5]) == (0, 20)
        assert kernel.liabilities([[0, 65_535], [65_535, 0]], 10**36, [10, 0], [20, 11]) == (1, 20)


class TestCheckTerms:
    """The contract's constructor in Python: each refusal, and the values just inside."""

    def with_scalars(self, encoded: EncodedTerms, **changes: object) -> EncodedTerms:
        return replace(encoded, scalars=replace(encoded.scalars, **changes))

    @pytest.mark.parametrize("count", [0, 1, 121])
    def test_member_count_out_of_range(self, make_terms, count):
        encoded = encode(make_terms(count, competition=((0.0,) * count,) * count))
        with pytest.raises(MemberCountOutOfRange) as caught:
            check_terms(encoded)
        assert caught.value.values == (count, 2, 120)

    @pytest.mark.parametrize("count", [2, 120])
    def test_smallest_and_largest_consortium_pass(self, make_terms, count):
        check_terms(encode(make_terms(count)))

    def test_members_not_sorted(self, make_terms):
        encoded = encode(make_terms(3))
        a, b, c = encoded.members
        for members, index in (((a, c, b), 2), ((b, a, c), 1), ((a, a, c), 1)):
            with pytest.raises(MembersNotSorted) as caught:
                check_terms(replace(encoded, members=members))
            assert caught.value.values == (index,)

    def test_a_zero_address_is_not_sorted(self, make_terms):
        encoded = encode(make_terms(2))
        nobody = replace(encoded.members[0], account="0x" + "00" * 20)
        with pytest.raises(MembersNotSorted) as caught:
            check_terms(replace(encoded, members=(nobody, encoded.members[1])))
        assert caught.value.index == 0

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("attester", "0x" + "00" * 20, ("attester", 0, 1, 2**160 - 1)),
            ("arbiter", "0x" + "00" * 20, ("arbiter", 0, 1, 2**160 - 1)),
            ("submit_window", 0, ("submitWindow", 0, 1, 31_536_000)),
            ("dispute_window", 31_536_001, ("disputeWindow", 31_536_001, 1, 31_536_000)),
            ("arbiter_window", 0, ("arbiterWindow", 0, 1, 31_536_000)),
            ("min_gap", 0, ("minGap", 0, 1, 31_536_000)),
            ("quorum", 0, ("quorum", 0, 1, 10_000)),
            ("quorum", 10_001, ("quorum", 10_001, 1, 10_000)),
            ("min_members", 1, ("minMembers", 1, 2, 4)),
            ("min_members", 5, ("minMembers", 5, 2, 4)),
            ("max_rounds", 0, ("maxRounds", 0, 1, 2**32 - 1)),
            ("dispute_default", 2, ("disputeDefault", 2, 0, 1)),
            ("mode", 2, ("mode", 2, 0, 0)),
            ("document_hash", bytes(32), ("documentHash", 0, 1, 2**256 - 1)),
        ],
    )
    def test_scalar_out_of_range(self, make_terms, field, value, error):
        with pytest.raises(TermOutOfRange) as caught:
            check_terms(self.with_scalars(encode(make_terms(4)), **{field: value}))
        assert caught.value.values == error

    @pytest.mark.parametrize("field", ["submit_window", "dispute_window", "arbiter_window", "min_gap"])
    def test_windows_last_an_hour_unless_for_tests(self, make_terms, field):
        hours = dict.fromkeys(("submit_window", "dispute_window", "arbiter_window", "min_gap"), 3600)
        earnest = self.with_scalars(encode(make_terms(4)), test=False, **hours)
        check_terms(earnest)
        with pytest.raises(TermOutOfRange) as caught:
            check_terms(self.with_scalars(earnest, **{field: 3_599}))
        assert caught.value.values[1:] == (3_599, 3_600, 31_536_000)

    def test_whether_there_is_a_token_only_the_chain_knows(self, make_terms):
        check_terms(self.with_scalars(encode(make_terms(4)), token="0x" + "11" * 20))

    def test_score_bound(self, make_terms):
        encoded = encode(make_terms(2, competition=((0.0, 0.0), (0.0, 0.0))))
        first, second = encoded.members
        at_most = replace(first, data_cap=0, generated_cap=0, compute_cap=0, offset=2**127 - 1)
        check_terms(replace(encoded, members=(at_most, second)))
        for broken in (
            replace(at_most, data_cap=1, weight=1),
            replace(first, offset=-(2**127)),
            replace(first, data_cap=2**64 - 1, weight=2**64 - 1),
        ):
            with pytest.raises(ArithmeticBound) as caught:
                check_terms(replace(encoded, members=(broken, second)))
            assert caught.value.values == ("score",)
        check_terms(replace(encoded, members=(replace(first, offset=-(2**127) + 1), second)))

    def test_spread_bound(self, make_terms):
        encoded = encode(make_terms(2))
        silent = [
            replace(m, data_cap=0, generated_cap=0, compute_cap=0, weight=0, offset=o)
            for m, o in zip(encoded.members, (-(2**99), 2**99), strict=True)
        ]
        weightless = replace(encoded, members=tuple(silent), pair_weights=((0, 0), (0, 0)))
        check_terms(self.with_scalars(weightless, gamma_wad=2**139 - 1))
        with pytest.raises(ArithmeticBound) as caught:
            check_terms(self.with_scalars(weightless, gamma_wad=2**139))
        assert caught.value.values == ("spread",)

    def test_liabilities_bound(self, make_terms):
        # 16 members who can all be 2^20 samples apart, with the largest weights: 240 terms of gammaWad · 2^20 / 1e18
        count = 16
        encoded = encode(make_terms(count))
        members = tuple(
            replace(m, data_cap=2**20, generated_cap=0, compute_cap=0, weight=10**9, offset=0) for m in encoded.members
        )
        k = tuple(tuple(0 if i == j else 65_535 for j in range(count)) for i in range(count))
        at_most = (2**127 - 1) // (count * (count - 1))

        def terms_with(term: int) -> EncodedTerms:
            gamma = -(-term * 10**18 // 2**20)
            return self.with_scalars(replace(encoded, members=members, pair_weights=k), gamma_wad=gamma)

        check_terms(terms_with(at_most))
        assert terms_with(at_most).liabilities == (at_most * (count - 1),) * count
        with pytest.raises(ArithmeticBound) as caught:
            check_terms(terms_with(at_most + 1))
        assert caught.value.values == ("liabilities",)


def test_words_hold_negative_integers_in_twos_complement():
    assert words(-1, True, b"\x02" * 32) == b"\xff" * 32 + bytes(31) + b"\x01" + b"\x02" * 32


@pytest.mark.parametrize("value", [2**256, -(2**255) - 1, b"short", "0x12"])
def test_a_value_that_is_no_word_is_refused(value):
    with pytest.raises(ValueError, match=r"256 bits|32 bytes|not an address"):
        words(value)


class TestVectorMode:
    """The attester signs the transfers: no scores, no pairs, but an agreed largest debit for every member."""

    @pytest.fixture
    def terms(self, make_terms):
        terms = make_terms(4, mode="vector")
        members = tuple(replace(member, max_debit=100 + 7 * n) for n, member in enumerate(terms.members))
        return replace(terms, members=members)

    def test_debits_stand_in_the_place_of_offsets_and_nothing_is_pairwise(self, terms):
        encoded = encode(terms)
        check_terms(encoded)
        assert encoded.triangle == b""
        assert encoded.scalars.gamma_wad == 0
        assert encoded.liabilities == tuple(100 + 7 * n for n in encoded.organizations)
        for organization, position in enumerate(encoded.positions):
            record = encoded.records[68 * position : 68 * position + 68]
            assert record[44:52] == bytes(8)
            assert int.from_bytes(record[52:68], "big") == 100 + 7 * organization
        assert len(encoded.blob) == 1 + 4 * 84

    def test_only_debits_and_caps_reach_the_hash(self, terms):
        members = tuple(replace(member, score_weight=3.0, score_offset=1.0) for member in terms.members)
        other = replace(terms, members=members, incentive=9.0, competition=((0.0,) * 4,) * 4)
        assert encode(other).terms_hash == encode(terms).terms_hash
        richer = replace(terms, members=(replace(terms.members[0], max_debit=101), *terms.members[1:]))
        assert encode(richer).terms_hash != encode(terms).terms_hash

    def test_decoded_terms_hold_bonds_and_no_game(self, terms):
        decoded = decode(encode(terms))
        assert decoded.liabilities == (100, 107, 114, 121)
        assert not decoded.rates.any()
        assert not decoded.score_weights.any()
        assert not decoded.score_offsets.any()

    def test_transfers_do_not_follow_from_contributions(self, terms):
        for call in (predict, lambda encoded, parts: encoded.payoffs(parts)):
            with pytest.raises(WrongMode) as caught:
                call(encode(terms), [(1, 1, 1)] * 4)
            assert caught.value.values == (1, 0)

    @pytest.mark.parametrize("debit", [-1, 2**127, 1.5])
    def test_debit_that_fits_no_bond_is_named(self, terms, debit):
        members = (replace(terms.members[0], max_debit=debit), *terms.members[1:])
        with pytest.raises(UnencodableTerms) as caught:
            encode(replace(terms, members=members))
        assert [problem.field for problem in caught.value.problems] == ["members[0] (o0).max_debit"]

    def test_debit_means_nothing_in_pairwise_mode(self, make_terms):
        terms = make_terms(4)
        members = (replace(terms.members[0], max_debit=1), *terms.members[1:])
        with pytest.raises(UnencodableTerms, match="pairwise"):
            encode(replace(terms, members=members))

    @pytest.mark.parametrize(
        ("change", "values"),
        [
            (lambda t: replace(t, scalars=replace(t.scalars, gamma_wad=1)), ("gammaWad", 1, 0, 0)),
            (lambda t: first(t, weight=5), ("weight", 5, 0, 0)),
            (lambda t: first(t, offset=-1), ("maxDebit", 2**256 - 1, 0, 2**127 - 1)),
        ],
    )
    def test_what_the_constructor_refuses(self, terms, change, values):
        with pytest.raises(TermOutOfRange) as caught:
            check_terms(change(encode(terms)))
        assert caught.value.values == values

    def test_debits_together_stay_below_2_127(self, terms):
        encoded = encode(terms)
        rest = sum(encoded.liabilities[1:])
        check_terms(first(encoded, offset=2**127 - 1 - rest))
        with pytest.raises(ArithmeticBound) as caught:
            check_terms(first(encoded, offset=2**127 - rest))
        assert caught.value.values == ("liabilities",)


def first(encoded, **changes):
    """Encoded terms whose first member is changed."""
    return replace(encoded, members=(replace(encoded.members[0], **changes), *encoded.members[1:]))


def test_values_change_between_the_orders_of_terms_file_and_contract(make_terms):
    encoded = encode(make_terms(4))
    ordered = encoded.in_contract_order([10, 11, 12, 13])
    assert [ordered[position] for position in encoded.positions] == [10, 11, 12, 13]
    assert ordered != (10, 11, 12, 13), "the test needs members out of order"
    with pytest.raises(ArgumentOutOfRange):
        encoded.in_contract_order([1, 2, 3])


@pytest.mark.parametrize(
    ("token", "mode", "name"),
    [
        ("0x" + "00" * 20, 0, "ConsortiumNative"),
        ("0x" + "00" * 20, 1, "VectorConsortiumNative"),
        ("0x" + "00" * 19 + "01", 0, "ConsortiumERC20"),
        ("0x" + "ab" * 20, 1, "VectorConsortiumERC20"),
    ],
)
def test_asset_and_mode_choose_the_contract(token, mode, name):
    assert contract_name(token, mode) == name
    assert name in CONTRACTS
