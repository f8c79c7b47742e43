"""Keystores and the rule of whose key signs: nothing overwritten, nothing readable by others, nothing shown."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from eth_account import Account

from chain.encoding.signatures import address_of
from chain.errors.chain import MissingKey
from chain.errors.keys import (
    DevelopmentKeyRefused,
    ExposedSecret,
    KeystoreError,
    KeystoreExists,
    MalformedKey,
    MalformedKeystore,
    UnknownKeystore,
    WrongPassword,
)
from chain.keys import keystores as module
from chain.keys.accounts import WELL_KNOWN, Accounts, KeySource
from chain.keys.keystores import KeyFolder, development_account, development_key, parse_private_key

CHEAP = 2
CLIENTS = Path(__file__).parents[2] / "fixtures" / "keystores"
KEY = bytes.fromhex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
OTHER = b"\x42" * 32
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PASSWORD = "correct horse"


@pytest.fixture
def folder(tmp_path):
    return KeyFolder(tmp_path / "deep" / "keys")


@pytest.fixture
def keystore(folder):
    return folder.add("north", KEY, PASSWORD, cost=CHEAP)


def files(folder: KeyFolder) -> list[str]:
    return [path.name for path in folder.path.iterdir()]


def written(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)


def edit(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in (document | changes).items() if value is not None}))


class TestKeystore:
    def test_password_opens_what_was_put_in(self, folder, keystore):
        account = folder.load(keystore, PASSWORD)
        assert bytes(account.key) == KEY
        assert account.address == keystore.address == address_of(KEY)

    def test_file_is_the_format_of_every_ethereum_client_and_holds_no_key(self, keystore):
        document = json.loads(keystore.path.read_text())
        assert document["version"] == 3
        assert document["crypto"]["kdf"] == "scrypt"
        assert KEY.hex() not in keystore.path.read_text().lower()

    def test_usual_cost_is_that_of_other_clients(self, folder, monkeypatch):
        asked = {}
        monkeypatch.setattr("eth_account.Account.encrypt", lambda key, password, **options: asked.update(options) or {})
        folder.add("north", KEY, PASSWORD)
        assert asked == {"kdf": "scrypt", "iterations": 1 << 18}

    def test_published_test_vector_opens(self, folder):
        # Web3 Secret Storage Definition, test vector for scrypt
        folder.path.mkdir(parents=True)
        vector = {
            "crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
                "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
                "kdf": "scrypt",
                "kdfparams": {
                    "dklen": 32,
                    "n": 262144,
                    "p": 8,
                    "r": 1,
                    "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
                },
                "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
            },
            "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
            "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
            "version": 3,
        }
        written(folder.path / "vector.json", json.dumps(vector))
        account = folder.load(folder.get("vector"), "testpassword")
        assert account.key.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"

    def test_file_and_folder_are_for_their_owner_alone(self, folder, keystore):
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(keystore.path.stat().st_mode) == 0o600
        assert files(folder) == ["north.json"]

    @pytest.mark.skipif(os.name != "posix", reason="no such modes")
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
    def test_file_that_others_can_reach_is_listed_but_not_opened(self, folder, keystore, mode):
        keystore.path.chmod(mode)
        assert folder.list() == (keystore,)
        with pytest.raises(ExposedSecret, match=rf"others can .* {keystore.path}.* \(its mode is {mode:o}\)") as caught:
            folder.load(keystore, PASSWORD)
        assert f"chmod 600 {keystore.path}" in caught.value.hint
        assert caught.value.exit_code == 2
        keystore.path.chmod(0o400)
        assert bytes(folder.load(keystore, PASSWORD).key) == KEY

    def test_nothing_is_ever_overwritten(self, folder, keystore):
        before = keystore.path.read_bytes()
        with pytest.raises(KeystoreExists, match="north"):
            folder.add("north", OTHER, PASSWORD, cost=CHEAP)
        with pytest.raises(KeystoreExists):
            folder.check_free("north")
        assert keystore.path.read_bytes() == before

    def test_file_that_appears_while_the_key_is_encrypted_is_kept(self, folder, monkeypatch):
        write = folder._write

        def late(path, content):
            path.parent.mkdir(parents=True)
            path.write_text("somebody else's")
            write(path, content)

        monkeypatch.setattr(folder, "_write", late)
        with pytest.raises(KeystoreExists):
            folder.add("north", KEY, PASSWORD, cost=CHEAP)
        assert (folder.path / "north.json").read_text() == "somebody else's"
        assert files(folder) == ["north.json"]

    def test_failed_writing_leaves_nothing_behind(self, folder, monkeypatch):
        def full(_handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module.os, "fsync", full)
        with pytest.raises(KeystoreError, match="No space left"):
            folder.add("north", KEY, PASSWORD, cost=CHEAP)
        assert files(folder) == []

    def test_wrong_password_is_said_and_not_repeated(self, folder, keystore):
        with pytest.raises(WrongPassword, match="north") as error:
            folder.load(keystore, "guess-4711")
        assert "guess-4711" not in f"{error.value}{error.value.hint}"
        assert error.value.exit_code == 2

    @pytest.mark.parametrize("name", ["", ".", "../north", "a/b", "-x", "a b", "ä", "a.b", "x" * 65])
    def test_name_that_could_leave_the_folder_is_refused(self, folder, name):
        with pytest.raises(KeystoreError, match="cannot be called"):
            folder.add(name, KEY, PASSWORD, cost=CHEAP)
        assert folder.find(name) is None

    def test_empty_password_is_refused(self, folder):
        with pytest.raises(KeystoreError, match="empty"):
            folder.add("north", KEY, "", cost=CHEAP)

    @pytest.mark.parametrize("key", [bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, KEY[:31], KEY + b"\0"])
    def test_number_that_is_no_key_is_refused(self, folder, key):
        with pytest.raises(MalformedKey):
            folder.add("north", key, PASSWORD, cost=CHEAP)
        assert not folder.path.exists()


class TestDamage:
    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 1, "crypto": {}}', '{"version": 3}'])
    def test_file_that_is_no_keystore_is_refused_by_name_and_skipped_in_lists(self, folder, keystore, content):
        (folder.path / "bad.json").write_text(content)
        with pytest.raises(MalformedKeystore, match=r"bad\.json"):
            folder.get("bad")
        assert folder.list() == (keystore,)

    @pytest.mark.parametrize("address", [5, "0x12", "x" * 40, address_of(KEY).swapcase().replace("0X", "0x")])
    def test_address_that_is_none_or_mistyped_is_refused(self, folder, keystore, address):
        edit(keystore.path, address=address)
        with pytest.raises(MalformedKeystore):
            folder.get("north")

    def test_address_that_was_edited_is_found_out_when_the_key_is_needed(self, folder, keystore):
        edit(keystore.path, address=address_of(OTHER))
        assert folder.get("north").address == address_of(OTHER)
        with pytest.raises(MalformedKeystore, match="edited"):
            folder.load(folder.get("north"), PASSWORD)

    @pytest.mark.parametrize("crypto", [{}, {"kdf": "scrypt"}, {"kdf": "md5", "kdfparams": {}}])
    def test_damaged_cipher_is_no_wrong_password(self, folder, keystore, crypto):
        edit(keystore.path, crypto=crypto)
        with pytest.raises(MalformedKeystore):
            folder.load(keystore, PASSWORD)

    def test_unreadable_file_is_named(self, folder, keystore):
        keystore.path.unlink()
        keystore.path.mkdir()
        with pytest.raises(KeystoreError, match=r"north\.json cannot be read"):
            folder.get("north")


def set_parameters(path: Path, kdf: str, **changes: object) -> None:
    document = json.loads(path.read_text())
    standard = {"n": 1 << 18, "r": 8, "p": 1} if kdf == "scrypt" else {"c": 262_144, "prf": "hmac-sha256"}
    parameters = {**standard, "dklen": 32, "salt": "ab" * 16} | changes
    document["crypto"] |= {"kdf": kdf, "kdfparams": parameters}
    path.write_text(json.dumps(document))


class TestBounds:
    """Nothing that a file asks for is done before it is known to be little."""

    @pytest.fixture
    def untouched(self, monkeypatch):
        monkeypatch.setattr("eth_account.Account.decrypt", lambda *_: pytest.fail("it began to work"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"n": 1 << 21},
            {"n": 1 << 60},
            {"n": 1 << 20, "r": 16},
            {"r": 65},
            {"r": 1 << 30},
            {"p": 17},
            {"p": 1 << 24},
            {"n": 1 << 20, "p": 4},
            {"dklen": 1 << 30},
            {"dklen": 31},
            {"n": 0},
            {"n": 3},
            {"n": True},
            {"n": 1024.0},
            {"n": "1024"},
            {"p": -1},
            {"salt": "ab" * 129},
            {"salt": None},
        ],
        ids=str,
    )
    def test_scrypt_that_asks_for_too_much_is_refused_unopened(self, folder, keystore, untouched, changes):
        set_parameters(keystore.path, "scrypt", **changes)
        with pytest.raises(MalformedKeystore, match=r"version 3\): (n|r|p|dklen|salt|kdfparams)( = .*)?: "):
            folder.load(keystore, PASSWORD)
        assert folder.list() == ()
        assert [str(keystore.path) in str(error) for error in folder.damaged()] == [True]

    @pytest.mark.parametrize(
        "changes", [{"c": 10_000_001}, {"c": 1 << 40}, {"c": 0}, {"dklen": 65}, {"prf": "md5"}], ids=str
    )
    def test_pbkdf2_that_asks_for_too_much_is_refused_unopened(self, folder, keystore, untouched, changes):
        set_parameters(keystore.path, "pbkdf2", **changes)
        with pytest.raises(MalformedKeystore):
            folder.load(keystore, PASSWORD)

    @pytest.mark.parametrize(
        ("kdf", "changes"),
        [
            ("scrypt", {}),
            ("scrypt", {"n": 1 << 20}),
            ("scrypt", {"n": 1 << 18, "r": 1, "p": 8}),
            ("scrypt", {"n": 1 << 12, "p": 6}),
            ("pbkdf2", {}),
            ("pbkdf2", {"c": 10_000_000}),
        ],
    )
    def test_what_clients_write_is_within_the_bounds(self, folder, keystore, kdf, changes):
        set_parameters(keystore.path, kdf, **changes)
        assert folder.list() == (keystore,)

    @pytest.mark.parametrize("content", ["[" * 60_000, '{"a":' * 10_000, " " * (1 << 16) + "{}"], ids=len)
    def test_file_that_is_too_large_or_too_deep_is_refused(self, folder, keystore, content):
        keystore.path.write_text(content)
        with pytest.raises(MalformedKeystore):
            folder.get("north")

    def test_file_that_says_something_twice_is_refused(self, folder, keystore):
        document = json.loads(keystore.path.read_text())
        keystore.path.write_text(json.dumps(document | {"Crypto": document["crypto"]}))
        with pytest.raises(MalformedKeystore, match="twice"):
            folder.get("north")


class TestOtherClients:
    @pytest.mark.parametrize("client", ["cast", "ethers", "ox", "ox-pbkdf2"])
    def test_keystore_of_another_client_is_listed_and_opens(self, folder, client):
        folder.path.mkdir(parents=True)
        written(folder.path / "north.json", (CLIENTS / f"{client}.json").read_text())
        (listed,) = folder.list()
        assert listed.address == (address_of(KEY) if client == "ethers" else None)
        assert bytes(folder.load(folder.get("north"), PASSWORD).key) == KEY
        with pytest.raises(WrongPassword):
            folder.load(listed, "guess")

    @pytest.mark.parametrize("client", ["cast", "ethers", "ox"])
    def test_it_signs_for_its_name_and_for_the_address_that_the_terms_state(self, folder, client):
        folder.path.mkdir(parents=True)
        written(folder.path / "north.json", (CLIENTS / f"{client}.json").read_text())
        for addresses in ({}, {"north": address_of(KEY)}):
            asked = Asked(folder, **addresses)
            accounts = Accounts(SEED, local=False, source=asked.source)
            assert accounts.address("north") == address_of(KEY)
            assert bytes(accounts.signer("north").key) == KEY
            assert asked.names == ["north"], "the password is asked for once"

    def test_it_does_not_sign_for_an_address_that_is_not_its_own(self, folder):
        folder.path.mkdir(parents=True)
        written(folder.path / "north.json", (CLIENTS / "cast.json").read_text())
        asked = Asked(folder, north=address_of(OTHER))
        with pytest.raises(MissingKey, match="north"):
            Accounts(SEED, local=False, source=asked.source).signer("north")

    def test_file_that_states_the_address_goes_before_one_that_does_not(self, folder):
        folder.path.mkdir(parents=True)
        written(folder.path / "north.json", (CLIENTS / "cast.json").read_text())
        other = folder.add("mine", OTHER, PASSWORD, cost=CHEAP)
        assert folder.find("north", address_of(OTHER)) == other


class TestFolder:
    def test_list_is_by_name_and_a_missing_folder_is_empty(self, folder):
        assert folder.list() == ()
        for name in ("south", "east"):
            folder.add(name, OTHER, PASSWORD, cost=CHEAP)
        assert [each.name for each in folder.list()] == ["east", "south"]

    def test_unknown_name_lists_what_is_there(self, folder, keystore):
        with pytest.raises(UnknownKeystore, match="there is: north"):
            folder.get("south")

    def test_address_is_found_whatever_the_file_is_called(self, folder, keystore):
        assert folder.find("attester", keystore.address) == keystore
        assert folder.find("north", address_of(OTHER)) is None
        second = folder.add("attester", KEY, PASSWORD, cost=CHEAP)
        assert folder.find("attester", keystore.address) == second


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex().upper().replace("X", "x"), f"  {KEY.hex()}\n"])
def test_private_key_is_read_as_people_write_it(text):
    assert parse_private_key(text) == KEY


@pytest.mark.parametrize("text", ["", "0x", KEY.hex()[:-1], KEY.hex() + "0", "g" + KEY.hex()[1:], "00" * 32])
def test_malformed_private_key_is_refused_and_not_repeated(text):
    with pytest.raises(MalformedKey) as error:
        parse_private_key(text)
    assert len(text) < 8 or text not in str(error.value)


SEED = 3
DEVELOPMENT = address_of(development_key(SEED, "north"))


class Asked:
    """A source of passwords that remembers for which keystores it was asked."""

    def __init__(self, folder, **addresses):
        self.names = []
        self.source = KeySource(folder, self._password, addresses)

    def _password(self, keystore):
        self.names.append(keystore.name)
        return PASSWORD


class TestAccounts:
    def accounts(self, folder, *, local, **addresses):
        self.asked = Asked(folder, **addresses)
        return Accounts(SEED, local=local, source=self.asked.source)

    def test_local_chain_derives_what_the_terms_leave_open_even_beside_keystores(self, folder, keystore):
        accounts = self.accounts(folder, local=True)
        assert accounts.address("north") == DEVELOPMENT
        assert bytes(accounts.signer("north").key) == development_key(SEED, "north")
        assert self.asked.names == []

    def test_local_chain_takes_the_keystore_of_an_address_that_the_terms_name(self, folder, keystore):
        accounts = self.accounts(folder, local=True, north=keystore.address.lower())
        assert accounts.address("north") == keystore.address
        assert self.asked.names == []
        assert bytes(accounts.signer("north", keystore.address).key) == KEY

    def test_local_chain_does_not_take_an_address_that_nobody_here_can_sign_for(self, folder, keystore):
        accounts = self.accounts(folder, local=True, north=address_of(OTHER))
        assert accounts.address("north") == DEVELOPMENT
        with pytest.raises(MissingKey, match="north") as error:
            accounts.signer("north", address_of(OTHER))
        assert "keys import north" in error.value.hint
        assert "development account" in error.value.hint

    def test_damaged_keystore_does_not_disturb_local_development_accounts(self, folder, keystore):
        keystore.path.write_text("{")
        accounts = self.accounts(folder, local=True, north=DEVELOPMENT)
        assert accounts.address("north") == DEVELOPMENT
        assert accounts.signer("north", DEVELOPMENT).address == DEVELOPMENT

    def test_real_chain_takes_the_keystore_of_the_name(self, folder, keystore):
        accounts = self.accounts(folder, local=False)
        assert accounts.address("north") == keystore.address
        assert self.asked.names == []
        assert bytes(accounts.signer("north").key) == KEY

    def test_real_chain_takes_a_stated_address_without_having_its_key(self, folder):
        accounts = self.accounts(folder, local=False, north=address_of(OTHER))
        assert accounts.address("north") == address_of(OTHER)
        with pytest.raises(MissingKey, match="north"):
            accounts.signer("north")

    def test_real_chain_without_keystore_says_how_to_make_one(self, folder):
        accounts = self.accounts(folder, local=False)
        for ask in (accounts.address, accounts.signer):
            with pytest.raises(MissingKey, match="operator") as error:
                ask("operator")
            assert "cocogen keys new operator" in error.value.hint
            assert str(folder.path) in error.value.hint

    def test_real_chain_refuses_development_accounts_however_they_come(self, folder):
        folder.add("north", development_key(SEED, "north"), PASSWORD, cost=CHEAP)
        for accounts in (self.accounts(folder, local=False), self.accounts(folder, local=False, north=DEVELOPMENT)):
            for ask in (
                lambda accounts=accounts: accounts.address("north"),
                lambda accounts=accounts: accounts.signer("north"),
                lambda accounts=accounts: accounts.signer("north", DEVELOPMENT),
            ):
                with pytest.raises(DevelopmentKeyRefused, match=DEVELOPMENT):
                    ask()
        assert self.asked.names == []

    def test_accounts_that_development_nodes_print_are_refused_on_real_chains_alone(self, folder):
        Account.enable_unaudited_hdwallet_features()
        words = "test test test test test test test test test test test junk"
        accounts = [Account.from_mnemonic(words, account_path=f"m/44'/60'/0'/0/{number}") for number in range(10)]
        assert {account.address for account in accounts} == WELL_KNOWN
        for number, known in enumerate(accounts[:2]):
            name = f"known{number}"
            folder.add(name, bytes(known.key), PASSWORD, cost=CHEAP)
            with pytest.raises(DevelopmentKeyRefused, match="everybody has its key"):
                self.accounts(folder, local=False, **{name: known.address}).address(name)
            assert self.accounts(folder, local=True, **{name: known.address}).address(name) == known.address

    def test_password_is_asked_for_once_per_key(self, folder, keystore):
        accounts = self.accounts(folder, local=False)
        first = accounts.signer("north")
        assert accounts.signer("north", keystore.address) is first
        assert accounts.signer("attester", keystore.address) is first
        assert self.asked.names == ["north"]

    def test_no_keystores_at_all_leave_development_accounts(self):
        local, public = Accounts(SEED, local=True), Accounts(SEED, local=False)
        assert local.signer("north").address == development_account(SEED, "north").address
        with pytest.raises(MissingKey):
            local.signer("north", address_of(OTHER))
        with pytest.raises(MissingKey):
            public.address("north")
