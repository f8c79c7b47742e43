from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cocogen.errors import DatasetError
from cocogen.learning import datasets, known_datasets


def test_diagnostic_table_is_the_real_one() -> None:
    data = datasets.load("diagnostic")
    assert data.features.shape == (569, 30)
    assert data.features.dtype == np.float32
    assert data.labels.dtype == np.int64
    assert data.classes == ("malignant", "benign")
    assert np.bincount(data.labels).tolist() == [212, 357]


def test_unknown_data_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="'cifar'") as caught:
        datasets.load("cifar")
    assert all(name in caught.value.hint for name in known_datasets())


def test_every_known_data_set_loads() -> None:
    for name in known_datasets():
        assert datasets.load(name).name == name


def test_names_are_known_without_torch_or_scikit_learn() -> None:
    code = (
        "import sys, cocogen.learning.catalogue; print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
