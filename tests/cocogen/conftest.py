"""Random games, the golden games as markets, and the clinics with little to compute."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cocogen.game.accuracy import AccuracyFunction, PowerLaw, Saturating, SquareRootBound
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.ledger import DecodedTerms
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.resources import GenerationResources
from cocogen.terms.consortium import Consortium, load_consortium
from tests.examples import edited

if TYPE_CHECKING:  # what learns is imported by the tests that learn alone
    from cocogen.evidence.local import Local
    from cocogen.operations.registration import Registration
    from cocogen.rounds.loop import RoundLoop

GOLDEN = Path(__file__).parents[1] / "golden"
CLINICS = Path(__file__).parents[2] / "examples" / "clinics.toml"
SEED = 7

ACCURACIES: dict[str, AccuracyFunction] = {
    "square-root": SquareRootBound(ceiling=1.0, epochs=20.0),
    "power-law": PowerLaw(ceiling=1.0, scale=4.0, exponent=0.5, heterogeneity=0.2),
    "saturating": Saturating(ceiling=0.9, scale=1500.0),
}


def random_game(
    seed: int,
    *,
    size: int = 5,
    accuracy: str = "power-law",
    incentive: float = 0.4,
    damage: float = 1.0,
    private_gain: float = 0.0,
    intensity: float = 0.19,
    maximum: float = 400.0,
    weighted: bool = False,
) -> CoopetitionGame:
    """A game with an asymmetric competition matrix, stable up to an intensity of 0.2."""
    rng = np.random.default_rng(seed)
    competition = rng.uniform(0.0, intensity / (size - 1), (size, size))
    np.fill_diagonal(competition, 0.0)
    local = rng.integers(50, 600, size).astype(float)
    family = GenerationAmounts(
        local,
        rng.uniform(0.3, 1.0, size),
        rng.uniform(0.005, 0.05, size),
        rng.uniform(3e-4, 3e-3, size),
        maximum,
        rng.uniform(0.0, 2.0, size),
        generated_weight=float(rng.uniform(0.5, 1.5)) if weighted else 1.0,
    )
    redistribution = Redistribution.uniform(competition, incentive, local)
    if weighted:
        weights, offsets = rng.uniform(0.2, 3.0, size), rng.normal(0.0, 300.0, size)
        redistribution = Redistribution(redistribution.rates, weights, offsets)
    return CoopetitionGame(
        rng.uniform(500.0, 2500.0, size),
        competition,
        ACCURACIES[accuracy],
        family,
        redistribution,
        rng.uniform(0.0, 0.5, size),
        damage=damage,
        private_gain=private_gain,
        private_base=200.0,
    )


@dataclass(frozen=True)
class GoldenGame:
    """One golden game: its market on the decoded terms, and what an independent reference computed."""

    market: Market
    expected: dict[str, Any]
    contributions: list[list[int]]
    redistribution: str


def _golden_game(game: dict[str, Any], settlement: dict[str, Any]) -> GoldenGame:
    terms, encoded = game["terms"], settlement["encoded"]
    organizations = terms["organizations"]
    scale = 65535 * 10**18 * terms["wei_per_unit"]

    def column(field: str) -> np.ndarray:
        return np.array([float(organization[field]) for organization in organizations])

    def decode(values: list[Any], unit: int) -> np.ndarray:
        return np.array([float(Fraction(int(value), unit)) for value in values])

    decoded = DecodedTerms(
        rates=np.array([[float(Fraction(int(encoded["gammaWad"]) * k, scale)) for k in row] for row in encoded["k"]]),
        score_weights=decode(encoded["weight"], 10**9),
        score_offsets=decode(encoded["offset"], 10**18),
        generated_weight=float(Fraction(int(encoded["generatedWeightWad"]), 10**18)),
        compute_weight=float(Fraction(int(encoded["lambdaWad"]), 10**18)),
        wei_per_unit=terms["wei_per_unit"],
        liabilities=tuple(int(value) for value in settlement["liabilities"]),
        terms_hash=bytes(32),
    )
    accuracy = terms["accuracy"]
    caps = np.array(settlement["caps"], dtype=np.int64)
    market = Market(
        names=tuple(organization["name"] for organization in organizations),
        profitability=column("profitability"),
        competition=np.array(terms["competition"]),
        accuracy=PowerLaw(accuracy["ceiling"], accuracy["scale"], accuracy["exponent"]),
        heterogeneity=column("heterogeneity"),
        resources=GenerationResources(
            local=column("local").astype(np.int64),
            quality=column("quality"),
            cost_linear=column("cost_linear"),
            cost_quadratic=column("cost_quadratic"),
            cost_fixed=np.zeros(len(organizations)),
            maximum=column("generation_max"),
            data_cap=caps[:, 0],
            generated_cap=caps[:, 1],
        ),
        decoded=decoded,
        participants=np.ones(len(organizations), dtype=bool),
    )
    return GoldenGame(market, game["expected"], settlement["contributions"], game["redistribution"])


@dataclass(frozen=True)
class Prepared:
    """Terms, the task that plays them, and what their members registered."""

    consortium: Consortium
    task: Local
    registration: Registration

    def loop(self, folder: Path, *, alone: bool = False) -> RoundLoop:
        """Its rounds over a ledger and a workspace of their own, bonds paid; ``alone``: without the task."""
        from chain.twin.ledger import MemoryProvider
        from cocogen.rounds.loop import RoundLoop
        from cocogen.rounds.workspace import Workspace

        workspace = Workspace(folder)
        self.registration.shared.save(workspace.initial_model)
        ledger = MemoryProvider(SEED).deploy(self.registration.resolved.settlement_terms())
        made = RoundLoop(self.registration.resolved, ledger, workspace, task=None if alone else self.task)
        made.bond()
        return made


@pytest.fixture(scope="session")
def agree_on_clinics(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Prepared]:
    """The clinics with a logistic model and one local epoch; ``edits`` (old, new) change the text of the terms."""
    from chain.twin.ledger import MemoryProvider
    from cocogen.evidence.local import Agreed, Local
    from cocogen.operations.registration import register

    def agree(*edits: tuple[str, str]) -> Prepared:
        quick = ('model = "mlp"', 'model = "logistic"'), ("local_epochs = 5", "local_epochs = 1")
        consortium = load_consortium(edited(tmp_path_factory.mktemp("terms") / "clinics.toml", *quick, *edits))
        task = Local(Agreed(consortium.learning, consortium.generation, consortium.names, SEED))
        return Prepared(consortium, task, register(consortium, MemoryProvider(SEED), task))

    return agree


@pytest.fixture(scope="session")
def scaffolding_clinics(agree_on_clinics: Callable[..., Prepared]) -> Prepared:
    """Clinics that train by SCAFFOLD and generate from mixtures."""
    return agree_on_clinics(
        ('model = "logistic"', 'model = "logistic"\nscaffold = true\nmomentum = 0'),
        ('generator = "cvae"', 'generator = "mixture"'),
    )


@pytest.fixture(scope="session")
def make_game() -> Callable[..., CoopetitionGame]:
    return random_game


@pytest.fixture(scope="session")
def golden_games() -> list[GoldenGame]:
    games = json.loads((GOLDEN / "cocogen_plus.json").read_text())
    settlements = json.loads((GOLDEN / "settlement.json").read_text())
    return [_golden_game(game, settlement) for game, settlement in zip(games, settlements, strict=True)]


@pytest.fixture(params=range(12))
def golden(request: pytest.FixtureRequest, golden_games: list[GoldenGame]) -> GoldenGame:
    return golden_games[request.param]
