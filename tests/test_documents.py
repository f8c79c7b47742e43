"""What the documents claim about the code, where a machine can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """The names of all tests, Solidity's and Python's."""
    sources = [*(ROOT / "contracts" / "test").rglob("*.sol"), *(ROOT / "tests").rglob("*.py")]
    pattern = re.compile(r"(?:function|def) ((?:test|invariant)\w+)")
    return {name for source in sources for name in pattern.findall(source.read_text(encoding="utf-8"))}


def test_every_test_that_the_security_page_names_exists(tests):
    named = set(re.findall(r"`(test\w+)`", SECURITY))
    assert len(named) > 40
    assert named - tests == set()


def test_every_threat_names_a_test_that_shows_its_defence():
    table = SECURITY.partition("| threat |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) > 15
    assert [row for row in table if "`test" not in row.split("|")[3]] == []


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md", "contracts/README.md", *sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")
)])  # fmt: skip
def test_links_between_documents_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / document).parent.joinpath(target).exists()] == []


def test_every_room_of_the_architecture_and_every_file_on_its_walks_exists():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture, walks = page.partition("## Six walks")[::2]
    rooms = set(re.findall(r"\b((?:cli|benchmarks|chain|cocogen)/[a-z_/]*(?:\.py)?)(?=\s)", picture))
    assert {room for room in rooms if not (ROOT / room).exists()} == set()
    drawn = set(re.findall(r"^cocogen/(\w+)/", picture, re.MULTILINE))
    assert {path.parent.name for path in (ROOT / "cocogen").glob("*/__init__.py")} - drawn == set()
    sources = [path.as_posix() for room in ("cocogen", "chain", "cli") for path in (ROOT / room).rglob("*.py")]
    sources += [path.as_posix() for path in (ROOT / "contracts" / "src").rglob("*.sol")]
    named = set(re.findall(r"`([\w/]+\.(?:py|sol))`", walks))
    assert len(named) > 40
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in sources)} == set()
