"""Clinics with little to compute, deployed on a ledger in memory by the operations themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

import cocogen.evidence.local  # noqa: F401  loads torch, which is no cost of the first test that trains
from chain.twin.ledger import MemoryProvider
from cocogen.operations.deploy import Deployed, deploy
from cocogen.terms.consortium import Consortium, load_consortium
from tests.examples import SHORT, edited

CLINICS = Path(__file__).parents[3] / "examples" / "clinics.toml"
SEED = 7


@pytest.fixture(scope="session")
def clinics(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    """Two rounds of a logistic model and one local epoch, with mixtures as generators."""
    edits = ("rounds = 5", "rounds = 2"), ('model = "mlp"', 'model = "logistic"')
    return load_consortium(edited(tmp_path_factory.mktemp("terms") / "clinics.toml", *edits, *SHORT))


@pytest.fixture
def memory() -> MemoryProvider:
    return MemoryProvider(SEED)


@pytest.fixture
def deployed(clinics: Consortium, memory: MemoryProvider, tmp_path: Path) -> Deployed:
    """The clinics on ``memory``, in a workspace of their own."""
    return deploy(clinics, memory, tmp_path / "clinics")
