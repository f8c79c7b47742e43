"""The Gaussian mechanism on updates: what leaves the organization, what it costs, what is still checked."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy import stats

from cocogen.errors import ConfigurationError
from cocogen.evidence.member import Assignment
from cocogen.evidence.privacy import UpdatePrivacy, noise_stream, privacy_report, spent_epsilon
from cocogen.learning.models.states import ModelState
from cocogen.terms.sections import Privacy

SALT, TERMS = b"s" * 32, bytes(range(32))
PRIVACY = UpdatePrivacy(clip=0.5, noise_multiplier=0.1, delta=1e-5)


def state(values) -> ModelState:
    return ModelState({"w": np.asarray(values, dtype=np.float32)})


# The mechanism


def test_long_updates_are_clipped_and_short_ones_are_not() -> None:
    quiet = UpdatePrivacy(clip=2.0, noise_multiplier=1e-9, delta=1e-5)
    base, rng = state([1.0, 1.0]), np.random.default_rng(1)
    np.testing.assert_allclose(quiet.protect(state([7.0, 9.0]), base, rng)["w"], [2.2, 2.6], rtol=1e-5)
    np.testing.assert_allclose(quiet.protect(state([1.0, 2.0]), base, rng)["w"], [1.0, 2.0], rtol=1e-5)


def test_the_noise_is_gaussian_of_the_agreed_size_around_the_clipped_update() -> None:
    base = state(np.zeros(40_000))
    moved = PRIVACY.protect(state(np.full(40_000, 3.0)), base, np.random.default_rng(2))["w"].astype(np.float64)
    noise = (moved - 0.5 / math.sqrt(40_000)) / PRIVACY.deviation
    assert PRIVACY.deviation == pytest.approx(0.05)
    assert stats.kstest(noise, "norm").pvalue > 0.01


def test_the_norm_of_honest_updates_is_as_expected_and_within_reach() -> None:
    base, rng = state(np.zeros(500)), np.random.default_rng(3)
    update = state(rng.normal(size=500))
    norms = [PRIVACY.protect(update, base, rng).distance(base) for _ in range(300)]
    assert np.sqrt(np.mean(np.square(norms))) == pytest.approx(PRIVACY.expected_norm(10.0, 500), rel=0.02)
    assert max(norms) < PRIVACY.reach(500) < 2 * PRIVACY.expected_norm(10.0, 500)


def test_noise_follows_from_the_secret_and_all_that_the_update_follows_from() -> None:
    def draw(**changes) -> float:
        said = {"salt": SALT, "terms_hash": TERMS, "round_number": 1, "base": "ab" * 32, "data": 60, "raw": 0}
        return float(noise_stream(**said | changes).random())

    changes = [{"salt": b"t" * 32}, {"terms_hash": bytes(32)}, {"round_number": 2}, {"base": "ac" * 32}, {"data": 0}]
    changes += [{"raw": 60, "data": 0}]
    assert draw() == draw()
    assert len({draw(), *(draw(**change) for change in changes)}) == 7


def test_two_orders_of_a_round_do_not_share_noise(private, signer) -> None:
    first, again, other = (
        private.task.train(1, private.shared, [order, None, None, None], TERMS, signer)[0].classifier
        for order in (Assignment(60, 0), Assignment(60, 0), Assignment(0, 0))
    )
    assert first.digest() == again.digest()
    # The difference of two clipped updates is at most 2C; with noise of its own each it is far longer.
    noise = private.task.agreed.privacy.deviation * np.sqrt(2 * sum(array.size for array in first.values()))
    assert first.distance(other) == pytest.approx(noise, rel=0.2)


# What leaves, and what the attester can still tell


@pytest.fixture(scope="module")
def private(scene, build, signer):
    """The round of the scene under differential privacy."""
    task = build(privacy=Privacy(clip=0.5, noise_multiplier=0.05))
    assignments = [Assignment(int(local), 24) for local in task.registered]
    return replace(scene, task=task, bundles=list(task.train(1, scene.shared, assignments, TERMS, signer)))


@pytest.fixture
def mechanism(private) -> UpdatePrivacy:
    return private.task.agreed.privacy


def size(model: ModelState) -> int:
    return sum(array.size for array in model.values())


def test_protected_updates_leave_and_the_log_tells_counts_only(private, scene, mechanism) -> None:
    for bundle, plain in zip(private.bundles, scene.bundles, strict=True):
        log, base = bundle.manifest.training, scene.shared.classifier
        assert bundle.classifier.digest() != plain.classifier.digest()
        assert bundle.classifier.distance(base) == pytest.approx(
            mechanism.expected_norm(plain.classifier.distance(base), size(base)), rel=0.1
        )
        assert not any(log.losses)
        assert not any(log.gradient_norms)
        assert (log.real, log.synthetic, log.epoch_steps) == (
            plain.manifest.training.real,
            plain.manifest.training.synthetic,
            plain.manifest.training.epoch_steps,
        )
        assert bundle.generator.digest() == plain.generator.digest()


def test_honest_protected_updates_are_accepted(private) -> None:
    evidence = private.attest()
    assert not evidence.rejected
    assert all(measurement.update_ratio < 2 for measurement in evidence.measurements)


def test_training_again_draws_the_same_noise(private, scene, signer) -> None:
    assignments = [None, Assignment(int(private.task.registered[1]), 24), None, None]
    again = private.task.train(1, scene.shared, assignments, TERMS, signer)[1]
    assert again.classifier.distance(private.bundles[1].classifier) < 1e-4


def test_an_update_beyond_clip_and_noise_is_rejected(private, scene, forge) -> None:
    base, own = scene.shared.classifier, private.bundles[1].classifier
    far = ModelState({name: base[name] + np.float32(3.0) * (own[name] - base[name]) for name in own})
    bundles = [*private.bundles]
    bundles[1] = forge(bundles[1], classifier=far, base=scene.shared)
    evidence = private.attest(bundles)
    assert set(evidence.rejected) == {"harbor"}
    assert "clipped to 0.5 with the agreed noise moves at most" in evidence.rejected["harbor"]


@pytest.mark.parametrize("column", ["losses", "gradient_norms"])
def test_a_log_that_tells_more_than_agreed_is_rejected(private, scene, forge, column: str) -> None:
    bundles = [*private.bundles]
    open_log = getattr(scene.bundles[1].manifest.training, column)
    bundles[1] = forge(bundles[1], log={column: open_log})
    assert "which the privacy of the terms withholds" in private.attest(bundles).rejected["harbor"]


def test_withheld_logs_are_rejected_where_no_privacy_is_agreed(scene, private) -> None:
    assert all("logged gradients carry at most" in reason for reason in scene.attest(private.bundles).rejected.values())


# What it costs


def spent(multiplier: float, rounds: int, delta: float, *, replacement: bool = False) -> float:
    agreed = replace(PRIVACY, noise_multiplier=multiplier, delta=delta)
    return spent_epsilon(agreed, rounds, replacement=replacement)


def test_epsilon_is_that_of_the_exact_gaussian_curve() -> None:
    """An accountant of Rényi divergences says 4.729."""
    assert spent(10.0, 100, 1e-5) == pytest.approx(4.377178, abs=1e-6)


MULTIPLIERS = (1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e3)
DELTAS = (1e-300, 1e-30, 1e-12, 1e-5, 1e-2, 0.5, 0.999)


def exact_delta(epsilon: mpmath.mpf, mu: mpmath.mpf) -> mpmath.mpf:
    """δ(ε) of Balle and Wang (2018), Theorem 8, in 60 digits."""
    return mpmath.ncdf(mu / 2 - epsilon / mu) - mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_epsilon_is_exact_over_all_that_the_terms_allow(multiplier: float, delta: float) -> None:
    """To 12 digits: δ(ε) crosses the agreed δ within them, or a δ as large is had for nothing."""
    with mpmath.workdps(60):
        for rounds in (1, 7, 100, 10_000):
            for replacement in (False, True):
                epsilon = mpmath.mpf(spent(multiplier, rounds, delta, replacement=replacement))
                mu = mpmath.sqrt(rounds) / mpmath.mpf(multiplier) * (2 if replacement else 1)
                wanted, slack = mpmath.mpf(delta), mpmath.mpf("1e-12") * epsilon + mpmath.mpf("1e-15")
                assert epsilon >= 0
                assert exact_delta(epsilon + slack, mu) <= wanted
                assert epsilon == 0 or exact_delta(epsilon - slack, mu) >= wanted


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_dp_accounting_says_the_same(multiplier: float) -> None:
    """Its own closed form loses digits where ε is large: what it says is compared as δ."""
    from dp_accounting import get_epsilon_gaussian

    for rounds in (1, 7, 100, 10_000):
        for delta in DELTAS:
            theirs = get_epsilon_gaussian(multiplier / math.sqrt(rounds), delta)
            assert spent(multiplier, rounds, delta) == pytest.approx(theirs, rel=1e-6, abs=1e-9)
            assert spent(multiplier, rounds, delta, replacement=True) == pytest.approx(
                get_epsilon_gaussian(multiplier / 2 / math.sqrt(rounds), delta), rel=1e-6, abs=1e-9
            )


@pytest.mark.parametrize(("multiplier", "rounds"), [(0.5, 1), (1.0, 5), (5.0, 50), (10.0, 100), (30.0, 400)])
def test_composed_privacy_loss_distributions_come_to_the_same(multiplier: float, rounds: int) -> None:
    """dp-accounting convolves the rounds one with another, which the closed form does not; it rounds ε up."""
    from dp_accounting.pld import privacy_loss_distribution

    loss = privacy_loss_distribution.from_gaussian_mechanism(multiplier, value_discretization_interval=1e-3)
    composed = loss.self_compose(rounds).get_epsilon_for_delta(1e-5)
    assert 0 <= composed - spent(multiplier, rounds, 1e-5) < 1e-3 * rounds**0.5 + 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("multiplier", "rounds"), [(1.0, 5), (5.0, 50), (10.0, 100), (30.0, 400)])
def test_opacus_numerical_accountant_comes_to_the_same(multiplier: float, rounds: int) -> None:
    """Privacy loss random variables (Gopi et al., 2021): an upper bound within its stated error."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(multiplier, 1.0, rounds)]
    assert 0 <= accountant.get_epsilon(delta=1e-5, eps_error=0.01) - spent(multiplier, rounds, 1e-5) <= 0.03


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
@pytest.mark.parametrize("rounds", [1, 50, 10_000])
def test_no_renyi_accountant_says_less(multiplier: float, rounds: int) -> None:
    """Its bound is valid and loose; every real order is exact without subsampling."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(multiplier, 1.0, rounds)]
    bound = accountant.get_epsilon(delta=1e-5, alphas=(1.0 + np.geomspace(1e-6, 1e6, 1201)).tolist())
    assert 0 < spent(multiplier, rounds, 1e-5) <= bound


def test_a_delta_that_every_update_keeps_costs_nothing() -> None:
    assert spent(1e3, 1, 0.01) == 0.0
    assert spent(1e3, 1, 1e-4) > 0.0


@pytest.mark.parametrize("change", [{"delta": 0.0}, {"delta": 1.0}, {"delta": math.nan}, {"noise_multiplier": 0.0}])
def test_what_has_no_epsilon_is_refused(change) -> None:
    with pytest.raises(ConfigurationError, match="has no ε"):
        spent_epsilon(replace(PRIVACY, **change), 1)


def test_replacement_costs_what_half_the_noise_does() -> None:
    half = replace(PRIVACY, noise_multiplier=PRIVACY.noise_multiplier / 2)
    assert spent_epsilon(PRIVACY, 3, replacement=True) == spent_epsilon(half, 3)


def test_the_report_gives_each_round_and_each_organization() -> None:
    report = privacy_report(PRIVACY, {"north": 5, "harbor": 2, "meadow": 0})
    assert report["epsilon"] == {
        "north": spent_epsilon(PRIVACY, 5),
        "harbor": spent_epsilon(PRIVACY, 2),
        "meadow": 0.0,
    }
    assert report["epsilon_round"] == spent_epsilon(PRIVACY, 1)
    assert report["epsilon_round"] < report["epsilon"]["harbor"] < report["epsilon_replacement"]["harbor"]
    assert (report["clip"], report["noise_multiplier"], report["delta"]) == (0.5, 0.1, 1e-5)


def test_nothing_is_spent_in_no_round() -> None:
    assert spent_epsilon(PRIVACY, 0) == 0.0
    with pytest.raises(ConfigurationError, match="-1 rounds"):
        spent_epsilon(PRIVACY, -1)
