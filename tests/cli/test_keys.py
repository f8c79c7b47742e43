"""``cocogen keys`` as people type it; and that no command ever shows a key or a password."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from eth_account import Account

from chain.errors.keys import ExposedSecret
from cli.main import cocogen
from cli.passwords import key_folder, password_of
from tests.examples import typed

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = Account.from_key(KEY).address
PASSWORD = "a-password-that-nobody-guesses"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder, cheap encryption, and no settings of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("COCOGEN_KEYS", "COCOGEN_PASSWORD", "COCOGEN_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    encrypt = Account.encrypt
    monkeypatch.setattr(
        "eth_account.Account.encrypt", lambda key, password, **_: encrypt(key, password, kdf="scrypt", iterations=2)
    )
    (tmp_path / "key.txt").write_text(f"0x{KEY}\n")
    (tmp_path / "password.txt").write_text(f"{PASSWORD}\nsecond line\n")
    for secret in ("key.txt", "password.txt"):
        (tmp_path / secret).chmod(0o600)
    return tmp_path


@pytest.fixture
def run():
    def run(command: str, *, code: int = 0) -> tuple[str, str]:
        found, out, err = typed(*command.split())
        assert found == code, f"{out}\n{err}"
        return out, err

    return run


@pytest.fixture
def imported(run):
    run("keys import north --private-key-file key.txt --keys k --password-file password.txt")


def data(answer: tuple[str, str]) -> Any:
    return json.loads(answer[0])["data"]


class TestCommands:
    def test_new_key_can_be_listed_and_shown_without_password(self, run, monkeypatch):
        monkeypatch.setenv("COCOGEN_PASSWORD", PASSWORD)
        new = data(run("keys new north --keys k --format json"))
        other = data(run("keys new south --keys k --format json"))
        monkeypatch.delenv("COCOGEN_PASSWORD")
        assert new["address"] != other["address"]
        assert Path(new["file"]).is_file()
        listed = data(run("keys list --keys k --format json"))
        assert listed == {"folder": "k", "keys": [new, other]}
        assert run("keys show north --keys k")[0] == new["address"] + "\n"
        assert data(run("keys show north --keys k --format json")) == new
        text = run("keys list --keys k")[0]
        assert new["address"] in text
        assert "south" in text

    def test_empty_folder_says_so(self, run):
        assert "no keystores in nowhere" in run("keys list --keys nowhere")[0]
        assert data(run("keys list --keys nowhere --format json"))["keys"] == []

    def test_imported_key_is_the_one_of_the_file(self, run, imported):
        assert run("keys show north --keys k")[0].strip() == ADDRESS
        account = key_folder("k").load(key_folder("k").get("north"), PASSWORD)
        assert account.key.hex() == KEY

    def test_key_can_come_from_standard_input(self, run, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO(KEY))
        run("keys import north --private-key-file - --keys k --password-file password.txt")
        assert run("keys show north --keys k")[0].strip() == ADDRESS

    @pytest.mark.parametrize("client", ["cast", "ethers", "ox", "ox-pbkdf2"])
    def test_keystore_of_another_client_is_imported_under_its_own_password(self, run, client):
        Path("known.txt").write_text("correct horse")
        Path("known.txt").chmod(0o600)
        file = Path("theirs.json")
        file.write_bytes((Path(__file__).parents[1] / "fixtures" / "keystores" / f"{client}.json").read_bytes())
        file.chmod(0o600)
        kept = data(run(f"keys import north --keystore {file} --keys k --password-file known.txt --format json"))
        assert kept["address"] == ADDRESS
        assert run("keys show north --keys k")[0].strip() == ADDRESS
        assert key_folder("k").load(key_folder("k").get("north"), "correct horse").key.hex() == KEY
        refused = run(
            f"keys import south --keystore {file} --keys k --password-file password.txt --format json", code=2
        )
        assert json.loads(refused[0])["error"]["code"] == "WrongPassword"
        assert json.loads(run("keys import south --keys k --format json", code=2)[0])["error"]["hint"] is not None

    def test_keystore_without_an_address_is_listed_and_shown_by_its_password(self, run):
        client = Path(__file__).parents[1] / "fixtures" / "keystores" / "cast.json"
        Path("k").mkdir()
        Path("k/north.json").write_text(client.read_text())
        Path("k/north.json").chmod(0o600)
        Path("k/broken.json").write_text("{}")
        Path("known.txt").write_text("correct horse")
        Path("known.txt").chmod(0o600)
        said = run("keys list --keys k")
        assert "(shown by its password alone)" in said[0]
        assert "left out: k/broken.json is no encrypted keystore" in said[1]
        assert data(run("keys list --keys k --format json"))["keys"][0]["address"] is None
        assert run("keys show north --keys k --password-file known.txt")[0].strip() == ADDRESS

    @pytest.mark.skipif(os.name != "posix", reason="no such modes")
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o601])
    @pytest.mark.parametrize("secret", ["key.txt", "password.txt"])
    def test_secret_that_others_can_reach_is_refused(self, run, secret, mode):
        Path(secret).chmod(mode)
        command = "keys import north --private-key-file key.txt --keys k --password-file password.txt --format json"
        refused = json.loads(run(command, code=2)[0])["error"]
        assert refused["code"] == "ExposedSecret"
        assert f"others can {'read' if mode & 0o044 else 'change or run'} {secret}" in refused["message"]
        assert f"chmod 600 {secret}" in refused["hint"]
        assert not Path("k").exists()

    @pytest.mark.skipif(os.name != "posix", reason="no such modes")
    def test_password_file_of_the_environment_is_held_to_the_same(self, run, monkeypatch):
        Path("password.txt").chmod(0o644)
        monkeypatch.setenv("COCOGEN_PASSWORD_FILE", "password.txt")
        error = run("keys import north --private-key-file key.txt --keys k", code=2)[1]
        assert "others can read password.txt" in error
        assert "chmod 600 password.txt" in error

    @pytest.mark.skipif(os.name != "posix", reason="no such modes")
    def test_keystore_that_others_can_reach_is_refused_before_its_password_is_asked_for(self, run, imported):
        Path("k/north.json").chmod(0o644)
        assert run("keys show north --keys k")[0].strip() == ADDRESS
        with pytest.raises(ExposedSecret, match=r"others can read k/north\.json"):
            password_of(key_folder("k").get("north"), None)

    def test_key_is_never_an_argument(self, run):
        error = run(f"keys import north {KEY} --keys k --password-file password.txt", code=2)[1]
        assert "unexpected extra argument" in error.lower() or "private-key-file" in error
        assert not Path("k").exists()

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("keys new north --keys k", "KeystoreExists"),
            ("keys new a/b --keys k", "KeystoreError"),
            ("keys show south --keys k", "UnknownKeystore"),
            ("keys import south --private-key-file none.txt --keys k", "KeystoreError"),
            ("keys import south --private-key-file password.txt --keys k", "MalformedKey"),
            ("keys new south --keys k --password-file none.txt", "KeystoreError"),
            ("keys new south --keys k --password-file empty.txt", "PasswordMissing"),
            ("keys new south --keys k", "PasswordMissing"),
        ],
    )
    def test_mistake_is_a_typed_error_with_exit_code_2(self, run, imported, command, said):
        Path("empty.txt").write_text("\n")
        Path("empty.txt").chmod(0o600)
        answer = json.loads(run(f"{command} --format json", code=2)[0])["error"]
        assert answer["code"] == said
        assert answer["hint"]
        assert KEY not in json.dumps(answer)
        assert PASSWORD not in json.dumps(answer)

    def test_folder_is_that_of_the_environment_else_of_the_users_configuration(self, run, place, monkeypatch):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
        assert key_folder(None).path == place / "config" / "cocogen" / "keys"
        monkeypatch.setenv("COCOGEN_KEYS", "elsewhere")
        assert data(run("keys list --format json"))["folder"] == "elsewhere"


class TestPasswords:
    def opened(self, password_file: str | None = None) -> str:
        from cli.passwords import key_source

        source = key_source("k", password_file, {})
        return source.password(source.folder.get("north"))

    def test_file_goes_before_variable_goes_before_person(self, imported, monkeypatch):
        monkeypatch.setattr("click.prompt", lambda *_, **__: "typed")
        monkeypatch.setattr(sys, "stdin", _Terminal())
        assert self.opened() == "typed"
        monkeypatch.setenv("COCOGEN_PASSWORD", "from the variable")
        assert self.opened() == "from the variable"
        assert self.opened("password.txt") == PASSWORD

    def test_person_types_unseen_and_a_new_password_twice(self, run, monkeypatch):
        asked = []
        monkeypatch.setattr("click.prompt", lambda text, **options: asked.append((text, options)) or PASSWORD)
        monkeypatch.setattr(sys, "stdin", _Terminal())
        run("keys new north --keys k")
        self.opened()
        assert [options["hide_input"] for _, options in asked] == [True, True]
        assert [options["confirmation_prompt"] for _, options in asked] == [True, False]
        assert all(options["err"] for _, options in asked), "standard output is for the answer"
        assert "north" in asked[1][0]

    def test_interrupted_prompt_is_an_interruption(self, run, monkeypatch):
        def interrupt(*_: Any, **__: Any) -> None:
            raise click.Abort

        monkeypatch.setattr("click.prompt", interrupt)
        monkeypatch.setattr(sys, "stdin", _Terminal())
        run("keys new north --keys k", code=130)
        assert not Path("k").exists()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_command_takes_a_key_or_password_as_an_argument():
    forbidden = {"--private-key", "--password", "--secret", "--mnemonic"}
    for name in cocogen.list_commands(None):
        command = cocogen.get_command(None, name)
        for each in [command, *getattr(command, "commands", {}).values()]:
            assert not forbidden & {option for parameter in each.params for option in parameter.opts}


DEBUGGED = (
    "keys import north --private-key-file key.txt --keys k --password-file password.txt",
    "keys import north --private-key-file key.txt --keys k --password-file password.txt --format json",
    "keys import a/b --private-key-file key.txt --keys k --password-file password.txt",
    "keys import north --private-key-file password.txt --keys k --password-file key.txt",
    "keys import north --private-key-file key.txt --keys /proc/none --password-file password.txt",
    "keys list --keys k",
    "keys show north --keys k --password-file password.txt",
    "deploy none.toml --keys k --password-file password.txt",
    "status --keys k --password-file password.txt",
)

# Each command in a folder of its own, in one process: starting one for each takes longer than all of them.
DEBUGGING = """
import contextlib, json, logging, os, sys
logging.basicConfig(level=0)
from cli.main import main
from eth_account import Account
encrypt = Account.encrypt
Account.encrypt = lambda key, password, **_: encrypt(key, password, kdf="scrypt", iterations=2)
for number, command in enumerate(json.loads(sys.argv[1])):
    os.chdir(f"{sys.argv[2]}/{number}")
    for stream in sys.stdout, sys.stderr:
        print("=" * 9, file=stream, flush=True)
    with contextlib.suppress(SystemExit):
        main(command.split())
"""


def test_no_output_holds_a_key_or_a_password_even_when_debugging(place):
    for number in range(len(DEBUGGED)):
        (place / str(number)).mkdir()
        for secret in ("key.txt", "password.txt"):
            shutil.copy(place / secret, place / str(number))
    environment = {"PATH": "/usr/bin", "COCOGEN_DEBUG": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    arguments = [sys.executable, "-c", DEBUGGING, json.dumps(DEBUGGED), place]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = [out + err for out, err in zip(done.stdout.split("=" * 9), done.stderr.split("=" * 9), strict=True)][1:]
    for command, answer in zip(DEBUGGED, answers, strict=True):
        assert answer.strip(), command
        assert KEY not in answer.lower(), command
        assert PASSWORD not in answer.lower(), command
