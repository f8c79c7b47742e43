from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.examples import CLINICS, typed

SCHEMA = """\
[learning]
dataset = "own"

[learning.schema]
kind = "table"
label = "outcome"
classes = ["survived", "died"]
minimum_cell = 2
[[learning.schema.feature]]
name = "glucose"
kind = "number"
minimum = 0
maximum = 50
missing = "mean"
[[learning.schema.feature]]
name = "sex"
kind = "category"
levels = ["f", "m"]

"""
SITE = """\
organization = "north"
data = "export.csv"
[csv]
separator = ";"
decimal = ","
[columns]
glucose = "Zucker"
outcome = "Ausgang"
[values.outcome]
survived = ["lebend"]
died = ["verstorben"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = CLINICS.read_text(encoding="utf-8")
    start, end = text.index("[learning]"), text.index("[generation]")
    (tmp_path / "terms.toml").write_text(text[:start] + SCHEMA + text[end:], encoding="utf-8")
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    rng = np.random.default_rng(0)
    rows = [
        f"p{row};{rng.normal(7, 2):.2f};{'fm'[row // 3 % 2]};{'verstorben' if row % 3 == 0 else 'lebend'}".replace(
            ".", ","
        )
        for row in range(60)
    ]
    (tmp_path / "export.csv").write_text("\n".join(["Patient;Zucker;sex;Ausgang", *rows, ""]), encoding="utf-8")
    return tmp_path


CHECK = ("data", "check", "site.toml", "--terms", "terms.toml")


def test_a_sound_file_passes_in_80_columns_and_names_the_next_command(folder: Path) -> None:
    before = sorted((path, path.read_bytes()) for path in folder.iterdir())
    code, out, _ = typed(*CHECK)
    assert code == 0, out
    assert max(map(len, out.splitlines())) <= 80
    for said in ("'Zucker'", "survived          40", "not used, and kept here: Patient", "cocogen register site.toml"):
        assert said in out
    assert "what a registration would disclose" in out
    assert "of the one number, over the training rows" in " ".join(out.split())
    assert "of the one category: training rows at each level" in out
    assert sorted((path, path.read_bytes()) for path in folder.iterdir()) == before


def test_programs_get_all_of_it(folder: Path) -> None:
    code, out, _ = typed(*CHECK, "--format", "json")
    data = json.loads(out)["data"]
    assert (code, data["passed"], data["problems"]) == (0, True, [])
    assert data["disclosed"]["classes"] == [32, 16]
    assert int(data["disclosed"]["numbers"][0]["squares"]) > 2**53
    assert [column["own"] for column in data["columns"]] == ["Ausgang", "Zucker", "sex"]


def test_what_would_be_refused_is_a_result_with_exit_code_4(folder: Path) -> None:
    (folder / "site.toml").write_text(SITE.replace('decimal = ","', 'decimal = "."').replace("lebend", "Lebend"))
    code, out, _ = typed(*CHECK)
    assert code == 4
    assert max(map(len, out.splitlines())) <= 80
    for said in ("to mend", 'decimal = ","', "'lebend' (40 times)", "nothing was changed, and nothing was sent"):
        assert said in out
    code, out, _ = typed(*CHECK, "--format", "json")
    document = json.loads(out)
    assert (code, document["status"], document["data"]["passed"]) == (4, "ok", False)
    assert [(problem["row"], problem["column"]) for problem in document["data"]["problems"]] == [
        (2, "Ausgang"),
        (1, "Zucker"),
    ]


def test_a_file_that_cannot_be_read_is_an_error_with_its_hint(folder: Path) -> None:
    (folder / "site.toml").write_text(SITE.replace('";"', '","'))
    code, _, err = typed(*CHECK)
    assert code == 4
    assert "hint: ';' stands there 3 times: set [csv] separator" in err


def test_a_site_file_at_fault_is_configuration(folder: Path) -> None:
    (folder / "site.toml").write_text(SITE + "[factors]\nglucos = 2\n")
    code, _, err = typed(*CHECK)
    assert code == 2
    assert "did you mean 'glucose'?" in err
    code, _, err = typed("data", "check", "site.toml", "--terms", str(CLINICS))
    assert code == 2
    assert "no [learning.schema]" in err


def test_hostile_cells_and_names_do_nothing_to_the_terminal(folder: Path) -> None:
    text = (folder / "export.csv").read_text().replace("Patient", "Pat\x1b[31mient").replace(";f;", ";\x1b]0;x\x07;", 1)
    (folder / "export.csv").write_text(text)
    for format_ in ("text", "json"):
        code, out, err = typed(*CHECK, "--format", format_)
        assert code == 4
        assert "\x1b" not in out + err
        assert "\x07" not in out + err


def test_an_example_is_written_and_each_of_its_sites_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = typed("data", "example", "hospitals")
    assert code == 0
    assert "cocogen data check hospitals/north/site.toml --terms hospitals/terms.toml" in out
    code, out, _ = typed("data", "check", "hospitals/north/site.toml", "--terms", "hospitals/terms.toml")
    assert code == 0, out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = typed("data", "example", "again", "--plain", "--format", "json")
    assert (code, len(json.loads(out)["data"]["sites"])) == (0, 7)
    assert typed("data", "example", "hospitals")[0] == 2
    site = tmp_path / "hospitals" / "north" / "site.toml"
    site.write_text(site.read_text(encoding="utf-8").replace('decimal = ","\nthousands = "."\n', ""), encoding="utf-8")
    code, out, _ = typed("data", "check", site, "--terms", "hospitals/terms.toml")
    assert (code, out.count('hint: set [csv] decimal = ","')) == (4, 1)
    assert "and the like in" in out
