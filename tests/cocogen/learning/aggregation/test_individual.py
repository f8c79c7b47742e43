"""The aggregation of the terms: the three steps of the protocol, each as its own rule says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cocogen.errors import LearningError
from cocogen.learning.aggregation.individual import IndividualUpdates
from cocogen.learning.aggregation.robust import clip_updates, trimmed_mean
from cocogen.learning.aggregation.server import ServerOptimizer
from cocogen.learning.models.states import ModelState, average
from cocogen.terms.sections import Learning, Server

NOTHING = ModelState({})


def random_states(count: int, seed: int = 0) -> list[ModelState]:
    rng = np.random.default_rng(seed)
    return [ModelState({"a": rng.normal(size=(2, 3)).astype(np.float32)}) for _ in range(count)]


def digests(states: Sequence[ModelState]) -> list[str]:
    return [state.digest() for state in states]


def test_by_default_it_is_the_average_of_the_updates_as_they_are() -> None:
    states, plain = random_states(4), IndividualUpdates()
    assert plain.clip(states, random_states(4, 1)) == states
    mean = plain.combine(states, [1, 2, 3, 4])
    assert mean.digest() == average(states, [1, 2, 3, 4]).digest()
    assert plain.step(states[0], mean, NOTHING) == (mean, NOTHING)
    with pytest.raises(LearningError, match="positive weight"):
        plain.combine(states, [0] * 4)


def test_the_terms_choose_trimming_clipping_and_the_servers_step() -> None:
    states, bases = random_states(5), random_states(5, 1)
    server = Server(optimizer="momentum", learning_rate=0.5, momentum=0.8)
    chosen = IndividualUpdates.of(
        Learning(dataset="digits", aggregation="trimmed-mean", trim=0.4, clip_norm=0.5, server=server)
    )
    assert chosen.combine(states, [1] * 5).digest() == trimmed_mean(states, [1] * 5, 0.4).digest()
    assert digests(chosen.clip(states, bases)) == digests(clip_updates(states, bases, 0.5)) != digests(states)
    stepped = ServerOptimizer("momentum", learning_rate=0.5, momentum=0.8).step(bases[0], states[0], NOTHING)
    assert digests(chosen.step(bases[0], states[0], NOTHING)) == digests(stepped)


def test_among_honest_nobody_is_clipped_or_trimmed_and_the_server_steps_as_before() -> None:
    states, bases = random_states(5), random_states(5, 1)
    wary = IndividualUpdates("trimmed-mean", 0.4, 0.5, ServerOptimizer("momentum", learning_rate=0.5))
    trusting = wary.among_honest()
    assert trusting.clip(states, bases) == states
    assert trusting.combine(states, [1] * 5).digest() == average(states, [1] * 5).digest()
    assert digests(trusting.step(bases[0], states[0], NOTHING)) == digests(wary.step(bases[0], states[0], NOTHING))


def test_what_another_server_remembers_is_refused() -> None:
    state, other = random_states(2)
    _, memory = IndividualUpdates(optimizer=ServerOptimizer("momentum")).step(state, other, NOTHING)
    with pytest.raises(LearningError, match="is not one of 'adam'"):
        IndividualUpdates(optimizer=ServerOptimizer("adam")).step(state, other, memory)
