"""A generator is judged by what the attester's holdout can tell, and no further."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.errors import EvidenceRejected
from cocogen.evidence.replay import check_worth

EXPECTED = SimpleNamespace(organization="north")


def bundle(raw: int) -> SimpleNamespace:
    return SimpleNamespace(synthetic=SimpleNamespace(labels=np.zeros(raw, dtype=np.int64)))


def test_less_than_half_of_what_is_credited_is_rejected() -> None:
    check_worth(bundle(9), EXPECTED, measured=0.41, credited=0.8, error=0.0)
    with pytest.raises(EvidenceRejected, match=r"are worth 0\.39, less than 0\.5 of the 0\.8"):
        check_worth(bundle(9), EXPECTED, measured=0.39, credited=0.8, error=0.0)


def test_a_holdout_that_cannot_tell_accuses_nobody() -> None:
    check_worth(bundle(9), EXPECTED, measured=0.31, credited=0.8, error=0.1)
    with pytest.raises(EvidenceRejected, match=r"standard error 0\.1"):
        check_worth(bundle(9), EXPECTED, measured=0.29, credited=0.8, error=0.1)
    check_worth(bundle(9), EXPECTED, measured=0.01, credited=0.8, error=0.4)


def test_whoever_generates_nothing_is_not_judged_by_a_generator() -> None:
    check_worth(bundle(0), EXPECTED, measured=0.01, credited=1.0, error=0.0)
