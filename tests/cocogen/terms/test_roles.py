"""An account that judges itself is named."""

from __future__ import annotations

import pytest

from cocogen.terms.roles import shared_roles

pytestmark = pytest.mark.heavy  # agreeing on terms trains


@pytest.fixture(scope="module")
def resolved(agree_on_clinics):
    return agree_on_clinics().registration.resolved


def test_accounts_of_their_own_need_no_word(resolved):
    assert shared_roles(resolved) == []


@pytest.mark.parametrize("role", ["attester", "arbiter"])
@pytest.mark.parametrize("spelling", [str, str.lower])
def test_a_member_that_judges_itself_is_named(resolved, role, spelling):
    address = spelling(resolved.organization[1].address)
    (said,) = shared_roles(resolved.model_copy(update={role: address}))
    assert said.startswith(f"harbor and the {role} are one account")


def test_an_attester_that_rules_on_what_it_signed_is_named(resolved):
    assert "attester and arbiter are one account" in shared_roles(
        resolved.model_copy(update={"arbiter": resolved.attester})
    )[0]  # fmt: skip


def test_one_account_in_all_roles_is_said_for_each_pair(resolved):
    everything = resolved.organization[0].address
    assert len(shared_roles(resolved.model_copy(update={"attester": everything, "arbiter": everything}))) == 3
