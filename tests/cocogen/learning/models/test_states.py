from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocogen.data.archive import write_arrays
from cocogen.errors import LearningError
from cocogen.learning.models.states import ModelState, SharedModel, average


def state(*values: float, name: str = "w") -> ModelState:
    return ModelState({name: np.array(values, dtype=np.float32), "b": np.zeros(1, dtype=np.float32)})


def test_average_by_hand() -> None:
    mean = average([state(1.0, 2.0), state(4.0, 8.0), state(100.0, 100.0)], [1, 3, 0])
    assert mean["w"].tolist() == [3.25, 6.5]
    assert mean["w"].dtype == np.float32


def test_average_of_equal_states_is_that_state() -> None:
    one = state(0.1, 0.3)
    assert average([one] * 7, [3, 1, 4, 1, 5, 9, 2]).digest() == one.digest()


def test_average_without_weight_is_refused() -> None:
    with pytest.raises(LearningError, match="positive weight"):
        average([state(1.0)], [0])


def test_digest_covers_names_shapes_and_bytes_but_not_order() -> None:
    base = ModelState({"a": np.zeros((2, 3), dtype=np.float32), "b": np.ones(1, dtype=np.float32)})
    same = ModelState({"b": np.ones(1, dtype=np.float32), "a": np.zeros((2, 3), dtype=np.float32)})
    assert base.digest() == same.digest()
    others = [
        ModelState({"a": np.zeros((3, 2), dtype=np.float32), "b": np.ones(1, dtype=np.float32)}),
        ModelState({"c": np.zeros((2, 3), dtype=np.float32), "b": np.ones(1, dtype=np.float32)}),
        ModelState({"a": np.full((2, 3), 1e-30, dtype=np.float32), "b": np.ones(1, dtype=np.float32)}),
    ]
    assert len({other.digest() for other in others} | {base.digest()}) == 4


def test_distance_is_euclidean_over_all_parameters() -> None:
    assert state(3.0, 4.0).distance(state(0.0, 0.0)) == pytest.approx(5.0)


def test_finiteness_sees_every_parameter() -> None:
    assert state(1.0).is_finite()
    assert not state(np.nan).is_finite()
    assert not state(np.inf).is_finite()


def test_shared_model_round_trip(tmp_path: Path) -> None:
    shared = SharedModel(state(1.0, 2.0), state(3.0, name="decoder.weight"))
    shared.save(tmp_path / "model.npz")
    loaded = SharedModel.load(tmp_path / "model.npz")
    assert loaded.digest() == shared.digest()
    assert loaded.generator["decoder.weight"].tolist() == [3.0]


def test_shared_model_digest_tells_its_parts_apart() -> None:
    assert SharedModel(state(1.0), state(2.0)).digest() != SharedModel(state(2.0), state(1.0)).digest()


def test_a_file_of_something_else_is_no_shared_model(tmp_path: Path) -> None:
    for arrays in ({"a": np.zeros(1, dtype=np.float32)}, {"classifier/w": np.zeros(1, dtype=np.int64)}):
        write_arrays(tmp_path / "other.npz", arrays)
        with pytest.raises(LearningError, match="shared model"):
            SharedModel.load(tmp_path / "other.npz")
