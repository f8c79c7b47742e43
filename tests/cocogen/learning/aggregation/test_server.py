from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocogen.errors import LearningError
from cocogen.learning.aggregation.server import ServerOptimizer, newest
from cocogen.learning.models.states import ModelState, SharedModel

NOTHING = ModelState({})


def state(*values: float) -> ModelState:
    return ModelState({"w": np.array(values, dtype=np.float32)})


def test_averaging_takes_the_mean_and_remembers_nothing() -> None:
    classifier, server = ServerOptimizer().step(state(1.0), state(4.0), NOTHING)
    assert classifier["w"].tolist() == [4.0]
    assert not server


def test_momentum_by_hand() -> None:
    optimizer = ServerOptimizer("momentum", learning_rate=0.5, momentum=0.8)
    first, server = optimizer.step(state(1.0), state(3.0), NOTHING)
    assert first["w"].tolist() == [2.0]  # 1 + 0.5 · 2
    second, server = optimizer.step(first, state(1.0), server)
    assert second["w"] == pytest.approx([2.0 + 0.5 * (0.8 * 2.0 - 1.0)])
    assert server["steps"].tolist() == [2.0]


def test_momentum_zero_at_rate_one_is_the_average() -> None:
    classifier, _ = ServerOptimizer("momentum", 1.0, momentum=0.0).step(state(1.0, 2.0), state(3.0, 5.0), NOTHING)
    assert classifier["w"].tolist() == [3.0, 5.0]


def test_adam_by_hand() -> None:
    optimizer = ServerOptimizer("adam", learning_rate=0.1, momentum=0.9, second_moment=0.99, adaptivity=0.01)
    first, server = optimizer.step(state(1.0), state(3.0), NOTHING)
    m, v = 0.1 * 2.0, 0.99 * 0.01**2 + 0.01 * 4.0
    assert first["w"] == pytest.approx([1.0 + 0.1 * m / (v**0.5 + 0.01)])
    second, _ = optimizer.step(first, state(1.0), server)
    change = 1.0 - float(first["w"][0])
    m, v = 0.9 * m + 0.1 * change, 0.99 * v + 0.01 * change**2
    assert second["w"] == pytest.approx([float(first["w"][0]) + 0.1 * m / (v**0.5 + 0.01)])


@pytest.mark.parametrize("kind", ["momentum", "adam"])
def test_a_saved_server_state_continues_as_if_never_stopped(kind: str, tmp_path: Path) -> None:
    optimizer = ServerOptimizer(kind, learning_rate=0.5)  # type: ignore[arg-type]
    classifier, server = optimizer.step(state(1.0, 2.0), state(3.0, 1.0), NOTHING)
    SharedModel(classifier, state(0.0), server).save(tmp_path / "model.npz")
    loaded = SharedModel.load(tmp_path / "model.npz")
    assert loaded.digest() == SharedModel(classifier, state(0.0), server).digest()
    straight = optimizer.step(classifier, state(0.5, 0.5), server)
    again = optimizer.step(loaded.classifier, state(0.5, 0.5), loaded.server)
    assert [part.digest() for part in again] == [part.digest() for part in straight]


def test_the_digest_of_a_shared_model_covers_the_server_state() -> None:
    plain = SharedModel(state(1.0), state(2.0))
    others = [SharedModel(state(1.0), state(2.0), state(value)) for value in (0.0, 1.0)]
    assert len({model.digest() for model in (plain, *others)}) == 3


def test_a_state_of_another_optimizer_or_classifier_is_refused() -> None:
    _, server = ServerOptimizer("momentum").step(state(1.0), state(3.0), NOTHING)
    with pytest.raises(LearningError, match="'adam'"):
        ServerOptimizer("adam").step(state(1.0), state(3.0), server)
    with pytest.raises(LearningError, match="'momentum'"):
        ServerOptimizer("momentum").step(state(1.0, 2.0), state(3.0, 4.0), server)


def test_the_newest_model_is_that_of_most_server_steps_else_the_first() -> None:
    optimizer = ServerOptimizer("momentum")
    one, server = optimizer.step(state(1.0), state(3.0), NOTHING)
    two, later = optimizer.step(one, state(3.0), server)
    models = [SharedModel(one, state(0.0), server), SharedModel(two, state(0.0), later), SharedModel(one, state(0.0))]
    assert newest(models) is models[1]
    plain = [SharedModel(one, state(0.0)), SharedModel(two, state(0.0))]
    assert newest(plain) is plain[0]
