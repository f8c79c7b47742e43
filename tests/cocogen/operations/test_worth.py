"""What each organization was worth in a finished round, as values and as plain JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cocogen.errors import WorkspaceError
from cocogen.operations.session import open_consortium
from cocogen.operations.worth import worth


def test_a_settled_round_is_valued_by_resources_by_leaving_one_out_and_by_shapley(deployed, memory):
    told: list[str] = []

    def progress(description: str, done: int, total: int) -> None:
        del done, total
        told.append(description)

    with open_consortium(deployed.workspace, memory) as consortium:
        with pytest.raises(WorkspaceError):
            worth(consortium, progress=progress)
        consortium.loop.bond()
        consortium.loop.play()
        found = worth(consortium, progress=progress)
        plain = found.plain()
        outcome = consortium.ledger.outcomes()[0]
        sampled = worth(consortium, 1, method="monte-carlo", evaluations=20, seed=3, progress=progress).plain()
    assert "reading evidence" in told
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["round"], plain["status"], plain["exact"]) == (1, "settled", True)
    assert plain["evaluations"] == 2**6
    gain = plain["value_of_all"] - plain["value_of_none"]
    entries = plain["organizations"]
    assert np.isclose(sum(entry["shapley"] for entry in entries.values()), gain)
    assert [int(entry["transfer"]) for entry in entries.values()] == list(outcome.transfers)
    assert [entry["data"] for entry in entries.values()] == [each.data for each in outcome.contributions]
    assert (sampled["exact"], sampled["value_of_all"]) == (False, plain["value_of_all"])
