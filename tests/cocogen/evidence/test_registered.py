"""A registration is signed for one consortium, one schema and one terms file, and says what rows could have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own.leaves import leaf_digests, root
from cocogen.data.own.rows import SCALE
from cocogen.data.own.split import split
from cocogen.data.own.sums import Sums, filled
from cocogen.data.own.table import Images, Table
from cocogen.errors import RegistrationRefused, SiteError
from cocogen.evidence.registered import (
    Registration,
    RegistrationDocument,
    check_registration,
    read_registration,
)
from cocogen.terms.consortium import Consortium, load_consortium
from tests.cocogen.data.own.tables import SECRET, images, rng, schema, table, terms_of

KEY, OTHER = "0x" + "11" * 20, "0x" + "22" * 20


def sign(address: str) -> Callable[[bytes], bytes]:
    """A stand-in for a signature: 65 bytes that only ``verify`` can tell apart."""
    return lambda digest: bytes.fromhex(address[2:]) + digest + bytes(13)


def verify(address: str, digest: bytes, signature: bytes) -> bool:
    return signature == sign(address)(digest)


@pytest.fixture
def terms(tmp_path: Path) -> Consortium:
    return load_consortium(terms_of(tmp_path / "terms.toml", schema(5)))


def own() -> Table:
    return table(400, of=schema(5), missing=0.2)


def registered(
    terms: Consortium, data: Table | Images, organization: str = "north", attester: bool = False
) -> Registration:
    training, validation = split(data.labels, None, 0.0 if attester else 0.2, rng())
    rows = filled(data, training, validation)
    top = root(leaf_digests(SECRET, rows))
    document = RegistrationDocument.of(terms, organization, KEY, Sums.of(rows), top, attester=attester)
    return Registration.signed(document, sign(KEY))


def changed(registration: Registration, *path: str | int, value: Any) -> Registration:
    """With one value replaced, or computed from what it was, and signed again."""
    plain = json.loads(registration.document.encode())
    at = plain
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value(at[path[-1]]) if callable(value) else value
    document = RegistrationDocument.model_validate_json(json.dumps(plain))
    return Registration.signed(document, sign(document.address))


def test_a_registration_that_was_written_is_read_and_taken(terms: Consortium, tmp_path: Path) -> None:
    made = registered(terms, own())
    made.save(tmp_path / "north.registration")
    read = read_registration(tmp_path / "north.registration")
    assert read == made
    assert read_registration(made.encode()).digest() == made.digest()
    check_registration(read, terms, verify)
    assert read.document.leaves == 400
    data = own()
    training, validation = split(data.labels, None, 0.2, rng())
    assert read.sums == Sums.of(filled(data, training, validation))


def test_a_holdout_is_registered_without_sums(terms: Consortium) -> None:
    made = registered(terms, own(), "attester", attester=True)
    check_registration(made, terms, verify)
    assert made.document.sums is None
    assert (made.document.leaves, made.document.training) == (400, 400)
    assert sum(made.sums.classes) == 400
    assert (made.sums.numbers, made.sums.categories) == ((), ())


def test_images_are_registered_by_channel(tmp_path: Path) -> None:
    data = images(80, minimum_cell=5)
    terms = load_consortium(terms_of(tmp_path / "terms.toml", data.schema))
    made = registered(terms, data)
    check_registration(read_registration(made.encode()), terms, verify)
    assert len(made.sums.channels) == 3
    for value, reason in (
        (lambda n: str(int(n) * 300), "channel 1 has sums"),
        (lambda n: str(int(n) + 1), "channel 1"),
    ):
        with pytest.raises(RegistrationRefused, match=reason):
            check_registration(changed(made, "sums", "channels", 1, "total", value=value), terms, verify)
    with pytest.raises(RegistrationRefused, match="0 numbers, 0 categories and 2 channels, not 0, 0 and 3"):
        check_registration(changed(made, "sums", "channels", value=lambda all_: all_[:2]), terms, verify)


def test_the_digest_covers_what_it_is_for(terms: Consortium) -> None:
    """The signature is of no other document: a purpose that none has stands in what is signed."""
    document = registered(terms, own()).document
    assert json.loads(document.encode())["purpose"] == "cocogen: registration of own data"
    assert b" " not in document.encode().replace(b"cocogen: registration of own data", b"")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("consortium",), "banks", "its consortium banks, not clinics"),
        (("schema_digest",), "0" * 64, "its schema has the digest 0{64}, not"),
        (("terms_digest",), "0" * 64, "its terms file has the digest 0{64}, not"),
        (("organization",), "nobody", "no organization of the terms has this name"),
        (("role",), "attester", "an attester's is called attester"),
        (("leaves",), 399, "leaves for them of 399"),
        (("training",), 321, "321 leaves for them"),
        (("validation", 0), lambda count: count + 1, "training rows of 401"),
        (("classes",), lambda counts: [*counts, 0], "3 and 2 classes, not 2"),
        (("sums",), None, "it has no sums"),
        (("sums", "numbers"), lambda numbers: numbers[:2], "2 numbers, 2 categories and 0 channels, not 3, 2 and 0"),
        (("sums", "categories"), lambda all_: [*all_, all_[0]], "3 numbers, 3 categories"),
        (("sums", "channels"), [{"total": "0", "squares": "0"}], "and 1 channels"),
        (("sums", "numbers", 0, "count"), lambda count: count - 1, "age counts 319 values"),
        (("sums", "numbers", 0, "clipped"), 401, "and 401 clipped"),
        (("sums", "numbers", 1, "missing"), lambda count: count + 1, "glucose counts"),
        (("sums", "numbers", 0, "total"), str(321 * SCALE), "age has sums that no 320 values"),
        (("sums", "numbers", 0, "squares"), lambda n: str(int(n) * 10), "age has sums"),
        (("sums", "numbers", 0, "squares"), lambda n: str(int(n) // 10), "age has sums"),
        (("sums", "numbers", 0, "squares"), lambda n: str(int(n) + 1), "age has sums"),
        (("sums", "numbers", 0, "total"), "0", "age has sums"),
        (("sums", "numbers", 2, "clipped"), 3, "a count of 3, and none between 1 and 4"),
        (("sums", "categories", 0, "counts", 0), lambda count: count + 1, "sex counts other levels or rows"),
        (("sums", "categories", 1, "counts"), lambda counts: [*counts, 0], "stage counts other levels"),
    ],
)
def test_what_does_not_fit_the_terms_or_any_rows_is_refused(
    terms: Consortium, path: tuple[str | int, ...], value: Any, reason: str
) -> None:
    with pytest.raises(RegistrationRefused, match=reason):
        check_registration(changed(registered(terms, own()), *path, value=value), terms, verify)


def test_missing_values_that_the_schema_refuses_are_refused(terms: Consortium) -> None:
    made = registered(terms, own())
    number = made.document.sums.numbers[0].model_dump() if made.document.sums else {}
    moved = {**number, "count": 310, "missing": 10, "total": str(310 * SCALE // 2), "squares": str(104 * SCALE**2)}
    with pytest.raises(RegistrationRefused, match="age is missing in 10 rows, which the schema refuses"):
        check_registration(changed(made, "sums", "numbers", 0, value=moved), terms, verify)
    counts = {"counts": [300, 10], "missing": 10}
    with pytest.raises(RegistrationRefused, match="sex is missing in 10 rows"):
        check_registration(changed(made, "sums", "categories", 0, value=counts), terms, verify)


def test_a_number_that_hardly_varies_is_refused(terms: Consortium) -> None:
    narrow = {"count": 320, "missing": 0, "clipped": 0, "total": "2", "squares": "2"}
    with pytest.raises(RegistrationRefused, match=r"age deviates by less than 2\^-20"):
        check_registration(changed(registered(terms, own()), "sums", "numbers", 0, value=narrow), terms, verify)


def test_a_class_of_few_is_refused(terms: Consortium) -> None:
    made = changed(registered(terms, own()), "validation", value=lambda counts: [sum(counts) - 2, 2])
    with pytest.raises(RegistrationRefused, match="class has a count of 2"):
        check_registration(made, terms, verify)


def test_a_holdout_with_sums_or_validation_rows_is_refused(terms: Consortium) -> None:
    made = registered(terms, own(), "attester", attester=True)
    sums = json.loads(registered(terms, own()).document.encode())["sums"]
    with pytest.raises(RegistrationRefused, match="no sums and no validation rows"):
        check_registration(changed(made, "sums", value=sums), terms, verify)


def test_another_key_is_refused(terms: Consortium, tmp_path: Path) -> None:
    made = registered(terms, own())
    other = Registration.signed(made.document, sign(OTHER))
    with pytest.raises(RegistrationRefused, match=f"not signed by {KEY}, or was altered"):
        check_registration(other, terms, verify)
    stated = terms_of(
        tmp_path / "stated.toml", schema(5), ('name = "north"\n', f'name = "north"\naddress = "{OTHER}"\n')
    )
    named = load_consortium(stated)
    with pytest.raises(RegistrationRefused, match=f"its key is {KEY}, and the terms say {OTHER}"):
        check_registration(registered(named, own()), named, verify)


def test_a_document_that_was_altered_is_refused(terms: Consortium) -> None:
    made = registered(terms, own())
    other = changed(made, "root", value="0" * 64)
    with pytest.raises(RegistrationRefused, match="altered after signing"):
        check_registration(Registration(other.document, made.signature), terms, verify)


def document(terms: Consortium) -> dict[str, Any]:
    return dict(json.loads(registered(terms, own()).encode()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plain: plain["document"].update(version=2), "version 2 of the format, and this CoCoGen knows 1"),
        (lambda plain: plain["document"].update(more=1), "more: Extra inputs"),
        (lambda plain: plain["document"].update(purpose="node"), "purpose"),
        (lambda plain: plain["document"].update(leaves="400"), "leaves"),
        (lambda plain: plain["document"].update(leaves=-1), "leaves"),
        (lambda plain: plain["document"].update(leaves=400.0), "leaves"),
        (lambda plain: plain["document"].update(root="xyz"), "root"),
        (lambda plain: plain["document"].update(address="0x12"), "address"),
        (lambda plain: plain["document"]["sums"]["numbers"][0].update(total="-1"), "sums.numbers.0.total"),
        (lambda plain: plain["document"]["sums"]["numbers"][0].update(total="1e9"), "sums.numbers.0.total"),
        (lambda plain: plain["document"]["sums"]["numbers"][0].update(squares="9" * 61), "sums.numbers.0.squares"),
        (lambda plain: plain.update(document=[]), "document: Input should be an object"),
        (lambda plain: plain.update(signature="0xzz"), "signature is no 0x"),
        (lambda plain: plain.update(signature="0x" + "00" * 8_193), "more than 8,192 bytes"),
        (lambda plain: plain.update(signature=3), "signature is no 0x"),
        (lambda plain: plain.update(more=1), "not a document with its signature"),
    ],
)
def test_a_file_that_is_no_registration_is_refused(
    terms: Consortium, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    plain = document(terms)
    change(plain)
    with pytest.raises(RegistrationRefused, match=reason):
        read_registration(json.dumps(plain).encode(), "north")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"{" * 40, b"[" * 40, b'{"document": NaN, "signature": "0x"}']
)
def test_bytes_that_are_no_registration_are_refused(content: bytes) -> None:
    with pytest.raises(RegistrationRefused, match="registration of somebody refused"):
        read_registration(content)


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistrationRefused, match=r"north\.registration refused: it cannot be read: No such file"):
        read_registration(tmp_path / "north.registration")
    with pytest.raises(RegistrationRefused, match="larger than 8,000,000 bytes"):
        read_registration(bytes(8_000_001))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(8, 150), st.sampled_from([0.0, 0.02, 0.3, 1.0]), st.sampled_from([0, 1, 3, 5])
)
def test_what_a_site_lets_out_is_what_everybody_takes(seed: int, rows: int, missing: float, least: int) -> None:
    """Whatever the table, the site refuses it or its registration is one that could be."""
    data = table(rows, seed, of=schema(least), missing=missing)
    with TemporaryDirectory() as folder:
        terms = load_consortium(terms_of(Path(folder) / "terms.toml", data.schema))
    try:
        made = registered(terms, data)
    except SiteError:
        assert least > 1
        return
    check_registration(read_registration(made.encode()), terms, verify)
    assert not [n.missing for n in made.sums.numbers if 0 < n.missing < least]


def test_counts_of_the_whole_are_kept_with_the_leaves(terms: Consortium) -> None:
    made = registered(terms, own())
    assert made.document.training == sum(made.document.classes)
    assert np.sum(made.document.validation) == made.document.leaves - made.document.training
