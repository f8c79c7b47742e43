"""The table of systems: every terms file meets the system that it names, and no system stands in for another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cocogen
from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError
from cocogen.mechanisms import MECHANISMS
from cocogen.systems import SYSTEMS, load_consortium
from cocogen.systems.base import Systems
from cocogen.systems.cocogen import COCOGEN
from cocogen.systems.tradefl import TRADEFL
from cocogen.terms.load import load_terms

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def written(tmp_path):
    """Write the clinics under another mechanism, and return the path."""

    def write(mechanism: str) -> Path:
        text = (EXAMPLES / "clinics.toml").read_text().replace('mechanism = "cocogen+"', f"mechanism = {mechanism}")
        assert f"mechanism = {mechanism}" in text
        path = tmp_path / "terms.toml"
        path.write_text(text)
        return path

    return write


def test_every_kind_of_terms_comes_through_one_door_to_its_system():
    for file, system in (("tradefl.toml", TRADEFL), ("clinics.toml", COCOGEN), ("digits.toml", COCOGEN)):
        terms = load_terms(EXAMPLES / file, SYSTEMS.table)
        assert SYSTEMS.of(terms) is system
        assert terms.names


def test_every_rule_belongs_to_exactly_one_system():
    assert sorted(name for system in SYSTEMS.entries for name in system.rules) == sorted(MECHANISMS)
    with pytest.raises(ValueError, match="two systems are called tradefl"):
        SYSTEMS.extended(TRADEFL)


@pytest.mark.parametrize("mechanism", ['"barter"', "1", "[]"])
def test_a_mechanism_that_nobody_knows_is_named_with_those_there_are(written, mechanism):
    with pytest.raises(ConfigurationError, match=r"consortium\.mechanism = .*should be 'cocogen\+', 'cocogen', 'vcfl'"):
        load_terms(written(mechanism), SYSTEMS.table)


def test_terms_of_a_system_that_is_not_in_the_table_have_no_entry():
    terms = load_terms(EXAMPLES / "tradefl.toml", SYSTEMS.table)
    with pytest.raises(KeyError, match="tradefl"):
        Systems((COCOGEN,)).of(terms)


def test_an_extended_table_leaves_the_first_as_it_was():
    first = Systems((COCOGEN,))
    assert "tradefl" in first.extended(TRADEFL)
    assert "tradefl" not in first


@pytest.mark.parametrize("load", [load_consortium, cocogen.load_consortium])
def test_a_market_that_trains_nothing_is_not_a_consortium_to_run(load):
    with pytest.raises(
        ConfigurationError, match=r'tradefl.toml: mechanism = "tradefl" .* cannot be deployed or run'
    ) as e:
        load(EXAMPLES / "tradefl.toml")
    assert "cocogen solve" in e.value.hint


@pytest.mark.parametrize("change", [{"models": "personal"}, {"clear": lambda agreed, recorded: ()}])
def test_a_system_whose_rounds_nobody_plays_is_not_taken_for_one_that_is_played(change):
    systems = Systems((replace(COCOGEN, **change), TRADEFL))
    with pytest.raises(ConfigurationError, match=r"clinics\.toml: .*(personal models|mode vector).*cannot be deployed"):
        load_consortium(EXAMPLES / "clinics.toml", systems=systems)
    assert load_consortium(EXAMPLES / "clinics.toml").names


def test_a_system_that_settles_otherwise_than_its_terms_say_is_not_deployed():
    provider = MemoryProvider(7)
    stated = TRADEFL.state(load_terms(EXAMPLES / "tradefl.toml", SYSTEMS.table), provider)
    signed = replace(TRADEFL, clear=lambda agreed, recorded: (0,) * len(recorded))
    with pytest.raises(ValueError, match="tradefl settles in mode 'vector', its terms in 'pairwise'"):
        signed.deploy(stated, provider)
    assert TRADEFL.deploy(stated, provider).terms.mode == TRADEFL.settlement == "pairwise"


def test_a_strategy_is_shown_with_the_systems_own_columns():
    generated, fractions = np.array([3.0, 1234.5]), np.array([[0.25, 3e9], [1.0, 4.5e9]])
    assert COCOGEN.game.plain(generated, 1) == 1234.5
    assert COCOGEN.game.cells(1234.5) == ["1,234.50"]
    assert TRADEFL.game.plain(fractions, 1) == {"data_fraction": 1.0, "compute": 4.5e9}
    assert TRADEFL.game.cells({"data_fraction": 1.0, "compute": 4.5e9}) == ["1.0000", "4.5"]
    assert [column.title for column in TRADEFL.game.columns] == ["data", "GHz"]
