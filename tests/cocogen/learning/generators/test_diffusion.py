from __future__ import annotations

import importlib
import socket

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cocogen.errors import ConfigurationError, LearningError
from cocogen.evidence.local import Agreed, Assignment, Local
from cocogen.learning.generators.diffusion import BOUND, SAMPLING_STEPS, ConditionalDiffusion
from cocogen.learning.models.states import ModelState, average
from cocogen.learning.training.local import LocalWork, Schedule, train_looped, train_stacked
from cocogen.ledger import Member
from cocogen.terms.sections import Generation, Learning, Partition

SCHEDULE = Schedule(epochs=1, batch_size=16, learning_rate=0.003, optimizer="adam")
SHAPE = (1, 8, 8)
MISSING = "SKIPPED, NOT TESTED: diffusers is not installed (pip install 'cocogen[diffusion]')"


@pytest.fixture
def diffusers():
    return pytest.importorskip("diffusers", reason=MISSING)


def build(shape: tuple[int, ...] = SHAPE, *, hidden: int = 16, schedule: Schedule = SCHEDULE) -> ConditionalDiffusion:
    return ConditionalDiffusion(shape=shape, classes=2, hidden=hidden, schedule=schedule)


def pictures(counts: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright left halves (0) and bright upper halves (1), of uneven brightness, 8 × 8 pixels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    images = np.full((len(labels), 8, 8), -0.9)
    images[labels == 0, :, :4] = 0.9
    images[labels == 1, :4, :] = 0.9
    images = images * rng.uniform(0.8, 1.2, (len(labels), 1, 1)) + 0.1 * rng.standard_normal(images.shape)
    return images.reshape(len(labels), -1).astype(np.float32), labels.astype(np.int64)


def noise(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32))


def tensors(state: ModelState) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in state.items()}


@pytest.fixture(scope="module")
def trained():
    """By two organizations whose classes are unevenly mixed."""
    pytest.importorskip("diffusers", reason=MISSING)
    generator = build(schedule=Schedule(epochs=4, batch_size=32, learning_rate=0.01, optimizer="adam"))
    state = generator.initial_state(np.random.default_rng(0))
    owned = [pictures((24, 8), 1), pictures((8, 24), 2)]
    for number in range(8):
        works = [LocalWork(state, x, y, np.random.default_rng([number, n])) for n, (x, y) in enumerate(owned)]
        state = average(generator.fit(works), [32, 32])
    return generator, state


def test_a_classifier_of_its_samples_tells_the_real_classes_apart(trained) -> None:
    generator, state = trained
    labels = np.repeat([0, 1], 40)
    drawn = generator.sample(state, labels, np.random.default_rng(5))
    assert drawn.shape == (80, 64)
    assert drawn.dtype == np.float32
    real, wanted = pictures((100, 100), 9)
    assert LogisticRegression().fit(drawn, labels).score(real, wanted) > 0.97
    for label in (0, 1):
        own, other = (real[wanted == c].mean(axis=0) for c in (label, 1 - label))
        mean = drawn[labels == label].mean(axis=0)
        assert np.abs(mean - own).mean() < 0.5 * np.abs(mean - other).mean()


def test_equal_arguments_give_equal_samples_and_the_noise_decides(trained) -> None:
    generator, state = trained
    labels = np.array([0, 1, 1])
    first, second, other = (generator.sample(state, labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert np.abs(first - other).max() > 0.05
    assert np.abs(first[1] - first[2]).max() > 0.05


def test_many_samples_are_those_that_parts_of_the_noise_give(trained, monkeypatch) -> None:
    generator, state = trained
    labels = np.array([0, 1, 0, 1, 1])
    at_once = generator.sample(state, labels, np.random.default_rng(1))
    monkeypatch.setattr("cocogen.learning.generators.diffusion._AT_ONCE", 2)
    assert np.allclose(generator.sample(state, labels, np.random.default_rng(1)), at_once, rtol=1e-3, atol=1e-3)


def test_no_labels_give_no_samples(trained) -> None:
    generator, state = trained
    drawn = generator.sample(state, np.zeros(0, dtype=np.int64), np.random.default_rng(0))
    assert (drawn.shape, drawn.dtype) == ((0, 64), np.float32)


def test_the_network_is_asked_once_for_each_of_the_few_steps(trained, monkeypatch) -> None:
    generator, state = trained
    asked: list[int] = []
    forward = generator.network.forward
    monkeypatch.setattr(generator.network, "forward", lambda x, t, y: asked.append(int(t[0])) or forward(x, t, y))
    generator.sample(state, np.array([0, 1]), np.random.default_rng(0))
    assert len(asked) == SAMPLING_STEPS
    assert asked[0] == 999, "the first step is pure noise"
    assert asked == sorted(asked, reverse=True)


@pytest.mark.parametrize("scale", [100.0, 1e30])
def test_whatever_the_parameters_samples_are_finite_and_within_the_bound(diffusers, scale: float) -> None:
    generator = build()
    start = generator.initial_state(np.random.default_rng(0))
    wild = np.random.default_rng(1)
    state = ModelState({name: scale * wild.standard_normal(a.shape).astype(np.float32) for name, a in start.items()})
    drawn = generator.sample(state, np.array([0, 1, 0]), np.random.default_rng(1))
    assert np.isfinite(drawn).all()
    assert np.abs(drawn).max() <= BOUND


def test_outliers_and_a_single_sample_leave_the_generator_finite(diffusers) -> None:
    generator = build()
    state = generator.initial_state(np.random.default_rng(0))
    features = np.full((1, 64), 1e4, dtype=np.float32)
    own = generator.fit([LocalWork(state, features, np.array([1]), np.random.default_rng(0))])[0]
    assert own.is_finite()
    bounded = np.full((1, 64), BOUND, dtype=np.float32)
    same = generator.fit([LocalWork(state, bounded, np.array([1]), np.random.default_rng(0))])[0]
    assert own.digest() == same.digest()


@pytest.mark.parametrize(
    ("shape", "padded"), [((1, 8, 8), (8, 8)), ((1, 9, 11), (10, 12)), ((1, 28, 28), (28, 28)), ((3, 32, 32), (32, 32)),
                          ((2, 17, 30), (20, 32))]
)  # fmt: skip
def test_every_image_is_fitted_and_drawn_at_its_size(diffusers, shape, padded, monkeypatch) -> None:
    generator = build(shape)
    width = int(np.prod(shape))
    assert generator.noise_width == width + 1
    seen: set[tuple[int, ...]] = set()
    inner = generator.network.unet.forward

    def watched(images, *arguments, **named):
        seen.add(tuple(images.shape[1:]))
        return inner(images, *arguments, **named)

    monkeypatch.setattr(generator.network.unet, "forward", watched)
    start = generator.initial_state(np.random.default_rng(0))
    features = np.random.default_rng(1).standard_normal((4, width)).astype(np.float32)
    fitted = generator.fit([LocalWork(start, features, np.arange(4) % 2, np.random.default_rng(2))])[0]
    assert fitted.layout == start.layout
    assert generator.movement(start, fitted) == pytest.approx(start.distance(fitted)) != 0
    monkeypatch.setattr("torch.Tensor.nan_to_num", lambda self, _: self)
    drawn = generator.sample(fitted, np.array([1, 0]), np.random.default_rng(3))
    assert drawn.shape == (2, width)
    assert np.isfinite(drawn).all()
    assert seen == {(shape[0], *padded)}


def test_an_untrained_generator_predicts_no_velocity(diffusers) -> None:
    """So that the first loss is the mean square of √ᾱ ε − √(1 − ᾱ) x: here x = 0, and ᾱ is known at either end."""
    generator = build()
    parameters = tensors(generator.initial_state(np.random.default_rng(0)))
    draws = noise(2, 65)
    draws[:, -1] = torch.tensor([-9.0, 9.0])  # the first step and the last
    losses = generator.losses(parameters, torch.zeros(2, 64), torch.zeros(2, dtype=torch.int64), draws)
    assert losses.shape == (2,)
    assert losses[0] == pytest.approx(float(draws[0, :-1].square().mean()), rel=1e-3)
    assert losses[1] == pytest.approx(0.0, abs=1e-6)


def test_organizations_together_train_as_each_does_alone(diffusers) -> None:
    generator = build()
    state = generator.initial_state(np.random.default_rng(0))
    owned = [pictures((18, 4), 1), pictures((3, 9), 2), pictures((20, 0), 3)]

    def works() -> list[LocalWork]:
        return [LocalWork(state, *own, np.random.default_rng(n)) for n, own in enumerate(owned)]

    together = generator.fit(works())
    for n, own in enumerate(together):
        assert own.digest() == generator.fit([works()[n]])[0].digest()
    descent = Schedule(epochs=2, batch_size=16, learning_rate=0.05)
    looped, stacked = (way(generator, works(), descent) for way in (train_looped, train_stacked))
    for reference, mapped in zip(looped, stacked, strict=True):
        assert mapped.state.distance(reference.state) < 1e-4 * state.distance(reference.state)


def test_torchs_global_stream_is_neither_read_nor_moved(diffusers) -> None:
    x, y = pictures((10, 10), 1)
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        generator = build()
        start = generator.initial_state(np.random.default_rng(0))
        fitted = generator.fit([LocalWork(start, x, y, np.random.default_rng(1))])[0]
        made.append((start.digest(), fitted.digest(), generator.sample(fitted, y, np.random.default_rng(2)).tobytes()))
        assert torch.equal(torch.get_rng_state(), before)
    assert made[0] == made[1]


def test_nothing_is_asked_of_the_network(diffusers, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    generator = build()
    state = generator.initial_state(np.random.default_rng(0))
    generator.fit([LocalWork(state, *pictures((4, 4), 1), np.random.default_rng(0))])
    generator.sample(state, np.array([0]), np.random.default_rng(0))


def test_a_table_is_refused_in_favour_of_the_other_generators() -> None:
    with pytest.raises(LearningError, match="row of 30 numbers") as caught:
        build((30,))
    assert "cvae" in caught.value.hint
    assert "mixture" in caught.value.hint


@pytest.mark.parametrize("shape", [(1, 7, 20), (3, 20, 7)])
def test_images_that_are_too_small_are_refused(shape) -> None:
    with pytest.raises(LearningError, match=f"at least 8 x 8 pixels, but these have {shape[1]} x {shape[2]}") as caught:
        build(shape)
    assert "mixture" in caught.value.hint


@pytest.mark.parametrize("hidden", [8, 24, 100])
def test_channels_that_cannot_be_grouped_are_refused(hidden: int) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot have {hidden} hidden channels") as caught:
        build(hidden=hidden)
    assert "multiple of 16" in caught.value.hint


def test_without_diffusers_the_error_names_the_extra(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match="built on diffusers, which is not installed") as caught:
        build()
    assert "pip install 'cocogen[diffusion]'" in caught.value.hint


@pytest.mark.slow
def test_a_round_with_a_diffusion_generator_is_attested(diffusers) -> None:
    """The attester repeats every draw, so that generation must not depend on anything but parameters and seed."""
    names, terms = ("north", "harbor", "meadow"), bytes(range(32))
    generation = Generation(generator="diffusion", pretraining_rounds=1, hidden=16, panel=8, maximum=20)
    partition = Partition(alpha=1.0, sizes=(120, 80, 60))
    learning = Learning(dataset="digits", local_epochs=1, partition=partition)
    task = Local(Agreed(learning, generation, names, 3))
    shared = task.pretrain()
    bundles = task.train(
        1, shared, [Assignment(int(k), 12) for k in task.registered], terms, lambda name, digest: digest + name.encode()
    )
    caps = [Member(n, f"0x{n}", int(k), 20, 0, 1.0, -float(k)) for n, k in zip(names, task.registered, strict=True)]
    evidence = task.attester.attest(
        1,
        shared,
        bundles,
        [f"0x{name}" for name in names],
        lambda address, digest, signature: signature == digest + address.removeprefix("0x").encode(),
        task.measure_quality(shared),
        caps,
        terms,
    )
    assert evidence.rejected == {}
    assert [measured.raw for measured in evidence.measurements] == [12, 12, 12]
