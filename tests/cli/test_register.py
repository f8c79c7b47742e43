"""``cocogen register`` shows what leaves before it is signed, and ``cocogen backup`` brings the state back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain.encoding.signatures import address_of, sign, verify
from chain.keys.keystores import KeyFolder, development_key
from cocogen.evidence.registered import check_registration, read_registration
from cocogen.terms.consortium import load_consortium
from tests.cocogen.data.own.tables import schema, site_of, table, terms_of
from tests.examples import typed

pytest.importorskip("polars")
PASSWORD = "a password"
KEY = bytes([7]) * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site_of(tmp_path, table(400, of=schema(5), missing=0.2))
    terms_of(tmp_path / "terms.toml", schema(5))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COCOGEN_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("COCOGEN_PASSWORD", PASSWORD)
    return tmp_path


def agreed(address: str, digest: bytes, signature: bytes) -> bool:
    return verify(digest, signature, address)


def test_what_leaves_is_shown_and_written(folder: Path) -> None:
    code, out, err = typed("register", "site.toml", "--terms", "terms.toml")
    assert code == 0, err
    for text in ("What leaves north for the consortium clinics", "class 0", "glucose", "stage: I ", "root over 400"):
        assert text in out
    assert "development account: good for local chains" in err
    assert max(map(len, out.splitlines())) <= 80
    terms = load_consortium("terms.toml")
    made = read_registration(folder / "north.registration")
    check_registration(made, terms, agreed)
    assert made.document.address == address_of(development_key(7, "north"))
    assert (folder / "north.leaves").stat().st_size == 400 * 32
    for count in (*made.document.classes, *made.document.validation):
        assert f"{count:,}" in out


def test_a_program_gets_everything_that_is_in_the_file(folder: Path) -> None:
    code, out, _ = typed("register", "site.toml", "--terms", "terms.toml", "--format", "json", "-o", "sent/mine.json")
    assert code == 0
    data = json.loads(out)["data"]
    assert data["document"] == json.loads((folder / "sent/mine.json").read_text())["document"]
    assert (data["registration"], data["leaves"]) == ("sent/mine.json", "sent/mine.leaves")
    assert (data["signed"], data["again"], data["replaces"]) == (True, False, None)
    _, out, _ = typed("register", "site.toml", "--terms", "terms.toml", "--format", "json", "-o", "sent/mine.json")
    assert json.loads(out)["data"]["again"] is True


def test_the_keystore_of_the_organization_signs_where_there_is_one(folder: Path) -> None:
    KeyFolder(folder / "keys").add("north", KEY, PASSWORD, cost=2)
    code, _, err = typed("register", "site.toml", "--terms", "terms.toml")
    assert code == 0
    assert "development account" not in err
    made = read_registration(folder / "north.registration")
    assert made.document.address == address_of(KEY)
    check_registration(made, load_consortium("terms.toml"), agreed)


def test_the_owners_of_a_wallet_sign_elsewhere(folder: Path) -> None:
    stated = ('name = "north"\n', f'name = "north"\naddress = "{address_of(KEY)}"\n')
    terms = load_consortium(terms_of(folder / "terms.toml", schema(5), stated))
    code, out, _ = typed("register", "site.toml", "--terms", "terms.toml")
    assert code == 0
    assert "not signed: the key of" in out
    digest = read_registration(folder / "north.registration").document.digest()
    assert digest.hex() in out
    signature = sign(digest, KEY).hex()
    code, out, _ = typed("register", "site.toml", "--terms", "terms.toml", "--signature", f"0x{signature}")
    assert code == 0
    assert "not signed" not in out
    check_registration(read_registration(folder / "north.registration"), terms, agreed)
    assert "not signed" not in typed("register", "site.toml", "--terms", "terms.toml")[1], "it is kept"
    code, _, err = typed("register", "site.toml", "--terms", "terms.toml", "--signature", "0xzz")
    assert code == 2
    assert "is no signature" in err


def test_a_person_who_does_not_agree_registers_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *arguments, **options: False)
    code, out, err = typed("register", "site.toml", "--terms", "terms.toml")
    assert code != 0
    assert "What leaves north" in out
    assert "you did not agree" in err
    assert not list(folder.glob("north.[rl]*"))
    monkeypatch.setattr("click.confirm", lambda *arguments, **options: pytest.fail("asked in spite of --yes"))
    assert typed("register", "site.toml", "--terms", "terms.toml", "--yes")[0] == 0


def test_the_attester_shows_no_sums(folder: Path) -> None:
    site_of(folder, table(400, of=schema(5), missing=0.2), "attester")
    code, out, _ = typed("register", "site.toml", "--terms", "terms.toml")
    assert code == 0
    assert "holdout" in out
    assert "glucose" not in out
    assert not (folder / "attester.leaves").exists()


def test_a_refused_site_ends_with_its_code_and_hint(folder: Path) -> None:
    few = table(400, of=schema(5), missing=0.2)
    few.levels[:, 0] = 0
    few.levels[:3, 0] = 1
    site_of(folder, few)
    code, _, err = typed("register", "site.toml", "--terms", "terms.toml")
    assert code == 4
    assert "at level m" in err
    assert "hint: merge levels" in err


def test_a_state_is_backed_up_and_restored(folder: Path) -> None:
    typed("register", "site.toml", "--terms", "terms.toml")
    code, out, _ = typed("backup", "site.toml", "-o", "north.backup")
    assert code == 0
    assert "north.state is in north.backup" in out
    secret = (folder / "north.state/secret").read_bytes()
    code, _, err = typed("backup", "site.toml", "--restore", "north.backup")
    assert code == 2
    assert "is there already" in err
    (folder / "north.state").rename(folder / "lost")
    code, out, _ = typed("backup", "site.toml", "--restore", "north.backup", "--format", "json")
    assert code == 0
    assert json.loads(out)["data"]["restored"] is True
    assert (folder / "north.state/secret").read_bytes() == secret
    code, _, err = typed("backup", "site.toml")
    assert code == 2
    assert "name one of -o FILE and --restore FILE" in err
