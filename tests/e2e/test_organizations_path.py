"""The organizations' path by hand: deploy, deposit, open, train, attest, submit, record, settle, withdraw, audit."""

from __future__ import annotations

import json

import pytest

from cocogen.terms.resolved import ResolvedSettlement

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
    said["withdraw"] = cocogen.json("withdraw -o north --all")
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


@pytest.mark.slow
def test_a_round_by_hand_pays_what_the_contributions_are_worth_and_audits(cocogen):
    check_walk(walk(cocogen))


@pytest.mark.slow
def test_a_round_by_hand_over_separate_processes(separate_cocogen):
    check_walk(walk(separate_cocogen))


class TestAfterARound:
    def test_a_tampered_terms_file_fails_the_audit_at_the_terms(self, settled):
        terms = settled.folder / "clinics.toml"
        terms.write_text(terms.read_text().replace("profitability = 700.0", "profitability = 701.0"))
        audit = settled.json("audit", code=1)
        assert audit["status"] == "FAIL"
        assert [check["name"] for check in audit["checks"] if check["status"] == "FAIL"] == ["terms"]
        assert "lakeview" in next(check["detail"] for check in audit["checks"] if check["name"] == "terms")

    def test_another_terms_file_named_on_the_command_line_fails_the_audit(self, settled):
        other = settled.folder / "other.toml"
        other.write_text((settled.folder / "clinics.toml").read_text().replace('name = "clinics"', 'name = "others"'))
        failed = settled("audit other.toml", code=1)
        assert "audit: FAIL" in failed.out
        assert "terms" in failed.out
        assert settled.json("audit clinics.toml")["status"] == "PASS"

    def test_a_terms_file_that_no_longer_parses_fails_the_audit(self, settled):
        (settled.folder / "clinics.toml").write_text("[consortium")
        audit = settled.json("audit", code=1)
        assert [check["name"] for check in audit["checks"] if check["status"] == "FAIL"] == ["terms"]

    @pytest.mark.parametrize("field", ["profitability", "score_offset", "data_cap", "quality", "stand_in"])
    def test_tampered_resolved_terms_fail_the_audit_at_the_terms(self, settled, field):
        path = settled.folder / ".cocogen" / "clinics" / "resolved.json"
        resolved = json.loads(path.read_text())
        first = resolved["organization"][0]
        if field == "stand_in":
            first[field][1] -= 1
        else:
            first[field] = first[field] * 0.5 if field == "quality" else first[field] + 1
        path.write_text(json.dumps(resolved, sort_keys=True, indent=1) + "\n")
        audit = settled.json("audit", code=1)
        assert "terms" in [check["name"] for check in audit["checks"] if check["status"] == "FAIL"]
        assert settled.json("status", code=3)["code"] == "TermsMismatch"

    def test_an_altered_chain_file_never_audits_clean(self, settled):
        chain = settled.folder / ".cocogen" / "clinics" / "chain.sqlite"
        content = bytearray(chain.read_bytes())
        for position in range(len(content) // 2, len(content), 997):
            content[position] ^= 0xFF
        chain.write_bytes(content)
        answer = settled("audit --format json", code=None)
        assert answer.code in (1, 3, 5)

    def test_the_next_round_is_played_by_those_who_hold_their_bond(self, settled):
        mistyped = "0xD8da6bf26964af9d7eed9e03e53415d37aa96045"
        assert settled.json(f"withdraw -o north --to {mistyped}", code=2)["code"] == "ConfigurationError"
        state = settled.json("status")["organizations"]["north"]
        free = settled.json("withdraw -o north")
        assert free["balance"] == state["liability"]  # by default the bond stays
        assert settled.json("withdraw -o north", code=3)["hint"] == "--all takes the bond too"
        taken = settled.json("withdraw -o north --all")
        assert taken["balance"] == "0"
        assert "round open" in settled.json("status")["next"]  # five of six are enough
        opened = settled.json("round open")
        assert opened["participants"] == list(NAMES[1:])

    def test_an_organization_that_leaves_takes_no_part_and_can_come_back(self, settled):
        settled("exit -o meadow")
        assert settled.json("exit -o meadow", code=3)["code"] == "AlreadyExiting"
        assert settled.json("status")["organizations"]["meadow"]["exiting"]
        settled("exit -o meadow --cancel")
        settled("exit -o meadow")
        assert "meadow" not in settled.json("round open")["participants"]

    def test_status_shows_the_history(self, settled):
        status = settled.json("status")
        assert status["phase"] == "idle"
        assert [entry["status"] for entry in status["history"]] == ["settled"]


class TestSilentMember:
    @pytest.fixture
    def without_lakeview(self, states, attested):
        def reach(cocogen):
            for name in NAMES[:-1]:
                cocogen(f"submit -o {name}")

        return states("without lakeview", reach, after="attested")

    def test_is_relayed_by_another_in_the_second_half_of_the_window(self, without_lakeview):
        cocogen = without_lakeview
        early = cocogen.json("submit -o lakeview --sender north", code=3)
        assert early["code"] == "NotMember"
        assert "north is not lakeview" in early["message"]
        cocogen("chain advance 43200")
        assert cocogen.json("submit -o lakeview --sender north")["sender"] == "north"
        cocogen("round record")
        settled = cocogen.json("round settle --advance")
        assert settled["transfers"]["lakeview"] != "0"
        assert settled["sum"] == "0"

    def test_pays_by_its_stand_in_while_everyone_else_is_settled(self, without_lakeview):
        cocogen = without_lakeview
        foretold = cocogen.json("plan -o lakeview")["silence"]["lakeview"]
        assert foretold["settles_without"]
        assert int(foretold["silent"]) < 0
        assert cocogen.json("round record", code=3)["code"] == "TooEarly"
        assert "without lakeview (charged by stand-in)" in cocogen("round record --advance").out
        settled = cocogen.json("round settle --advance")
        assert settled["transfers"]["lakeview"] == foretold["silent"]
        assert settled["sum"] == "0"
        assert any(wei != "0" for wei in settled["transfers"].values())
        assert cocogen.json("audit")["status"] == "PASS"

    def test_trains_the_next_round_from_the_model_it_holds(self, without_lakeview):
        cocogen = without_lakeview
        cocogen("round record --advance")
        cocogen("round settle --advance")
        cocogen("round open")
        cocogen("train")
        answer = cocogen.json("attest")
        assert answer["rejected"] == {}
        assert all(answer["contributions"].values())

    def test_is_not_given_the_model_and_status_says_why(self, without_lakeview):
        cocogen = without_lakeview
        models = cocogen.folder / ".cocogen/clinics/models"
        assert [path.name for path in models.iterdir()] == ["initial.npz"]
        recorded = cocogen.json("round record --advance")
        assert recorded["model"]["recipients"] == list(NAMES[:-1])
        assert {path.parent.name for path in models.glob("*/0001.npz")} == set(NAMES[:-1])
        status = cocogen.json("status")
        assert status["history"][0]["model"]["withheld"] == {"lakeview": "no contribution of it was recorded"}
        held = {name: entry["model_of_round"] for name, entry in status["organizations"].items()}
        assert held == dict.fromkeys(NAMES[:-1], 1) | {"lakeview": 0}
        text = cocogen("status").out
        assert "not to lakeview: no contribution of it was recorded" in text
        attested_file = cocogen.folder / ".cocogen/clinics/rounds/0001/attested.json"
        kept = attested_file.read_text()
        attested_file.write_text("{}")
        withheld = cocogen.json("status")["history"][0]["model"]["withheld"]
        assert withheld == {"lakeview": "no contribution of it was recorded"}
        attested_file.write_text(kept)
        (models / "north" / "0001.npz").unlink()
        assert [path.rpartition("models/")[2] for path in cocogen.json("round deliver")["files"]] == ["north/0001.npz"]
        assert cocogen("round deliver").out.endswith("0 new files\n")

    @pytest.mark.slow
    def test_below_the_quorum_the_round_is_void_and_nothing_is_paid(self, attested):
        for name in NAMES[:4]:
            attested(f"submit -o {name}")
        assert attested.json("round record --advance")["status"] == "voided"
        status = attested.json("status")
        assert status["phase"] == "idle"
        assert set(status["history"][0]["transfers"].values()) == {"0"}
        assert status["history"][0]["model"]["recipients"] == []
        assert not list((attested.folder / ".cocogen/clinics/models").glob("*/*.npz"))
        assert "the model of round 1 goes to nobody: the round was void" in attested("status").out
        assert attested.json("audit")["status"] == "PASS"
        assert attested.json("round open")["round"] == 2

    def test_cannot_be_submitted_for_without_an_attested_contribution(self, trained):
        (trained.folder / ".cocogen/clinics/rounds/0001/meadow.bundle").unlink()
        trained("attest")
        refused = trained.json("submit -o meadow", code=4)
        assert refused["code"] == "EvidenceRejected"
        assert "no evidence" in refused["message"]
        assert "it gets no model of the round, and pays what `cocogen plan` says" in refused["hint"]


class TestWhatSilenceCosts:
    def test_is_said_with_the_deposit_and_with_the_plan(self, deployed):
        said = deployed("deposit -o riverside")
        assert "if riverside takes part in round 1 and hands in nothing, it pays" in said.out
        assert "silence loses" in " ".join(said.out.split())
        assert "`cocogen exit -o riverside` before it opens" in said.out
        assert max(len(line) for line in said.out.splitlines()[2:]) <= 80
        entry = deployed.json("deposit -o riverside")["silence"]
        assert int(entry["saved"]) == int(entry["silent"]) - int(entry["contributing"])
        assert deployed.json("plan")["silence"]["riverside"] == entry
        shown = deployed("plan").out
        table = shown[shown.index("who hands in nothing") :]
        assert "nobody saves anything by silence; were the κ of its generator to fall to" in table
        assert max(len(line) for line in table.splitlines()) <= 80

    @pytest.mark.slow
    def test_nobody_is_told_what_a_round_costs_that_it_sits_out(self, deployed):
        for name in NAMES:
            deployed(f"deposit -o {name}")
        deployed("exit -o meadow")
        assert deployed.json("deposit -o meadow")["silence"] is None
        silence = deployed.json("plan")["silence"]
        assert silence["meadow"] is None
        assert silence["north"]["settles_without"]
        deployed("exit -o meadow --cancel")
        assert deployed.json("plan")["silence"]["meadow"] is not None

    def test_a_quorum_that_makes_everybody_pivotal_is_warned_of(self, cocogen, terms):
        assert "warning" not in cocogen("deploy clinics.toml").err
        terms.write_text(terms.read_text().replace("quorum = 0.8", "quorum = 1.0").replace('"clinics"', '"others"', 1))
        said = cocogen("deploy clinics.toml")
        assert "any member that hands in nothing voids the round" in said.err
        assert "6 contributions of 6" in said.err
        pivotal = cocogen.json("plan --workspace .cocogen/others")["silence"]["riverside"]
        assert (pivotal["silent"], pivotal["settles_without"]) == ("0", False)
        assert "without it the round is void" in cocogen("deposit -o riverside --workspace .cocogen/others").out

    def test_minimum_members_and_masking_are_warned_of(self, cocogen, terms):
        text = terms.read_text().replace("minimum_members = 5", "minimum_members = 6")
        terms.write_text(text.replace("[settlement]", '[settlement]\nabsence = "masked"'))
        warnings = cocogen.json("deploy clinics.toml")["warnings"]
        assert ["no round opens without all members" in warning for warning in warnings] == [True, False]
        assert 'absence = "masked"' in warnings[1]
        said = " ".join(cocogen("deposit -o riverside").out.split())
        assert "hands in nothing, it pays nothing" in said
        assert "silence saves 2" in said

    def test_terms_of_before_there_were_stand_ins_are_named_to_who_has_not_accepted_them(self, cocogen, monkeypatch):
        def before(settlement):
            return ResolvedSettlement(**settlement.model_dump() | {"absence": None})

        monkeypatch.setattr(ResolvedSettlement, "of", before)
        cocogen("deploy clinics.toml")
        assert "absence" not in (cocogen.folder / ".cocogen/clinics/resolved.json").read_text()
        refused = cocogen.json("deposit -o harbor --config clinics.toml", code=2)
        assert "settlement.absence" in refused["message"]
        assert "hands in nothing, it pays nothing" in " ".join(cocogen("deposit -o harbor").out.split())
        assert cocogen.json("deposit -o harbor --config clinics.toml")["organization"] == "harbor"
        verdict = cocogen.json("audit", code=1)
        (failed,) = (check for check in verdict["checks"] if check["status"] == "FAIL")
        assert failed["detail"] == "the resolved terms leave out settlement.absence, the rule for silence"

    def test_an_exit_while_a_round_is_open_does_not_excuse_from_it(self, trained):
        said = trained("exit -o meadow")
        assert "round 1 is open, and meadow takes part in it still" in said.err
        assert "round" not in trained("exit -o meadow --cancel").err
        assert trained.json("plan -o meadow")["silence"]["meadow"]["settles_without"]


class TestOrder:
    def test_steps_out_of_order_say_what_comes_next_and_change_nothing(self, deployed):
        assert deployed.json("train", code=2)["code"] == "WorkspaceError"
        assert deployed.json("attest", code=2)["code"] == "WorkspaceError"
        assert deployed.json("submit -o north", code=2)["code"] == "WorkspaceError"
        assert deployed.json("round record", code=3)["code"] == "WrongPhase"
        assert deployed.json("round settle", code=3)["code"] == "WrongPhase"
        assert deployed.json("round open", code=3)["code"] == "NotEnoughMembers"
        assert deployed.json("withdraw -o north", code=3)["hint"]
        assert deployed.json("deposit -o nobody", code=2)["code"] == "ConfigurationError"
        assert deployed.json("deposit -o north --amount 1wei", code=3)["code"] == "BondTooSmall"
        assert deployed.json("chain advance soon", code=2)["code"] == "ConfigurationError"
        assert deployed.json("status")["round"] == 0

    def test_a_deposit_with_ones_own_terms_file_refuses_other_terms(self, deployed):
        mine = deployed.folder / "mine.toml"
        mine.write_text((deployed.folder / "clinics.toml").read_text().replace("quorum = 0.8", "quorum = 0.9"))
        refused = deployed.json("deposit -o north --config mine.toml", code=2)
        assert "settlement" in refused["message"]
        assert deployed.json("deposit -o north --config clinics.toml")["organization"] == "north"

    def test_a_deposit_that_is_repeated_sends_nothing_unless_an_amount_is_named(self, deployed):
        first = deployed.json("deposit -o north")
        again = deployed.json("deposit -o north")
        assert (again["deposited"], again["receipt"], again["balance"]) == ("0", None, first["balance"])
        more = deployed.json("deposit -o north --amount 5wei")
        assert int(more["balance"]) == int(first["balance"]) + 5

    def test_deploying_twice_into_one_workspace_is_refused(self, deployed):
        assert "already holds a deployment" in deployed.json("deploy clinics.toml", code=2)["message"]

    def test_solving_without_a_file_takes_the_deployed_terms(self, deployed):
        assert deployed.json("solve")["strategies"] == deployed.json("solve clinics.toml")["strategies"]

    def test_a_stranger_in_the_attesters_role_is_named_before_depositing(self, deployed):
        terms = deployed.folder / "mine.toml"
        other = "0x" + "22" * 20
        text = (deployed.folder / "clinics.toml").read_text()
        terms.write_text(text.replace("[settlement]", f'[settlement]\nattester = "{other}"'))
        refused = deployed.json("deposit -o north --config mine.toml", code=2)
        assert "settlement" in refused["message"]

    def test_one_account_in_two_roles_that_judge_each_other_is_said_at_deploy_and_deposit(
        self, cocogen, terms, deployed
    ):
        north = deployed.json("deploy clinics.toml --workspace elsewhere")["organizations"]["north"]["address"]
        text = terms.read_text()
        terms.write_text(text.replace("[settlement]", f'[settlement]\nattester = "{north}"'))
        said = cocogen("deploy clinics.toml --format json")
        assert "warning: north and the attester are one account" in said.err
        assert len(said.data["shared_roles"]) == 1
        assert "warning: north and the attester are one account" in cocogen("deposit -o harbor").err

    def test_deploying_to_a_ledger_that_does_not_last_is_refused(self, cocogen):
        assert "does not outlive" in cocogen.json("deploy clinics.toml --ledger memory", code=2)["message"]

    def test_amounts_that_do_not_fit_the_contract_are_a_configuration_error(self, cocogen, terms):
        text = terms.read_text().replace('redistribution = "optimal"', "strength = 1e9")
        text = text.replace('"equal-surplus"', '"local"')
        terms.write_text(text.replace("wei_per_unit = 1_000_000_000_000_000", f"wei_per_unit = {10**24}"))
        error = cocogen.json("deploy clinics.toml", code=2)
        assert error["code"] == "ConfigurationError"
        assert "clinics.toml" in error["message"]

    def test_each_organization_can_train_by_itself(self, trained, states):
        together = {path.name: path.stat().st_size for path in trained.folder.glob("**/*.bundle")}
        for path in trained.folder.glob("**/*.bundle"):
            path.unlink()
        for name in NAMES:
            assert list(trained.json(f"train -o {name}")["bundles"]) == [name]
        assert {path.name for path in trained.folder.glob("**/*.bundle")} == set(together)
        assert trained.json("attest")["rejected"] == {}

    def test_evidence_and_attestation_are_written_once(self, attested):
        before = {path: path.read_bytes() for path in attested.folder.glob("**/rounds/0001/*")}
        attested("train")
        attested("attest")
        assert {path: path.read_bytes() for path in attested.folder.glob("**/rounds/0001/*")} == before

    def test_a_forged_bundle_is_rejected_by_name_and_the_others_are_signed(self, trained):
        bundle = trained.folder / ".cocogen/clinics/rounds/0001/harbor.bundle"
        content = bytearray(bundle.read_bytes())
        content[len(content) // 2] ^= 1
        bundle.write_bytes(content)
        answer = trained.json("attest")
        assert list(answer["rejected"]) == ["harbor"]
        assert answer["contributions"]["harbor"] is None
        assert sum(c is not None for c in answer["contributions"].values()) == 5
        refused = trained.json("submit -o harbor", code=4)
        assert refused["code"] == "EvidenceRejected"
