"""Imports inside functions are counted, and their number only falls."""

from __future__ import annotations

import pytest

from tools import local_imports

SOURCE = """
import cocogen
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from chain.abi import WORD

class Thing:
    def method(self):
        from cocogen.errors import CoCoGenError, GameError
        import numpy
        def inner():
            import chain.open, json
            if True:
                from cli import main

async def other():
    from cocogenesis import nothing
"""


def test_every_statement_inside_a_function_counts_once_and_only_if_it_imports_our_own():
    assert local_imports.local_imports(SOURCE) == 3


@pytest.mark.parametrize(("difference", "says"), [(-1, "at most"), (1, "lower LIMIT")])
def test_any_other_number_than_the_agreed_one_fails_and_says_what_to_do(difference, says, monkeypatch, capsys):
    assert local_imports.main() == 0
    monkeypatch.setattr(local_imports, "LIMIT", local_imports.LIMIT + difference)
    assert local_imports.main() == 1
    assert says in capsys.readouterr().out
