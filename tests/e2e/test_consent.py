"""Whatever spends on a chain whose money counts is shown and asked about first; on a local chain nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.fixture
def counts(monkeypatch):
    """The money of the embedded chain counts from here on, as far as the question before it is spent is concerned."""
    from chain.contract import price, provider, transactions

    real = price.spending

    def counting(*given, **named):
        return replace(real(*given, **named), worthless=False)

    def begin() -> None:
        monkeypatch.setattr(provider, "spending", counting)
        monkeypatch.setattr(transactions, "spending", counting)

    return begin


@pytest.fixture
def bonded(states, deployed):
    """North has deposited."""
    return states("bonded in units", lambda cocogen: cocogen("deposit -o north --amount 10ether"), after="deployed")


def balance(cocogen, name: str = "north") -> int:
    return int(cocogen.json("status")["organizations"][name]["balance"])


def head(cocogen) -> tuple[int, int]:
    state = cocogen.json("status")
    return state["now"], state["round"]


def test_amounts_are_in_the_consortiums_units_unless_they_name_another(bonded):
    unit = 10**15
    assert balance(bonded) == 10**19
    assert bonded.json("deposit -o north --amount 250")["deposited"] == str(250 * unit)
    assert bonded.json("withdraw -o north --amount 0.25ether")["withdrawn"] == str(250 * unit)
    assert bonded.json("withdraw -o north --amount 250wei")["withdrawn"] == "250"
    assert bonded.json("withdraw -o north --amount max")["withdrawn"] == str(10**19 - 250)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("deposit -o north --amount 1e18", "a number, for example 250"),
        ("deposit -o north --amount max", "a number, for example 250"),
        ("deposit -o north --amount 0.5wei", "a whole number of wei"),
        ("withdraw -o north --amount 0", "at least 1 and below 2^127 wei"),
        ("withdraw -o north --amount=-3", "not negative"),
        ("withdraw -o north --amount 5 --all", "give either --amount or --all"),
    ],
)
def test_a_wrong_amount_sends_nothing(deployed, command, said):
    before = head(deployed)
    refused = deployed.json(command, code=2)
    assert refused["code"] == "ConfigurationError"
    assert said in refused["message"]
    assert head(deployed) == before


def test_a_dry_run_on_a_local_chain_shows_the_same_and_sends_nothing(deployed):
    before = head(deployed)
    shown = deployed.json("deposit -o north --amount 10ether --dry-run")
    assert (shown["amount"], shown["local"], shown["by"]) == (str(10**19), True, "north")
    assert (shown["balance_after"], shown["dry_run"]) == (str(10**19), True)
    said = deployed("deposit -o north --dry-run").out
    assert said.splitlines()[-1] == "nothing was sent (--dry-run)"
    assert "deposit of " in said
    assert head(deployed) == before
    assert balance(deployed) == 0
    taken = int(deployed.json("deposit -o north --amount 10ether")["receipt"]["gas"])
    assert taken <= shown["gas"] < 1.1 * taken


def test_where_money_counts_a_script_has_to_agree_to_what_is_shown(bonded, counts):
    counts()
    for command in ("deposit -o north --amount 1ether", "withdraw -o north", "deposit -o harbor"):
        refused = bonded.json(command, code=2)
        assert refused["code"] == "NotAgreed"
        assert "--yes" in refused["hint"]
        assert "fee: about 0.000" in refused["message"]
    assert (balance(bonded), balance(bonded, "harbor")) == (10**19, 0)
    shown = bonded.json("withdraw -o north --all --dry-run")
    assert (shown["amount"], shown["balance_after"]) == (str(10**19), "0")
    assert int(shown["account_after"]) == int(shown["account_before"]) + 10**19 - int(shown["fee"])
    elsewhere = bonded.json(f"withdraw -o north --all --dry-run --to 0x{'11' * 20}")
    assert int(elsewhere["account_after"]) == int(elsewhere["account_before"]) - int(elsewhere["fee"])
    answer = bonded("withdraw -o north --all --yes --format json")
    assert answer.data["withdrawn"] == str(10**19)
    assert "withdrawal of 10,000.000000 (10000000000000000000 wei) by north, 0x" in answer.err


def test_a_person_is_asked_and_a_no_changes_nothing(bonded, counts, monkeypatch):
    counts()
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda text, **options: asked.append((text, options)) or len(asked) > 1)
    refused = bonded("deposit -o north --amount 1ether", code=2)
    assert "you did not agree" in refused.err
    assert "deposit of 1,000.000000 (1000000000000000000 wei) by north, 0x" in refused.err
    assert balance(bonded) == 10**19
    assert "deposited 1,000.000000" in bonded("deposit -o north --amount 1ether").out
    assert asked == [("Send it?", {"default": False, "err": True})] * 2
    assert balance(bonded) == 11 * 10**18


def test_agreeing_to_spend_is_not_agreeing_to_spend_twice(bonded, counts, monkeypatch):
    from chain.contract.provider import ChainProvider

    class Killed(BaseException):
        pass

    def die(*_given, **_named):
        raise Killed

    counts()
    command = "deposit -o north --amount 9wei --yes"
    with monkeypatch.context() as patch:
        patch.setattr("cli.organization.emit", die)
        with pytest.raises(Killed):
            bonded(command)
    monkeypatch.setattr(ChainProvider, "local", False)
    told = bonded.json(command, code=3)
    assert told["code"] == "AlreadySent"
    assert "--again" in told["hint"]
    bonded(f"{command} --again")
    assert balance(bonded) == 10**19 + 18


def test_a_deployment_is_agreed_to_before_anything_is_measured(cocogen, counts, monkeypatch):
    from cocogen.evidence.local import Local

    counts()
    monkeypatch.setattr(Local, "pretrain", lambda *_: pytest.fail("it began to train"))
    assert cocogen.json("deploy clinics.toml", code=2)["code"] == "NotAgreed"
    shown = cocogen.json("deploy clinics.toml --dry-run")
    assert (shown["operation"], shown["by"], shown["amount"], shown["balance_after"]) == (
        "deploy",
        "operator",
        "0",
        None,
    )
    assert 3_458_285 < shown["gas"] < 3_602_666, "between the deployments for five and for ten members"
    assert not (cocogen.folder / ".cocogen" / "clinics" / "deployment.json").exists()


@pytest.mark.slow
def test_objections_and_rulings_ask_too(recorded, counts):
    counts()
    objection = "dispute raise -o north --reason wrong"
    refused = recorded.json(objection, code=2)
    assert refused["code"] == "NotAgreed"
    assert recorded.json(f"{objection} --dry-run")["operation"] == "disputeRaise"
    assert recorded.json("status")["phase"] == "recorded"
    recorded(f"{objection} --yes")
    assert recorded.json("dispute resolve settle", code=2)["code"] == "NotAgreed"
    assert recorded.json("dispute resolve settle --dry-run")["by"] == "arbiter"
    assert recorded.json("status")["phase"] == "disputed"
    recorded("dispute resolve settle --yes")
    assert recorded.json("status")["phase"] == "recorded"
