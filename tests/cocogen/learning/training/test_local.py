from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from cocogen.errors import LearningError
from cocogen.learning.generators.cvae import ConditionalVAE
from cocogen.learning.models.classifiers import Classifier, Objective, build_classifier
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import LocalWork, Schedule, is_stacked, train, train_looped, train_stacked

SGD = Schedule(epochs=3, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=1e-3)
SIZES = (70, 5, 33, 16, 0)


def mlp() -> Classifier:
    return build_classifier("mlp", shape=(6,), classes=3, hidden=8)


def cvae() -> ConditionalVAE:
    return ConditionalVAE(shape=(6,), classes=3, latent=2, hidden=8, schedule=SGD)


def works(objective: Objective, sizes: tuple[int, ...] = SIZES, synthetic: int = 0) -> list[LocalWork]:
    rng = np.random.default_rng(0)
    return [
        LocalWork(
            objective.initial_state(np.random.default_rng(100 + n)),  # type: ignore[attr-defined]
            rng.standard_normal((size, 6)).astype(np.float32),
            rng.integers(0, 3, size),
            np.random.default_rng(n),
            synthetic=min(synthetic, size),
        )
        for n, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("make", [mlp, cvae, lambda: build_classifier("logistic", shape=(6,), classes=3, hidden=1)])
@pytest.mark.parametrize("schedule", [SGD, replace(SGD, momentum=0.0, weight_decay=0.0), replace(SGD, batch_size=500)])
def test_stacked_training_equals_the_loop(make, schedule: Schedule) -> None:
    objective = make()
    looped = train_looped(objective, works(objective, synthetic=4), schedule)
    stacked = train_stacked(objective, works(objective, synthetic=4), schedule)
    for one, other in zip(looped, stacked, strict=True):
        for name in one.state:
            assert np.allclose(one.state[name], other.state[name], atol=1e-5, rtol=0.0)
        assert np.array_equal(one.trace.real, other.trace.real)
        assert np.array_equal(one.trace.synthetic, other.trace.synthetic)
        assert np.allclose(one.trace.losses, other.trace.losses, atol=1e-5)
        assert np.allclose(one.trace.gradient_norms, other.trace.gradient_norms, atol=1e-4)


def test_stacked_adam_equals_the_loop() -> None:
    objective, schedule = cvae(), replace(SGD, optimizer="adam", learning_rate=0.005)
    looped = train_looped(objective, works(objective), schedule)
    stacked = train_stacked(objective, works(objective), schedule)
    for one, other in zip(looped, stacked, strict=True):
        assert all(np.allclose(one.state[k], other.state[k], atol=1e-4, rtol=0.0) for k in one.state)


def test_looped_sgd_equals_the_optimizer_of_torch() -> None:
    objective = mlp()
    work = works(objective, (40,))[0]
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in work.initial.items()})
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    order = np.random.default_rng(0)
    for _ in range(SGD.epochs):
        permutation = order.permutation(40)
        order.standard_normal((40, 0), dtype=np.float32)
        for start in range(0, 40, 16):
            batch = permutation[start : start + 16]
            optimizer.zero_grad()
            logits = network(torch.from_numpy(work.features[batch]))
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(work.labels[batch])).backward()
            optimizer.step()
    result = train_looped(objective, works(objective, (40,)), SGD)[0]
    for name, value in network.state_dict().items():
        assert np.allclose(result.state[name], value.numpy(), atol=1e-5)


def lenet() -> Classifier:
    return build_classifier("lenet", shape=(1, 16, 16), classes=3, hidden=1)


def image_works(sizes: tuple[int, ...]) -> list[LocalWork]:
    rng = np.random.default_rng(0)
    initial = lenet().initial_state(np.random.default_rng(1))
    return [
        LocalWork(
            initial,
            rng.standard_normal((size, 256)).astype(np.float32),
            rng.integers(0, 3, size),
            np.random.default_rng(n),
        )
        for n, size in enumerate(sizes)
    ]


def test_stacked_convolutions_equal_the_loop() -> None:
    looped = train_looped(lenet(), image_works((20, 9, 16)), SGD)
    stacked = train_stacked(lenet(), image_works((20, 9, 16)), SGD)
    for one, other in zip(looped, stacked, strict=True):
        assert all(np.allclose(one.state[k], other.state[k], atol=1e-5, rtol=0.0) for k in one.state)
        assert np.allclose(one.trace.losses, other.trace.losses, atol=1e-5)


@pytest.fixture
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
def test_convolutions_of_two_organizations_at_once_give_the_same_bytes_as_one_after_the_other() -> None:
    at_once = train_looped(lenet(), image_works((20, 9, 16, 5)), SGD)
    torch.set_num_threads(1)
    after_each_other = train_looped(lenet(), image_works((20, 9, 16, 5)), SGD)
    assert [one.state.digest() for one in at_once] == [one.state.digest() for one in after_each_other]


@pytest.mark.usefixtures("_two_threads")
def test_divergence_of_one_of_two_at_once_is_an_error_and_ends_the_other() -> None:
    poisoned, longer = image_works((40, 4000))
    poisoned.features[0, 0] = np.nan
    with pytest.raises(LearningError, match="diverged"):
        train_looped(lenet(), [poisoned, longer], replace(SGD, epochs=1))
    with pytest.raises(LearningError, match="diverged"):  # the other way round
        train_looped(lenet(), [*image_works((9,)), poisoned], replace(SGD, epochs=1))


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.parametrize("run", [train_looped, train_stacked])
@pytest.mark.parametrize(("make", "given"), [(mlp, works), (lenet, lambda _, sizes: image_works(sizes))])
def test_progress_is_told_once_for_every_organization(make, given, run) -> None:
    objective, told = make(), []
    run(objective, given(objective, (20, 9, 0)), SGD, advance=lambda: told.append(threading.current_thread()))
    assert told == [threading.current_thread()] * 3


def test_a_dense_model_trains_by_adam_as_torch_does() -> None:
    objective, schedule = mlp(), replace(SGD, optimizer="adam", weight_decay=0.0, epochs=2, batch_size=20)
    for work, result in zip(
        works(objective, (20, 20)), train(objective, works(objective, (20, 20)), schedule), strict=True
    ):
        leaves = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in work.initial.items()}
        optimizer = torch.optim.Adam(leaves.values(), lr=schedule.learning_rate)
        for _ in range(schedule.epochs):
            optimizer.zero_grad()
            rows, labels = torch.from_numpy(work.features), torch.from_numpy(work.labels)
            torch.nn.functional.cross_entropy(
                torch.func.functional_call(objective.network, leaves, (rows,)), labels
            ).backward()
            optimizer.step()
        assert all(np.allclose(result.state[k], leaves[k].detach().numpy(), atol=1e-5) for k in leaves)


def test_on_a_cpu_dense_models_are_stacked_and_convolutions_are_not() -> None:
    assert [is_stacked(mlp(), count) for count in (1, 2, 50)] == [False, True, True]
    assert not is_stacked(lenet(), 50)
    assert [is_stacked(lenet(), count, torch.device("cuda")) for count in (1, 2)] == [False, True]


def test_training_chooses_as_the_rule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setattr("cocogen.learning.training.local.train_stacked", lambda *_: chosen.append("stacked"))
    monkeypatch.setattr("cocogen.learning.training.local.train_looped", lambda *_: chosen.append("looped"))
    train(mlp(), works(mlp(), (5, 5)), SGD)
    train(mlp(), works(mlp(), (5,)), SGD)
    train(lenet(), image_works((5, 5)), SGD)
    assert chosen == ["stacked", "looped", "looped"]


@pytest.mark.parametrize("run", [train_looped, train_stacked])
def test_the_proximal_term_is_the_gradient_of_half_the_squared_distance(run) -> None:
    objective, schedule = mlp(), replace(SGD, proximal=0.7, weight_decay=0.0, epochs=1, batch_size=10)
    for work, result in zip(
        works(objective, (20, 20)), run(objective, works(objective, (20, 20)), schedule), strict=True
    ):
        start = {name: torch.from_numpy(value.copy()) for name, value in work.initial.items()}
        leaves = {name: value.clone().requires_grad_() for name, value in start.items()}
        optimizer = torch.optim.SGD(leaves.values(), lr=schedule.learning_rate, momentum=schedule.momentum)
        order = work.rng.permutation(20)
        for batch in (order[:10], order[10:]):
            optimizer.zero_grad()
            rows, labels = torch.from_numpy(work.features[batch]), torch.from_numpy(work.labels[batch])
            distance = sum((leaves[name] - start[name]).square().sum() for name in start)
            (objective.losses(leaves, rows, labels, torch.zeros(10, 0)).mean() + 0.35 * distance).backward()
            optimizer.step()
        assert all(np.allclose(result.state[k], leaves[k].detach().numpy(), atol=1e-6) for k in leaves)


def test_a_stronger_proximal_term_stays_nearer() -> None:
    objective = mlp()
    distances = []
    for proximal in (0.0, 1.0, 10.0):
        work = works(objective, (40,))[0]
        distances.append(train(objective, [work], replace(SGD, proximal=proximal))[0].state.distance(work.initial))
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.5 * distances[0]


PLAIN = replace(SGD, momentum=0.0)


def corrected(objective: Objective) -> list[LocalWork]:
    """Organizations of different sizes, the second without a correction."""
    return [
        replace(
            work,
            correction=None if n == 1 else ModelState({k: np.cos(n + np.asarray(a)) for k, a in work.initial.items()}),
        )
        for n, work in enumerate(works(objective))
    ]


@pytest.mark.parametrize("run", [train_looped, train_stacked])
def test_a_correction_is_added_to_every_gradient(run) -> None:
    objective, schedule = mlp(), replace(PLAIN, batch_size=100)
    for work, result in zip(corrected(objective), run(objective, corrected(objective), schedule), strict=True):
        leaves = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in work.initial.items()}
        optimizer = torch.optim.SGD(leaves.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
        for _ in range(schedule.epochs if len(work.labels) else 0):
            optimizer.zero_grad()
            rows, labels = torch.from_numpy(work.features), torch.from_numpy(work.labels)
            mean = objective.losses(leaves, rows, labels, torch.zeros(len(labels), 0)).mean()
            for name, addition in (work.correction or {}).items():
                mean = mean + (leaves[name] * torch.from_numpy(addition)).sum()
            mean.backward()
            optimizer.step()
        assert all(np.allclose(result.state[k], leaves[k].detach().numpy(), atol=1e-5) for k in leaves)


def test_stacked_corrections_equal_the_loop() -> None:
    looped, stacked = (run(mlp(), corrected(mlp()), PLAIN) for run in (train_looped, train_stacked))
    for one, other, work in zip(looped, stacked, works(mlp()), strict=True):
        assert all(np.allclose(one.state[k], other.state[k], atol=1e-5, rtol=0.0) for k in one.state)
        assert np.allclose(one.trace.gradient_norms, other.trace.gradient_norms, atol=1e-4)
        reach = PLAIN.learning_rate * one.trace.gradient_norms.sum()
        assert one.state.distance(work.initial) <= reach * (1 + 1e-4)
    assert looped[1].state.digest() == train_looped(mlp(), works(mlp()), PLAIN)[1].state.digest()


@pytest.mark.slow
def test_corrected_training_in_another_process_gives_the_same_bytes() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = [pool.submit(train_looped, mlp(), [work], PLAIN).result()[0] for work in corrected(mlp())]
    for here, there in zip(train_looped(mlp(), corrected(mlp()), PLAIN), elsewhere, strict=True):
        assert here.state.digest() == there.state.digest()


@pytest.mark.parametrize("schedule", [SGD, replace(PLAIN, proximal=0.1), replace(PLAIN, optimizer="adam")])
def test_only_plain_gradient_steps_are_corrected(schedule: Schedule) -> None:
    with pytest.raises(LearningError, match="mean of plain gradients"):
        train(mlp(), corrected(mlp()), schedule)


def test_a_correction_of_another_model_is_refused() -> None:
    (work,) = works(mlp(), (9,))
    with pytest.raises(LearningError, match="does not fit the parameters"):
        train(mlp(), [replace(work, correction=ModelState({"w": np.ones(3)}))], PLAIN)


@pytest.mark.slow
def test_organizations_looped_in_one_process_equal_those_of_another() -> None:
    start = [replace(work, rng=np.random.default_rng(n)) for n, work in enumerate(works(mlp()))]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        apart = [pool.submit(train_looped, mlp(), [work], SGD) for work in start]
        elsewhere = [future.result()[0] for future in apart]
    for here, there in zip(train_looped(mlp(), start, SGD), elsewhere, strict=True):
        assert here.state.digest() == there.state.digest()
        assert here.trace.losses.tolist() == there.trace.losses.tolist()


def test_training_twice_gives_the_same_bytes() -> None:
    for run in (train_looped, train_stacked):
        digests = [[r.state.digest() for r in run(mlp(), works(mlp()), SGD)] for _ in range(2)]
        assert digests[0] == digests[1]


def test_trace_counts_every_sample_of_every_epoch() -> None:
    objective = mlp()
    result = train(objective, works(objective, (40,), synthetic=10), SGD)[0]
    assert (result.trace.real + result.trace.synthetic).tolist() == [16, 16, 8] * 3
    for epoch in range(3):
        part = slice(3 * epoch, 3 * epoch + 3)
        assert (result.trace.real[part].sum(), result.trace.synthetic[part].sum()) == (30, 10)
    assert len(result.trace.losses) == SGD.steps(40) == 9


def test_the_update_is_within_reach_of_the_logged_gradients() -> None:
    objective = mlp()
    for work, result in zip(works(objective), train(objective, works(objective), SGD), strict=True):
        reach = SGD.learning_rate / (1 - SGD.momentum) * result.trace.gradient_norms.sum()
        assert result.state.distance(work.initial) <= reach * (1 + 1e-4)


def test_training_learns() -> None:
    objective = mlp()
    work = works(objective, (60,))[0]
    labels = (work.features[:, 0] > 0).astype(np.int64)
    longer = replace(SGD, epochs=30, weight_decay=0.0)
    trace = train(objective, [replace(work, labels=labels)], longer)[0].trace
    assert trace.losses[-4:].mean() < 0.2 * trace.losses[:4].mean()


def test_an_organization_without_samples_keeps_its_parameters() -> None:
    objective = mlp()
    for run in (train_looped, train_stacked):
        start = works(objective)
        assert run(objective, start, SGD)[-1].state.digest() == start[-1].initial.digest()


def test_nothing_to_do_is_nothing_done() -> None:
    assert train(mlp(), [], SGD) == []
    start = works(mlp(), (0, 0, 0))
    assert [r.state.digest() for r in train(mlp(), start, SGD)] == [w.initial.digest() for w in start]


def test_training_writes_to_no_initial_parameter() -> None:
    objective = mlp()
    start = works(objective)
    before = [work.initial.digest() for work in start]
    train_stacked(objective, start, SGD)
    assert [work.initial.digest() for work in start] == before


def test_divergence_is_an_error() -> None:
    objective = mlp()
    start = [replace(work, features=work.features * np.float32(1e30)) for work in works(objective, (40, 40, 40))]
    for run in (train_looped, train_stacked):
        with pytest.raises(LearningError, match="diverged"):
            run(objective, [replace(w, rng=np.random.default_rng(0)) for w in start], SGD)


def test_models_draw_from_their_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first, second = (mlp().initial_state(np.random.default_rng(4)) for _ in range(2))
    assert first.digest() == second.digest()
    assert first.digest() != mlp().initial_state(np.random.default_rng(5)).digest()
    assert torch.equal(torch.rand(1), expected)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(LearningError, match="'transformer'"):
        build_classifier("transformer", shape=(3,), classes=2, hidden=4)


def test_initial_biases_are_zero_and_weights_bounded() -> None:
    state: ModelState = mlp().initial_state(np.random.default_rng(0))
    assert not state["0.bias"].any()
    assert 0.5 < np.abs(state["0.weight"]).max() <= np.sqrt(6 / 6)
