from __future__ import annotations

import pytest
import torch

from cocogen.errors import LearningError
from cocogen.learning.training.devices import choose_device


@pytest.fixture
def _without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def _with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("_without_cuda")
def test_without_cuda_only_the_cpu_can_be_had() -> None:
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(LearningError, match="no CUDA device"):
        choose_device("cuda")


@pytest.mark.usefixtures("_with_cuda")
def test_auto_is_cuda_where_there_is_one() -> None:
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.usefixtures("_with_cuda")
def test_the_environment_decides_what_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOGEN_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    assert choose_device("cuda") == torch.device("cuda")
    monkeypatch.delenv("COCOGEN_DEVICE")
    assert choose_device() == torch.device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(LearningError, match="'tpu'"):
        choose_device("tpu")
