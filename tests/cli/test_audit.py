"""``cocogen audit`` and ``cocogen export``: live, from an exported file, and when there is nothing to read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.request import Request
from cocogen.errors import DatasetError
from cocogen.ledger import Contribution
from tests.examples import typed as cocogen

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
EVIDENCE = b"\xee" * 32


def data_of(*arguments: str, code: int = 0) -> dict[str, Any]:
    """The data of a command's JSON answer."""
    found, out, err = cocogen(*arguments, "--format", "json")
    assert found == code, out + err
    return json.loads(out)["data"]


def statuses(data: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in data["checks"]}


def check_of(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(check for check in data["checks"] if check["name"] == name)
    return found


BESIDE = ("cross-check", "evidence")
"""Skipped here: no second node is asked, and nothing was trained."""


@pytest.fixture(scope="session")
def settled(once: Any) -> Path:
    """A deployed consortium after one round without training: made once, never changed."""

    def fill(folder: Path) -> None:
        (folder / "clinics.toml").write_text(EXAMPLE.read_text())
        with contextlib.chdir(folder):
            code, out, err = cocogen("deploy", "clinics.toml")
            assert code == 0, out + err
            with Request(None, None, None, as_json=False).opened() as session:
                ledger = session.ledger
                for n, liability in enumerate(ledger.decoded.liabilities):
                    ledger.deposit(n, 2 * liability)
                ledger.open_round()
                for n in range(len(ledger.terms.members)):
                    contribution = Contribution(10 + n, n, 0, EVIDENCE)
                    ledger.submit(n, contribution, ledger.attest(n, contribution))
                ledger.record()
                ledger.wait_until(ledger.state().deadline + 1)
                ledger.settle()
            code, out, err = cocogen("export", "-o", "exported.jsonl")
            assert code == 0, out + err

    return once("settled without training", fill)


@pytest.fixture
def folder(settled: Path, once: Any, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, in which a test works."""
    with contextlib.chdir(once.copy(settled, tmp_path / "folder")):
        yield tmp_path / "folder"


@pytest.fixture
def elsewhere(settled: Path, tmp_path: Path) -> Iterator[Path]:
    """Another folder with three files: the exported ledger, the resolved terms and the terms file."""
    for name in ("exported.jsonl", "clinics.toml", ".cocogen/clinics/resolved.json"):
        shutil.copy(settled / name, tmp_path)
    with contextlib.chdir(tmp_path):
        yield tmp_path


def forged(file: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the lines of an exported ledger and fix its footer."""
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    change(lines)
    body = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines[:-1])
    footer = {**lines[-1], "sha256": hashlib.sha256(body).hexdigest()}
    file.write_bytes(body + json.dumps(footer, separators=(",", ":")).encode() + b"\n")


def withdraw_everything_of_the_first(lines: list[dict[str, Any]]) -> None:
    """Add what no chain holds, and let the storage follow: the first member's balance goes to a stranger."""
    storage, last = lines[-2], next(line for line in reversed(lines) if line["kind"] == "event")
    owner = next(
        line["args"]["member"] for line in lines if line.get("name") == "Accepted" and not line["args"]["index"]
    )
    amount = storage["balances"][0]
    stranger = "0x52908400098527886E0F7030069857D2E4169EE7"
    moved = {"index": 0, "to": stranger, "amount": amount, "balance": 0}
    number, time = storage["block"] + 1, last["time"] + 1_000_000
    event = {"name": "Withdrawn", "args": moved, "block": number, "time": time, "transaction": "0x" + "cd" * 32}
    lines.insert(lines.index(last) + 1, last | event | {"log_index": 0, "sender": owner, "value": 0})
    lines.insert(-2, {"kind": "block", "number": number, "time": time, "hash": "0x" + "ef" * 32})
    storage.update(block=number, balances=[0, *storage["balances"][1:]], solvent=storage["solvent"] & ~1)
    for name in ("total_balance", "assets"):
        left = int(storage[name]) - int(amount)
        storage[name] = left if left < 2**53 else str(left)
    lines[-1]["events"] += 1
    lines[-1]["blocks"] += 1


class TestLive:
    def test_an_honest_ledger_passes_and_is_accounted_for(self, folder):
        data = data_of("audit")
        assert data["status"] == "PASS"
        assert [check["id"] for check in data["checks"]] == list(range(1, 13))
        assert statuses(data)["cross-check"] == "SKIPPED"
        assert all(check["question"].endswith("?") and check["detail"] for check in data["checks"])
        accounting = data["accounting"]
        assert accounting["rounds"] == 1
        assert sum(int(each["net"]) for each in accounting["organizations"].values()) == 0
        for each in accounting["organizations"].values():
            assert all(isinstance(each[name], str) for name in ("paid", "received", "net", "forfeits", "balance"))
            assert each["runway"] == int(each["balance"]) // int(each["liability"])
        assert accounting["pairs"]
        assert data["cannot_know"]

    def test_the_text_says_what_was_asked_found_and_cannot_be_known(self, folder):
        code, out, _ = cocogen("audit")
        assert code == 0
        assert "is the runtime code the shipped contract" in out
        assert "who pays whom: 1 rounds, in units of 1000000000000000 wei" in out
        assert "no audit can know:" in out
        assert out.rstrip().endswith("audit: PASS")

    def test_a_missing_chain_file_is_incomplete_and_none_is_made(self, folder):
        chain = folder / ".cocogen" / "clinics" / "chain.sqlite"
        chain.unlink()
        data = data_of("audit", code=5)
        assert set(statuses(data).values()) == {"INCOMPLETE"}
        assert data["origin"] == "node"
        assert "there is no chain file" in data["checks"][0]["detail"]
        assert data["accounting"] is None
        assert not chain.exists()

    def test_a_file_that_is_no_chain_is_incomplete(self, folder):
        chain = folder / ".cocogen" / "clinics" / "chain.sqlite"
        chain.write_bytes(b"no chain at all" * 100)
        data = data_of("audit", code=5)
        assert set(statuses(data).values()) == {"INCOMPLETE"}
        assert "chain.sqlite" in data["checks"][0]["detail"]

    @pytest.mark.parametrize("other", ["nothing", "another contract"])
    def test_an_address_without_this_contract_fails_the_code(self, folder, other):
        path = folder / ".cocogen" / "clinics" / "deployment.json"
        deployment = json.loads(path.read_text())
        header = json.loads((folder / "exported.jsonl").read_text().splitlines()[0])
        nothing = "0x52908400098527886E0F7030069857D2E4169EE7"
        deployment["address"] = nothing if other == "nothing" else header["blob_address"]
        path.write_text(json.dumps(deployment))
        data = data_of("audit", code=1)
        assert statuses(data)["code"] == "FAIL"
        assert "contract" in data["checks"][0]["detail"]

    @pytest.mark.parametrize("shift", [-1, 1, 1_000])
    def test_a_wrong_block_in_the_deployment_record_is_no_fault_of_the_ledger(self, folder, shift):
        path = folder / ".cocogen" / "clinics" / "deployment.json"
        deployment = json.loads(path.read_text())
        path.write_text(json.dumps({**deployment, "block": deployment["block"] + shift}))
        data = data_of("audit", code=5)
        assert set(statuses(data).values()) == {"INCOMPLETE"}
        detail = data["checks"][0]["detail"]
        assert f"was created in block {deployment['block'] + shift}" in detail
        assert f"is in block {deployment['block']}" in detail

    @pytest.mark.parametrize(
        "leaf",
        [
            ("chain_id",),
            ("terms_hash",),
            ("details", "config"),
            *(
                pytest.param(leaf, marks=pytest.mark.slow)
                for leaf in (
                    *(("schema_version",), ("backend",), ("address",), ("block",), ("details", "transaction")),
                    *(("details", "gas"), ("details", "time"), ("details", "ledger")),
                )
            ),
        ],
        ids=".".join,
    )
    def test_no_value_of_the_deployment_record_but_those_listed_can_be_another(self, folder, leaf):
        document = (EXAMPLE.parents[1] / "docs" / "audit.md").read_text()
        said = document[document.index("Nothing follows from its `backend`") :].split("\n\n")[0]
        path = folder / ".cocogen" / "clinics" / "deployment.json"
        record = json.loads(path.read_text())
        *outer, name = leaf
        inner = record
        for key in outer:
            inner = inner[key]
        value = inner[name]
        inner[name] = value + 1 if isinstance(value, int) else value[:-1] + ("0" if value[-1] != "0" else "1")
        path.write_text(json.dumps(record))
        code, out, err = cocogen("audit")
        assert (code == 0) == (f"`{name}`" in said), out + err
        assert code in (0, 1, 2, 5)

    def test_every_leaf_of_the_deployment_record_is_tried(self, folder):
        record = json.loads((folder / ".cocogen" / "clinics" / "deployment.json").read_text())
        leaves = {*record, *record["details"]} - {"details"}
        assert leaves == {
            *("schema_version", "backend", "address", "terms_hash", "chain_id", "block"),
            *("transaction", "gas", "time", "ledger", "config"),
        }

    def test_data_that_is_not_there_contradicts_nothing_from_a_node_or_from_a_file(self, folder, monkeypatch):
        """An auditor without the members' data cannot measure again: one verdict wherever the ledger comes from."""
        from cocogen.data.sources import split

        def absent(*_: Any) -> Any:
            raise DatasetError("there is no file own.npz", hint="give its folder with --data-dir")

        monkeypatch.setattr(split, "load", absent)
        for source in ((), ("--offline", "exported.jsonl")):
            data = data_of("audit", *source)
            found = check_of(data, "data")
            assert (data["status"], found["status"]) == ("PASS", "SKIPPED")
            assert "cannot be measured again: there is no file own.npz; give its folder" in found["detail"]
            assert statuses(data)["terms"] == "PASS"
            asked = data_of("audit", *source, "--data-dir", ".", code=5)
            assert statuses(asked)["data"] == asked["status"] == "INCOMPLETE"

    def test_data_that_are_there_are_measured_from_a_node_and_from_a_file(self, folder, monkeypatch):
        from cocogen.operations import verdict

        for source in ((), ("--offline", "exported.jsonl")):
            assert statuses(data_of("audit", *source))["data"] == "PASS"
        monkeypatch.setattr(verdict, "measurement_disagreements", lambda *_: ["organization.north.local"])
        for source in ((), ("--offline", "exported.jsonl")):
            data = data_of("audit", *source, code=1)
            assert statuses(data)["data"] == "FAIL"
            assert "organization.north.local" in check_of(data, "data")["detail"]

    def test_roles_of_keystores_that_are_elsewhere_contradict_nothing(self, folder, monkeypatch):
        from chain.contract.provider import ChainProvider
        from chain.errors.chain import MissingKey

        def elsewhere(_: Any, name: str) -> str:
            raise MissingKey("", name)

        monkeypatch.setattr(ChainProvider, "account", elsewhere)
        assert data_of("audit")["status"] == "PASS"

    def test_altered_terms_fail_whether_the_data_is_there_or_not(self, folder, monkeypatch):
        from cocogen.data.sources import split

        def absent(*_: Any) -> Any:
            raise DatasetError("there is no file own.npz")

        monkeypatch.setattr(split, "load", absent)
        text = Path("clinics.toml").read_text()
        Path("clinics.toml").write_text(text.replace("profitability = 2400.0", "profitability = 2401.0"))
        data = data_of("audit", "clinics.toml", code=1)
        assert check_of(data, "terms")["status"] == "FAIL"
        assert "organization.north.profitability" in check_of(data, "terms")["detail"]

    def test_altered_files_of_the_consortium_fail(self, folder):
        path = folder / ".cocogen" / "clinics" / "rounds" / "0001" / "attested.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        for source in ((), ("--offline", "exported.jsonl")):
            data = data_of("audit", *source, code=1)
            assert statuses(data)["evidence"] == "FAIL"
            assert "attested.json" in check_of(data, "evidence")["detail"]

    def test_files_without_their_attestation_leave_the_evidence_incomplete(self, folder):
        path = folder / ".cocogen" / "clinics" / "models" / "north" / "0001.npz"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"junk")
        for source in ((), ("--offline", "exported.jsonl")):
            data = data_of("audit", *source, code=5)
            assert statuses(data)["evidence"] == "INCOMPLETE"
            assert "0001.npz is here, but not the attestation" in check_of(data, "evidence")["detail"]

    def test_a_log_that_does_not_replay_leaves_the_evidence_incomplete(self, folder):
        forged(folder / "exported.jsonl", lambda lines: lines[1]["args"].update(index=99))
        data = data_of("audit", "--offline", "exported.jsonl", code=1)
        assert statuses(data)["evidence"] == "INCOMPLETE"

    def test_a_second_node_that_gives_no_answer_leaves_its_check_incomplete(self, folder):
        data = data_of("audit", "--second-node", "http://127.0.0.1:9", code=5)
        assert statuses(data)["cross-check"] == "INCOMPLETE"
        assert "gave no answer" in data["checks"][9]["detail"]
        assert {status for name, status in statuses(data).items() if name not in BESIDE} == {"PASS"}

    def test_a_second_nodes_secret_is_not_shown(self, folder):
        url = "http://user:password@127.0.0.1:9/v3/0123456789abcdef"
        code, out, err = cocogen("audit", "--second-node", url)
        assert code == 5
        assert "password" not in out + err
        assert "0123456789abcdef" not in out + err

    def test_a_second_node_is_named_by_its_url(self, folder):
        code, _, err = cocogen("audit", "--second-node", "anvil")
        assert code == 2
        assert "--second-node is 'anvil'" in err

    def test_terms_without_offline_is_a_wrong_word(self, folder):
        code, _, err = cocogen("audit", "--terms", "resolved.json")
        assert code == 2
        assert "--terms goes with --offline" in err


@pytest.mark.slow
def test_a_new_consortium_without_a_rule_for_silence_fails(tmp_path, monkeypatch):
    from cocogen.operations import deploy

    measure = deploy.register

    def leave_it_out(*arguments: Any, **options: Any) -> Any:
        made = measure(*arguments, **options)
        resolved = made.resolved.with_stand_ins(None)
        settlement = resolved.settlement.model_copy(update={"absence": None})
        return replace(made, resolved=resolved.model_copy(update={"settlement": settlement}))

    monkeypatch.setattr(deploy, "register", leave_it_out)
    monkeypatch.chdir(tmp_path)
    Path("clinics.toml").write_text(EXAMPLE.read_text())
    assert cocogen("deploy", "clinics.toml")[0] == 0
    assert cocogen("export", "-o", "exported.jsonl")[0] == 0
    for source in (
        (),
        ("clinics.toml",),
        ("--offline", "exported.jsonl"),
        ("clinics.toml", "--offline", "exported.jsonl"),
    ):
        data = data_of("audit", *source, code=1)
        assert [name for name, status in statuses(data).items() if status == "FAIL"] == ["terms"]
        assert "settlement.absence" in check_of(data, "terms")["detail"]


class TestExport:
    def test_it_says_where_and_how_much(self, folder):
        data = data_of("export", "-o", "again.jsonl")
        assert (folder / "again.jsonl").read_bytes() == (folder / "exported.jsonl").read_bytes()
        lines = (folder / "again.jsonl").read_bytes().splitlines(keepends=True)
        assert data["sha256"] == hashlib.sha256(b"".join(lines[:-1])).hexdigest()
        assert data["events"] == sum(b'"kind":"event"' in line for line in lines)

    def test_events_have_receipts(self, folder):
        lines = [json.loads(line) for line in (folder / "exported.jsonl").read_text().splitlines()]
        events = [line for line in lines if line["kind"] == "event"]
        assert all(event["status"] == 1 and event["gas"] > 21_000 for event in events)

    def test_a_place_that_cannot_be_written(self, folder):
        code, _, err = cocogen("export", "-o", "nowhere/ledger.jsonl")
        assert code == 2
        assert "cannot be written" in err

    def test_nothing_deployed(self, tmp_path):
        with contextlib.chdir(tmp_path):
            assert cocogen("export")[0] == 2


CAVEAT = (
    "audit: PASS - consistent with the terms; only a node can show that the file is the chain's (--second-node URL)"
)


class TestOffline:
    def test_missing_file_is_no_audit_at_all(self, elsewhere):
        code, out, err = cocogen("audit", "--offline", "none.jsonl", "--terms", "resolved.json")
        assert (code, out) == (2, "")
        assert "there is no file none.jsonl" in err

    def test_ledger_alone_asks_for_the_terms(self, elsewhere):
        code, _, err = cocogen("audit", "--offline", "exported.jsonl")
        assert code == 2
        assert "--terms FILE" in err

    def test_the_last_line_says_what_a_file_cannot_show(self, elsewhere):
        code, out, _ = cocogen("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert code == 0
        assert out.splitlines()[-1] == CAVEAT
        assert "whether a file is the chain's" in out

    def test_a_second_node_that_agrees_leaves_no_caveat(self, elsewhere, monkeypatch):
        monkeypatch.setattr("chain.audit.findings.ask_second_node", lambda url, record, name: record)
        offline = ("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", "--second-node", "http://second")
        code, out, _ = cocogen(*offline)
        assert code == 0
        assert out.splitlines()[-1] == "audit: PASS"

    def test_an_invented_withdrawal_is_consistent_at_most(self, elsewhere):
        forged(elsewhere / "exported.jsonl", withdraw_everything_of_the_first)
        offline = ("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        code, out, _ = cocogen(*offline)
        assert code == 0
        assert out.splitlines()[-1] == CAVEAT
        assert data_of(*offline)["origin"] == "file"

    def test_an_invented_wallet_of_the_attester_is_not_believed(self, elsewhere):
        def change(lines: list[dict[str, Any]]) -> None:
            lines[0]["attester_is_contract"] = True
            for line in lines:
                if line.get("name") == "ContributionSubmitted":
                    line["attested"] = True
                    line["args"]["attesterSignature"] = "0x01"

        forged(elsewhere / "exported.jsonl", change)
        data = data_of("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", code=5)
        assert statuses(data)["signatures"] == "INCOMPLETE"
        assert "the file says that the attester's wallet accepted" in data["checks"][3]["detail"]

    @pytest.mark.parametrize("text", ["0xab\x1b[2J\x1b[H audit: PASS\x1b[8m", "\ud800"])
    def test_nothing_in_a_file_reaches_the_terminal_as_it_is(self, elsewhere, text):
        def change(lines: list[dict[str, Any]]) -> None:
            next(line for line in lines if line["kind"] == "event").update(time=5, transaction=text)

        forged(elsewhere / "exported.jsonl", change)
        code, out, err = cocogen("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert code == 5
        assert (out + err).isascii()
        assert "\x1b" not in out + err
        assert "exported.jsonl:2: transaction is" in out
        assert out.splitlines()[-1] == "audit: INCOMPLETE"

    @pytest.mark.parametrize(
        ("before", "after", "reason"),
        [
            ('"damage": ', '"damage": 2.0,\n "damage": ', "the key 'damage' stands there twice"),
            ('"data_cap": ', '"data_cap": 1, "data_cap": ', "the key 'data_cap' stands there twice"),
            ('"name": "lakeview"', '"name": "lake\\u001b[8mview"', "'name' is 'lake\\x1b[8mview'"),
        ],
    )
    def test_resolved_terms_that_can_be_read_two_ways_are_refused(self, elsewhere, before, after, reason):
        path = elsewhere / "resolved.json"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
        code, out, err = cocogen("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert code == 2
        assert reason in err
        assert "resolved.json" in err
        assert "\x1b" not in out + err

    def test_resolved_terms_in_another_text_are_refused(self, elsewhere):
        path = elsewhere / "resolved.json"
        path.write_text(json.dumps(json.loads(path.read_text())))
        code, _, err = cocogen("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert code == 2
        assert "resolved.json" in err
        assert "line 1" in err

    def test_two_files_are_enough(self, elsewhere):
        data = data_of("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert statuses(data) == dict.fromkeys(statuses(data), "PASS") | dict.fromkeys(BESIDE, "SKIPPED")

    def test_it_agrees_with_the_live_audit(self, folder):
        live = data_of("audit")
        assert live["origin"] == "node"
        assert data_of("audit", "--offline", "exported.jsonl") == live | {"origin": "file"}

    def test_a_terms_file_can_be_compared(self, elsewhere):
        offline = ("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", "clinics.toml")
        assert data_of(*offline)["status"] == "PASS"
        config = elsewhere / "clinics.toml"
        config.write_text(config.read_text().replace("profitability = 700.0", "profitability = 701.0"))
        data = data_of(*offline, code=1)
        assert statuses(data)["terms"] == "FAIL"
        assert "lakeview" in data["checks"][1]["detail"]

    def test_other_terms_fail(self, elsewhere):
        path = elsewhere / "resolved.json"
        resolved = json.loads(path.read_text())
        resolved["organization"][0]["data_cap"] += 1
        path.write_text(json.dumps(resolved, sort_keys=True, indent=1) + "\n")
        data = data_of("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", code=1)
        assert statuses(data)["terms"] == "FAIL"

    def test_terms_that_no_ledger_can_hold_are_incomplete(self, elsewhere):
        path = elsewhere / "resolved.json"
        resolved = json.loads(path.read_text())
        resolved["organization"][0]["data_cap"] = 1 << 64
        path.write_text(json.dumps(resolved, sort_keys=True, indent=1) + "\n")
        data = data_of("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", code=5)
        assert "data_cap" in data["checks"][0]["detail"]

    def test_a_forged_file_fails(self, elsewhere):
        def change(lines: list[dict[str, Any]]) -> None:
            next(line for line in lines if line.get("name") == "ContributionSubmitted")["args"]["data"] += 1

        forged(elsewhere / "exported.jsonl", change)
        data = data_of("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", code=1)
        assert statuses(data)["signatures"] == "FAIL"

    def test_a_damaged_file_is_incomplete_and_says_where(self, elsewhere):
        path = elsewhere / "exported.jsonl"
        path.write_bytes(path.read_bytes()[:-100])
        data = data_of("audit", "--offline", "exported.jsonl", "--terms", "resolved.json", code=5)
        assert set(statuses(data).values()) == {"INCOMPLETE"}
        lines = len(path.read_bytes().splitlines())
        assert data["checks"][0]["detail"].startswith(f"exported.jsonl:{lines}: ")

    @pytest.mark.parametrize("content", [None, "{", "{}"])
    def test_terms_that_cannot_be_read_are_a_usage_error(self, elsewhere, content):
        if content is None:
            (elsewhere / "resolved.json").unlink()
        else:
            (elsewhere / "resolved.json").write_text(content)
        code, _, err = cocogen("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert code == 2
        assert "resolved.json" in err

    def test_another_build_of_the_contract_is_said(self, elsewhere):
        forged(elsewhere / "exported.jsonl", lambda lines: lines[0].update(artifact="00"))
        code, _, err = cocogen("audit", "--offline", "exported.jsonl", "--terms", "resolved.json")
        assert code == 0
        assert "another build of the contract" in err
