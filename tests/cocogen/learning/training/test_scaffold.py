"""SCAFFOLD against Algorithm 1 written out, against its invariant, and on problems where FedAvg drifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cocogen.errors import LearningError
from cocogen.learning.aggregation.server import newest
from cocogen.learning.models.classifiers import Classifier, Objective, build_classifier
from cocogen.learning.models.states import ModelState, SharedModel, average
from cocogen.learning.training.local import LocalWork, Schedule, train_looped, train_stacked
from cocogen.learning.training.scaffold import Variate, remembered, shared_variate
from cocogen.learning.training.together import train_together

NOTHING = ModelState({})
PLAIN = Schedule(epochs=2, batch_size=8, learning_rate=0.1, weight_decay=0.01)


def mlp() -> Classifier:
    return build_classifier("mlp", shape=(5,), classes=3, hidden=6)


def state(*values: float) -> ModelState:
    return ModelState({"w": np.array(values, dtype=np.float32)})


def samples(sizes: Sequence[int], seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Organizations whose classes and features differ, so that local training drifts."""
    rng = np.random.default_rng(seed)
    return [
        ((rng.standard_normal((size, 5)) + n).astype(np.float32), rng.integers(0, 1 + n % 3, size) % 3)
        for n, size in enumerate(sizes)
    ]


def stream(number: int, n: int) -> np.random.Generator:
    return np.random.default_rng([number, n])


def engine(
    objective: Objective,
    initial: ModelState,
    data: Sequence[tuple[np.ndarray, np.ndarray]],
    schedule: Schedule,
    present: Sequence[Sequence[int]],
    run: Callable = train_looped,
) -> tuple[SharedModel, list[Variate]]:
    """Rounds in which those ``present`` train, and hand in what a round loop would take."""
    shared, variates = SharedModel(initial, NOTHING), [Variate()] * len(data)
    for number, members in enumerate(present, start=1):
        works = [
            LocalWork(shared.classifier, *data[n], stream(number, n), correction=variates[n].correction(shared))
            for n in members
        ]
        results = run(objective, works, schedule)
        for n, result in zip(members, results, strict=True):
            steps = len(result.trace.real)
            variates[n] = variates[n].renewed(shared, result.state, steps, schedule.learning_rate, len(data[n][1]))
        mean = average([result.state for result in results], [len(data[n][1]) for n in members])
        shared = SharedModel(mean, NOTHING, remembered(variates, shared.server))
    return shared, variates


def algorithm_1(
    initial: ModelState,
    data: Sequence[tuple[np.ndarray, np.ndarray]],
    schedule: Schedule,
    present: Sequence[Sequence[int]],
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[dict[str, Tensor]]]:
    """Karimireddy et al. 2020, Algorithm 1 with option II, line by line in torch; η_g = 1, equal weights."""
    x = {name: torch.from_numpy(array.copy()) for name, array in initial.items()}
    c = {name: torch.zeros_like(value) for name, value in x.items()}
    own = [{name: torch.zeros_like(value) for name, value in x.items()} for _ in data]
    for number, members in enumerate(present, start=1):
        moved, changed = [], []
        for n in members:
            y = {name: value.clone().requires_grad_() for name, value in x.items()}
            features, labels = torch.from_numpy(data[n][0]), torch.from_numpy(data[n][1])
            order, count = stream(number, n), 0
            for _ in range(schedule.epochs):
                permutation = torch.from_numpy(order.permutation(len(labels)))
                for batch in permutation.split(schedule.batch_size):
                    hidden = torch.relu(features[batch] @ y["0.weight"].T + y["0.bias"])
                    logits = hidden @ y["2.weight"].T + y["2.bias"]
                    loss = torch.nn.functional.cross_entropy(logits, labels[batch])
                    loss = loss + 0.5 * schedule.weight_decay * sum(value.square().sum() for value in y.values())
                    gradients = torch.autograd.grad(loss, list(y.values()))
                    with torch.no_grad():
                        for (name, value), g in zip(y.items(), gradients, strict=True):
                            value -= schedule.learning_rate * (g - own[n][name] + c[name])
                    count += 1
            plus = {
                name: own[n][name] - c[name] + (x[name] - y[name].detach()) / (count * schedule.learning_rate)
                for name in x
            }
            moved.append({name: y[name].detach() - x[name] for name in x})
            changed.append({name: plus[name] - own[n][name] for name in x})
            own[n] = plus
        x = {name: x[name] + sum(m[name] for m in moved) / len(members) for name in x}
        c = {name: c[name] + sum(d[name] for d in changed) / len(data) for name in x}
    return x, c, own


@pytest.mark.parametrize("run", [train_looped, train_stacked])
@pytest.mark.parametrize("present", [[range(4)] * 4, [range(4), [0, 2], [3], [1, 2, 3]]])
def test_rounds_are_those_of_algorithm_1(run, present) -> None:
    objective, data = mlp(), samples((20, 20, 20, 20))
    initial = objective.initial_state(np.random.default_rng(1))
    shared, variates = engine(objective, initial, data, PLAIN, present, run)
    x, c, own = algorithm_1(initial, data, PLAIN, present)
    assert shared.classifier.distance(initial) > 0.5
    for name in initial:
        assert np.allclose(shared.classifier[name], x[name].numpy(), atol=1e-5)
        assert np.allclose(shared_variate(shared)[name], c[name].numpy(), atol=1e-4)
        assert all(np.allclose(variates[n].state[name], own[n][name].numpy(), atol=1e-4) for n in range(4))


def test_training_together_is_full_participation() -> None:
    objective, data = mlp(), samples((20, 20, 20, 20))
    initial = objective.initial_state(np.random.default_rng(1))

    def works(number: int, now: ModelState) -> list[LocalWork]:
        return [LocalWork(now, *part, stream(number, n)) for n, part in enumerate(data)]

    together = train_together(objective, initial, works, PLAIN, 3, scaffold=True)
    x, _, _ = algorithm_1(initial, data, PLAIN, [range(4)] * 3)
    assert all(np.allclose(together[name], x[name].numpy(), atol=1e-5) for name in initial)
    plain = train_together(objective, initial, works, PLAIN, 3)
    assert plain.distance(together) > 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=4))
def test_weighted_differences_from_the_shared_variate_vanish(seed: int, present: list[set[int]]) -> None:
    objective, sizes = build_classifier("logistic", shape=(5,), classes=3, hidden=1), (30, 7, 16, 1)
    initial = objective.initial_state(np.random.default_rng(seed))
    shared, variates = engine(objective, initial, samples(sizes, seed), PLAIN, [sorted(s) for s in present])
    contributed = set().union(*present)
    assert [v.weight for v in variates] == [size if n in contributed else 0 for n, size in enumerate(sizes)]
    for name, mean in shared_variate(shared).items():
        rest = sum(v.weight * (v.state[name].astype(np.float64) - mean) for v in variates if v.weight)
        assert np.abs(rest).max() < 1e-4


def test_a_variate_is_the_mean_of_the_gradients_of_its_steps() -> None:
    objective, (part,) = mlp(), samples((24,))
    base = SharedModel(
        objective.initial_state(np.random.default_rng(1)), NOTHING, remembered([Variate(noise(2), 1)], NOTHING)
    )
    before = Variate(noise(3), 5)
    now, total, count = base.classifier, {name: np.zeros_like(a) for name, a in base.classifier.items()}, 0
    for k in range(4):
        work = LocalWork(now, *part, stream(1, k), correction=before.correction(base))
        after = train_looped(objective, [work], replace(PLAIN, epochs=1, batch_size=24))[0].state
        for name in total:
            correction = before.correction(base)[name]
            total[name] += (now[name] - after[name]) / PLAIN.learning_rate - correction
        now, count = after, count + 1
    made = before.renewed(base, now, count, PLAIN.learning_rate, 24)
    assert made.weight == 24
    assert all(np.allclose(made.state[name], total[name] / count, atol=1e-5) for name in total)


def noise(seed: int) -> ModelState:
    rng = np.random.default_rng(seed)
    layout = mlp().initial_state(np.random.default_rng(0)).layout
    return ModelState({name: rng.standard_normal(shape).astype(np.float32) for name, shape in layout})


class LeastSquares:
    """½ (x·w - y)² in one parameter vector."""

    noise_width = 0
    dense = False

    def losses(self, parameters: Mapping[str, Tensor], features: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        return 0.5 * (features @ parameters["w"] - labels).square()


def skewed_squares() -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Three organizations of different sizes, features and answers, and the solution for all samples together.

    That for all organizations with equal say lies elsewhere.
    """
    rng = np.random.default_rng(5)
    data = []
    for n, (size, truth) in enumerate(((40, (3.0, -2.0)), (12, (-4.0, 1.0)), (20, (0.0, 5.0)))):
        features = rng.standard_normal((size, 2)) * ((2.0, 0.3), (0.3, 1.5), (1.0, 1.0))[n]
        data.append((features.astype(np.float32), np.rint(features @ truth * 3).astype(np.int64)))
    every = [np.concatenate(parts) for parts in zip(*data, strict=True)]
    optimum = np.linalg.lstsq(every[0].astype(np.float64), every[1], rcond=None)[0]
    normal = [(x.T @ x / len(y), x.T @ y / len(y)) for x, y in data]
    unweighted = np.linalg.solve(sum(a for a, _ in normal), sum(b for _, b in normal))
    assert np.linalg.norm(unweighted - optimum) > 0.3
    return data, optimum


def test_fedavg_stops_beside_the_optimum_of_all_samples_and_scaffold_reaches_it() -> None:
    data, optimum = skewed_squares()
    many = Schedule(epochs=10, batch_size=64, learning_rate=0.2)
    distances: dict[bool, list[float]] = {False: [], True: []}
    for scaffold, along in distances.items():

        def works(number: int, now: ModelState, along: list[float] = along) -> list[LocalWork]:
            along.append(float(np.linalg.norm(now["w"] - optimum)))
            return [LocalWork(now, *part, stream(number, n)) for n, part in enumerate(data)]

        train_together(LeastSquares(), state(0.0, 0.0), works, many, 30, scaffold=scaffold)
    assert distances[False][-1] > 0.3
    assert distances[False][-1] == pytest.approx(distances[False][15], rel=1e-3)
    assert distances[True][-1] < 1e-4


def test_scaffold_finds_the_optimum_of_a_logistic_model_that_fedavg_misses() -> None:
    objective, data = build_classifier("logistic", shape=(5,), classes=3, hidden=1), samples((30, 30, 30))
    convex = Schedule(epochs=10, batch_size=30, learning_rate=0.2, weight_decay=0.1)
    initial = objective.initial_state(np.random.default_rng(1))

    def works(number: int, now: ModelState) -> list[LocalWork]:
        return [LocalWork(now, *part, stream(number, n)) for n, part in enumerate(data)]

    def slope(at: ModelState) -> float:
        """Norm of the gradient of all samples together: how far one plain step moves, over its size."""
        every = [np.concatenate(parts) for parts in zip(*data, strict=True)]
        whole = replace(convex, epochs=1, batch_size=90)
        result = train_looped(objective, [LocalWork(at, *every, stream(0, 0))], whole)[0]
        return float(result.trace.gradient_norms[0])

    fedavg, scaffold = (
        slope(train_together(objective, initial, works, convex, 25, scaffold=chosen)) for chosen in (False, True)
    )
    assert fedavg > 0.02
    assert scaffold < 0.01 * fedavg


def test_the_first_round_is_that_of_fedavg() -> None:
    objective, data = mlp(), samples((20, 9))
    initial = objective.initial_state(np.random.default_rng(1))
    shared, _ = engine(objective, initial, data, PLAIN, [range(2)])
    plain = train_looped(objective, [LocalWork(initial, *part, stream(1, n)) for n, part in enumerate(data)], PLAIN)
    assert shared.classifier.digest() == average([result.state for result in plain], [20, 9]).digest()


def test_without_steps_everything_stays() -> None:
    base = SharedModel(state(1.0), NOTHING)
    before = Variate(state(2.0), 7)
    assert before.renewed(base, base.classifier, 0, 0.1, 0) is before


def test_who_never_contributed_counts_for_nothing_and_the_absent_as_before() -> None:
    server = remembered([Variate(state(4.0), 3), Variate(), Variate(state(-2.0), 1)], NOTHING)
    shared = SharedModel(state(0.0), NOTHING, server)
    assert shared_variate(shared)["w"].tolist() == [2.5]
    assert Variate().correction(shared)["w"].tolist() == [2.5]
    assert Variate(state(4.0), 3).correction(shared)["w"].tolist() == [-1.5]


def test_the_newest_model_is_that_of_most_rounds() -> None:
    first = remembered([Variate(state(4.0), 3)], NOTHING)
    second = remembered([Variate(state(4.0), 3)], first)
    models = [SharedModel(state(0.0), NOTHING, server) for server in (NOTHING, second, first)]
    assert newest(models) is models[1]


def test_what_does_not_fit_the_classifier_is_refused() -> None:
    base = SharedModel(state(1.0, 2.0), NOTHING)
    with pytest.raises(LearningError, match="control variate"):
        Variate(state(1.0), 1).correction(base)
    with pytest.raises(LearningError, match="trained classifier"):
        Variate().renewed(base, state(1.0), 1, 0.1, 1)
    momentum = replace(base, server=ModelState({"first/w": np.zeros(2), "steps": np.ones(1)}))
    with pytest.raises(LearningError, match="shared control variate"):
        Variate().correction(momentum)
    with pytest.raises(LearningError, match="no organization has a positive weight"):
        remembered([Variate(), Variate()], NOTHING)
