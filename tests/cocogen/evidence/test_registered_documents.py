"""The page on own data lists every field of a registration, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from cocogen.evidence.registered import RegisteredSums, RegistrationDocument

PAGE = Path(__file__).parents[3] / "docs" / "own-data.md"


def test_every_field_of_a_registration_is_in_the_table_of_what_leaves_a_site() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("### At registration")[2].partition("To the attester")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    fields = {name for name in RegistrationDocument.model_fields if name != "sums"}
    sums = {f"sums.{name}" for name in RegisteredSums.model_fields}
    assert sorted(listed) == sorted({*fields, *sums, "signature"})
