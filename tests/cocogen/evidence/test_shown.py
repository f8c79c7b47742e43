"""A holdout that is shown in a dispute is the one that was registered, to the last bit."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cocogen.data.own.leaves import leaf_digests, root
from cocogen.data.own.rows import Rows
from cocogen.data.own.sums import Sums
from cocogen.errors import RegistrationRefused
from cocogen.evidence.registered import Registration, RegistrationDocument
from cocogen.evidence.shown import check_holdout
from cocogen.terms.consortium import load_consortium
from tests.cocogen.data.own.tables import SECRET, schema, table, terms_of


@pytest.fixture(scope="module")
def holdout() -> Rows:
    return Rows.of(table(60, of=schema(0)))


@pytest.fixture(scope="module")
def registration(holdout, tmp_path_factory) -> Registration:
    terms = load_consortium(terms_of(tmp_path_factory.mktemp("terms") / "terms.toml", schema(0)))
    top = root(leaf_digests(SECRET, holdout))
    address = "0x" + "11" * 20
    document = RegistrationDocument.of(terms, "attester", address, Sums.of(holdout), top, attester=True)
    return Registration.signed(document, lambda _: bytes(65))


def test_the_registered_holdout_is_taken(registration, holdout) -> None:
    check_holdout(registration, holdout, SECRET)


def test_a_holdout_that_was_exchanged_is_refused_when_a_dispute_opens_it(registration, holdout) -> None:
    """A number in its last bit, a label, two rows swapped, another secret."""
    data = holdout.data
    numbers, labels = data.numbers.copy(), data.labels.copy()
    known = np.flatnonzero(~np.isnan(numbers[:, 0]))[0]
    numbers[known, 0] = data.schema.numbers[0].minimum + 0.125
    labels[3] = 1 - labels[3]
    swapped = holdout.training.copy()
    swapped[[4, 5]] = swapped[[5, 4]]
    lies = [
        (replace(holdout, data=replace(data, numbers=numbers)), SECRET),
        (replace(holdout, data=replace(data, labels=labels)), SECRET),
        (replace(holdout, training=swapped), SECRET),
        (holdout, hashlib.sha256(SECRET).digest()),
    ]
    for rows, secret in lies:
        with pytest.raises(RegistrationRefused, match=r"registration of attester refused.*which was registered"):
            check_holdout(registration, rows, secret)


def test_more_or_fewer_rows_than_registered_are_refused(registration, holdout) -> None:
    for kept in (holdout.training[:-1], holdout.training[:0], np.append(holdout.training, 0)):
        with pytest.raises(RegistrationRefused, match=rf"the {len(kept)} rows shown .* of 60, which was registered"):
            check_holdout(registration, replace(holdout, training=kept), SECRET)
