"""The organizations' path by hand: deploy, deposit, open, train, attest, submit, record, settle, withdraw, audit."""

from __future__ import annotations

import json

import pytest

NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")


def walk(cocogen) -> dict[str, dict]:
    """One round, command by command; returns the answers by step."""
    said = {"deploy": cocogen.json("deploy clinics.toml --ledger embedded:demo.chain")}
    for name in NAMES:
        said[f"deposit {name}"] = cocogen.json(f"deposit -o {name}")
    said["open"] = cocogen.json("round open")
    said["plan"] = cocogen.json("plan")
    said["train"] = cocogen.json("train")
    said["attest"] = cocogen.json("attest")
    for name in NAMES:
        said[f"submit {name}"] = cocogen.json(f"submit -o {name}")
    said["record"] = cocogen.json("round record")
    said["advance"] = cocogen.json("chain advance 86401")
    said["settle"] = cocogen.json("round settle")
    said["withdraw"] = cocogen.json("withdraw -o north")
    said["audit"] = cocogen.json("audit")
    return said


def check_walk(said: dict[str, dict]) -> None:
    assert set(said["deploy"]["organizations"]) == set(NAMES)
    assert said["open"]["participants"] == list(NAMES)
    assert said["plan"]["epsilon"] <= 1e-6
    planned = {name: said["plan"]["generated"][name] for name in NAMES}
    attested = {name: c["generated"] for name, c in said["attest"]["contributions"].items()}
    assert attested == planned
    transfers = {name: int(wei) for name, wei in said["settle"]["transfers"].items()}
    assert sum(transfers.values()) == 0
    assert any(transfers.values())
    for name in NAMES:
        deposited = int(said[f"deposit {name}"]["balance"])
        assert int(said["settle"]["balances"][name]) == deposited + transfers[name]
    assert int(said["withdraw"]["withdrawn"]) == int(said["settle"]["balances"]["north"])
    assert said["withdraw"]["balance"] == "0"
    assert said["audit"]["status"] == "PASS"
    assert {check["name"] for check in said["audit"]["checks"]} >= {"code", "terms", "events", "signatures", "balances"}


def test_a_round_by_hand_pays_what_the_contributions_are_worth_and_audits(cocogen):
    check_walk(walk(cocogen))


@pytest.mark.slow
def test_a_round_by_hand_over_separate_processes(separate_cocogen):
    check_walk(walk(separate_cocogen))


class TestAfterARound:
    @pytest.fixture
    def settled(self, cocogen):
        walk(cocogen)
        return cocogen

    def test_a_tampered_terms_file_fails_the_audit_at_the_terms(self, settled, terms):
        terms.write_text(terms.read_text().replace("profitability = 700.0", "profitability = 701.0"))
        audit = settled.json("audit", code=1)
        assert audit["status"] == "FAIL"
        assert [check["name"] for check in audit["checks"] if check["status"] == "FAIL"] == ["terms"]
        assert "lakeview" in next(check["detail"] for check in audit["checks"] if check["name"] == "terms")

    def test_tampered_resolved_terms_fail_the_audit(self, settled):
        path = settled.folder / ".cocogen" / "clinics" / "resolved.json"
        resolved = json.loads(path.read_text())
        resolved["organization"][0]["profitability"] += 1
        path.write_text(json.dumps(resolved))
        answer = settled("audit", code=None)
        assert answer.code != 0

    def test_the_next_round_needs_the_bond_that_was_withdrawn(self, settled):
        assert "deposit -o NAME` by north" not in settled.json("status")["next"]  # five of six are enough
        opened = settled.json("round open")
        assert opened["participants"] == list(NAMES[1:])

    def test_status_shows_the_history(self, settled):
        status = settled.json("status")
        assert status["phase"] == "idle"
        assert [entry["status"] for entry in status["history"]] == ["settled"]


class TestSilentMember:
    @pytest.fixture
    def attested(self, cocogen):
        cocogen("deploy clinics.toml")
        for name in NAMES:
            cocogen(f"deposit -o {name}")
        cocogen("round open")
        cocogen("train")
        cocogen("attest")
        for name in NAMES[:-1]:
            cocogen(f"submit -o {name}")
        return cocogen

    def test_is_relayed_by_another_in_the_second_half_of_the_window(self, attested):
        early = attested.json("submit -o lakeview --sender north", code=3)
        assert early["code"] == "NotMember"
        attested("chain advance 43300")
        relayed = attested.json("submit -o lakeview --sender north")
        assert relayed["sender"] == "north"
        attested("round record")
        settled = attested.json("round settle --advance")
        assert settled["transfers"]["lakeview"] != "0"
        assert settled["sum"] == "0"

    def test_is_masked_while_everyone_else_is_settled(self, attested):
        early = attested.json("round record", code=3)
        assert early["code"] == "TooEarly"
        recorded = attested.json("round record --advance")
        assert recorded["missing"] == ["lakeview"]
        settled = attested.json("round settle --advance")
        assert settled["transfers"]["lakeview"] == "0"
        assert settled["sum"] == "0"
        assert any(wei != "0" for wei in settled["transfers"].values())
        assert attested.json("audit")["status"] == "PASS"

    def test_trains_the_next_round_from_the_model_it_holds(self, attested):
        attested("round record --advance")
        attested("round settle --advance")
        for name in NAMES:
            attested(f"deposit -o {name}")
        attested("round open")
        attested("train")
        answer = attested.json("attest")
        assert answer["rejected"] == {}
        assert all(answer["contributions"].values())

    def test_below_the_quorum_the_round_is_void_and_nothing_is_paid(self, cocogen):
        cocogen("deploy clinics.toml")
        for name in NAMES:
            cocogen(f"deposit -o {name}")
        cocogen("round open")
        cocogen("train")
        cocogen("attest")
        for name in NAMES[:4]:
            cocogen(f"submit -o {name}")
        assert cocogen.json("round record --advance")["status"] == "voided"
        status = cocogen.json("status")
        assert status["phase"] == "idle"
        assert set(status["history"][0]["transfers"].values()) == {"0"}
        assert cocogen.json("audit")["status"] == "PASS"


class TestOrder:
    def test_steps_out_of_order_say_what_comes_next_and_change_nothing(self, cocogen):
        cocogen("deploy clinics.toml")
        assert cocogen.json("train", code=2)["code"] == "WorkspaceError"
        assert cocogen.json("submit -o north", code=2)["code"] == "WorkspaceError"
        assert cocogen.json("round record", code=3)["code"] == "WrongPhase"
        assert cocogen.json("round open", code=3)["code"] == "NotEnoughMembers"
        assert cocogen.json("withdraw -o north", code=3)["hint"]
        assert cocogen.json("deposit -o nobody", code=2)["code"] == "ConfigurationError"
        assert cocogen.json("status")["round"] == 0

    def test_deploying_twice_into_one_workspace_is_refused(self, cocogen):
        cocogen("deploy clinics.toml")
        assert "already holds a deployment" in cocogen.json("deploy clinics.toml", code=2)["message"]

    def test_deploying_to_a_ledger_that_does_not_last_is_refused(self, cocogen):
        assert "does not outlive" in cocogen.json("deploy clinics.toml --ledger memory", code=2)["message"]

    def test_a_forged_bundle_is_rejected_by_name_and_the_others_are_signed(self, cocogen):
        cocogen("deploy clinics.toml")
        for name in NAMES:
            cocogen(f"deposit -o {name}")
        cocogen("round open")
        cocogen("train")
        bundle = cocogen.folder / ".cocogen" / "clinics" / "rounds" / "0001" / "harbor.bundle"
        content = bytearray(bundle.read_bytes())
        content[len(content) // 2] ^= 1
        bundle.write_bytes(content)
        answer = cocogen.json("attest")
        assert list(answer["rejected"]) == ["harbor"]
        assert answer["contributions"]["harbor"] is None
        assert sum(c is not None for c in answer["contributions"].values()) == 5
        refused = cocogen.json("submit -o harbor", code=4)
        assert refused["code"] == "EvidenceRejected"
