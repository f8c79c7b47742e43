"""Own data over the ledger: the lies that are refused by name while the others settle, and those that pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.audit import audit_deployment
from chain.encoding.signatures import address_of, sign, verify
from chain.keys.keystores import development_key
from chain.twin.ledger import MemoryProvider
from cocogen.data.own.site import load_site
from cocogen.errors import RegistrationRefused, SiteError
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.leaves import bitmap, used
from cocogen.evidence.local import Local
from cocogen.evidence.registered import ATTESTER, Registration, RegistrationDocument, read_registration
from cocogen.evidence.shown import check_holdout
from cocogen.operations.deploy import Deployed, deploy
from cocogen.operations.own_data import read_registrations
from cocogen.operations.register import prepare, register
from cocogen.operations.session import Session, open_consortium
from cocogen.operations.site_rows import registered_rows
from cocogen.operations.site_state import SiteState
from cocogen.operations.verdict import audit
from cocogen.systems import load_consortium
from tests.own_sites import SITES, write_consortium

pytestmark = pytest.mark.heavy

K = 4
LIAR, N = "harbor", 1


def signed_by(address: str, digest: bytes, signature: bytes) -> bool:
    return verify(digest, signature, address)


def register_all(folder: Path) -> None:
    consortium, target = load_consortium(folder / "terms.toml"), folder / "registrations"
    target.mkdir(exist_ok=True)
    for name in SITES:
        path, key = folder / name / "site.toml", development_key(7, name)
        state = SiteState.beside(path, name)
        prepared = prepare(load_site(path), consortium, state, address_of(key))
        leaves = None if name == ATTESTER else target / f"{name}.leaves"
        register(prepared, sign(prepared.document.digest(), key), state, target / f"{name}.registration", leaves)


def deployed(folder: Path, provider: MemoryProvider) -> Deployed:
    files = tuple(folder / name / "site.toml" for name in SITES)
    data = read_registrations(folder / "registrations", signed_by, sites=files)
    return deploy(load_consortium(folder / "terms.toml"), provider, folder / "ws", own_data=data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four registered sites whose terms say that rows are opened; nothing is to be changed in it."""
    folder = tmp_path_factory.mktemp("lies")
    write_consortium(folder, openings=K)
    register_all(folder)
    return folder


@pytest.fixture
def sites(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "sites"))


@pytest.fixture
def trained(sites: Path) -> Iterator[Session]:
    """An open round whose evidence is in, by honest members."""
    provider = MemoryProvider(7)
    made = deployed(sites, provider)
    with open_consortium(made.workspace, provider, sites=[sites / name / "site.toml" for name in SITES]) as session:
        session.loop.bond()
        session.loop.begin()
        session.loop.train()
        yield session


def settles_without(session: Session, reason: str) -> None:
    """The liar is refused by name, the others settle, and an audit that has nobody's data agrees."""
    report = session.loop.finish()
    assert report.status == "settled"
    assert set(report.rejected) == {LIAR}
    assert reason in report.rejected[LIAR]
    assert [c is None for c in report.contributions] == [False, True, False]


def tell(session: Session, **lie: object) -> None:
    """Put a bundle with other claims, signed by its own member, in the place of the liar's."""
    path = session.workspace.bundle(1, LIAR)
    honest = Bundle.load(path)
    forged = honest.manifest.model_copy(update=lie)
    parts = honest.classifier, honest.generator, honest.synthetic, honest.panel
    Bundle.signed(forged, *parts, lambda digest: session.ledger.sign(LIAR, digest)).save(path)


def answered(session: Session) -> None:
    session.loop.challenge()
    session.loop.answer()


def test_honest_members_open_their_rows_and_the_audit_agrees_without_data(trained: Session) -> None:
    answered(trained)
    report = trained.loop.finish()
    assert (report.status, report.rejected) == ("settled", {})
    assert all(told is not None for told in report.own_patients)
    verdict = audit(trained, audit_deployment)
    assert verdict.check("evidence").status == "PASS"


def test_a_site_alone_opens_its_own_rows_and_nobody_elses(sites: Path) -> None:
    """In the coordinator's workspace rows are drawn; on each machine there is one site."""
    provider = MemoryProvider(7)
    ready = deployed(sites, provider)

    def at(*names: str) -> AbstractContextManager[Session]:
        return open_consortium(ready.workspace, provider, sites=[sites / name / "site.toml" for name in names])

    with at(*SITES) as everybody:
        everybody.loop.bond()
        everybody.loop.begin()
        everybody.loop.train()
    with at(ATTESTER) as attester:
        assert len(attester.loop.challenge().bundles) == 3
        assert attester.loop.answer() == []
    for name in SITES[:-1]:
        with at(name) as site:
            assert site.loop.answer() == [site.workspace.opening(1, name)]
    with at(ATTESTER) as attester:
        assert not attester.loop.attest().rejected


class TestRefusedByTheAttester:
    def test_a_leaf_used_twice(self, trained: Session) -> None:
        leaves = used(Bundle.load(trained.workspace.bundle(1, LIAR)).manifest.leaves or "")
        count = trained.resolved.organization[N].local
        tell(trained, leaves=bitmap(np.append(leaves[:-1], leaves[0]), count))
        answered(trained)
        settles_without(trained, "are claimed")

    def test_a_leaf_that_was_not_registered(self, trained: Session) -> None:
        count = trained.resolved.organization[N].local
        every = np.packbits(np.ones(count + 1, dtype=bool)).tobytes().hex()
        assert count % 8  # a bit beyond the last leaf has a place
        tell(trained, leaves=every)
        trained.loop.challenge()
        trained.loop.answer([0, 2])
        settles_without(trained, f"it claims leaf {count}, but the training rows")

    def test_another_row_opened_than_challenged(self, trained: Session) -> None:
        answered(trained)
        path = trained.workspace.opening(1, LIAR)
        given = json.loads(path.read_text())
        rows = trained.loop.task.members[N].rows
        other = next(i for i in range(rows.training) if i not in [row["index"] for row in given["rows"]])
        shown = rows.open(other)
        given["rows"][0] |= {"row": shown.row.hex(), "label": shown.label, "salt": shown.salt.hex()}
        trained.loop.challenges.keep(1, {N: json.dumps(given).encode()})
        settles_without(trained, "not the one that it registered as leaf")

    def test_another_key(self, trained: Session) -> None:
        path = trained.workspace.bundle(1, LIAR)
        honest = Bundle.load(path)
        replace(honest, signature=trained.ledger.sign("north", honest.digest())).save(path)
        answered(trained)
        settles_without(trained, "not signed by the registered address")


class TestRefusedAtDeployment:
    """Nothing is deployed with a registration that lies; its organization is named."""

    def refused(self, sites: Path, reason: str, **lie: object) -> None:
        path = sites / "registrations" / f"{LIAR}.registration"
        honest = read_registration(path).document.model_dump()
        document = RegistrationDocument.model_validate({**honest, **lie})
        Registration.signed(document, lambda digest: sign(digest, development_key(7, LIAR))).save(path)
        with pytest.raises(RegistrationRefused, match=rf"registration of {LIAR} refused: .*{reason}"):
            deployed(sites, MemoryProvider(7))

    def test_counts_that_differ_from_the_leaves(self, sites: Path) -> None:
        said = read_registration(sites / "registrations" / f"{LIAR}.registration").document
        self.refused(
            sites, "it counts 36 training rows of 45, but has 36 leaves for them of 46", leaves=said.leaves + 1
        )

    def test_more_rows_than_leaves(self, sites: Path) -> None:
        said = read_registration(sites / "registrations" / f"{LIAR}.registration").document
        self.refused(
            sites,
            "it counts 38 training rows of 47, but has 36 leaves",
            classes=tuple(count + 1 for count in said.classes),
        )

    def test_another_schema(self, sites: Path) -> None:
        self.refused(sites, "schema", schema_digest="00" * 32)


def test_a_holdout_that_differs_from_its_root_is_refused_at_its_opening(sites: Path) -> None:
    path = sites / ATTESTER / "site.toml"
    registration = read_registration(sites / "registrations" / f"{ATTESTER}.registration")
    consortium = load_consortium(sites / "terms.toml")
    state = SiteState.beside(path, ATTESTER)
    schema, terms = consortium.learning.schema_, consortium.source_digest
    rows = registered_rows(state, load_site(path), schema, terms, registration)
    check_holdout(registration, rows, state.secret())
    exchanged = replace(rows, data=replace(rows.data, labels=1 - rows.data.labels))
    with pytest.raises(RegistrationRefused, match="registration of attester refused"):
        check_holdout(registration, exchanged, state.secret())


def halved(line: str) -> str:
    age, _, rest = line.partition(";")
    return f"{float(age) / 2 if age else ''};{rest}"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:3], lines[4], *lines[4:]],
        lambda lines: [
            line.replace(";died", ";x").replace(";lived", ";died").replace(";x", ";lived") for line in lines
        ],
        lambda lines: [lines[0], *map(halved, lines[1:])],
    ],
    ids=["file", "row", "labels", "units"],
)
def test_what_changed_since_registration_stops_the_own_node(sites: Path, mistake: Callable) -> None:
    provider = MemoryProvider(7)
    ready = deployed(sites, provider)
    data = sites / LIAR / "data.csv"
    data.write_text("\n".join(mistake(data.read_text().splitlines())) + "\n")
    with (
        open_consortium(ready.workspace, provider, sites=[sites / name / "site.toml" for name in SITES]) as session,
        pytest.raises(SiteError, match="regist"),
    ):
        _ = session.loop.task


class TestNotCaught:
    """What docs/evidence.md lists: it passes, and only the terms bound what it can do."""

    def test_rows_invented_or_copied_before_registration(self, tmp_path: Path) -> None:
        write_consortium(tmp_path, openings=K)
        data = tmp_path / LIAR / "data.csv"
        head, *honest = data.read_text().splitlines()
        copied = (tmp_path / "north" / "data.csv").read_text().splitlines()[1:11]
        invented = [f"{20 + n};{n / 10};f;{('lived', 'died')[n % 2]}" for n in range(10)]
        data.write_text("\n".join([head, *honest, *copied, *invented]) + "\n")
        register_all(tmp_path)
        provider = MemoryProvider(7)
        ready = deployed(tmp_path, provider)
        files = [tmp_path / name / "site.toml" for name in SITES]
        with open_consortium(ready.workspace, provider, sites=files) as session:
            session.loop.bond()
            report = session.loop.play()
        assert (report.status, report.rejected) == ("settled", {})
        assert report.contributions[N].data > 45

    def test_a_modified_node_that_trains_on_other_rows_than_it_names(self, trained: Session) -> None:
        """The bundle of another training, under the leaves of the honest one: the counts are all that is seen."""
        task: Local = trained.loop.task
        honest = Bundle.load(trained.workspace.bundle(1, LIAR))
        member = task.members[N]
        member.own = replace(member.own, features=np.roll(member.own.features, 1, axis=0).copy())
        base = trained.loop.history.base_models(1)[N]
        work = trained.loop.plan(1, trained.ledger.state().participants).profile
        from cocogen.evidence.member import Assignment

        lie = member.train(
            1,
            base,
            Assignment(int(work.data[N]), 0),
            trained.ledger.decoded.terms_hash,
            lambda digest: trained.ledger.sign(LIAR, digest),
            challenge=honest.manifest.challenge,
        )
        assert lie.manifest.classifier != honest.manifest.classifier
        lie.save(trained.workspace.bundle(1, LIAR))
        answered(trained)
        report = trained.loop.finish()
        assert (report.status, report.rejected) == ("settled", {})


def test_the_audit_names_a_bundle_whose_rows_are_not_those_that_counted(trained: Session) -> None:
    answered(trained)
    trained.loop.finish()
    workspace = trained.workspace
    challenge = json.loads(workspace.challenge(1).read_text())
    workspace.write_json(workspace.challenge(1), {**challenge, "nonce": "00" * 32})
    assert "was told to be bound to" in _evidence(trained)
    workspace.write_json(workspace.challenge(1), {**challenge, "bundles": challenge["bundles"][1:]})
    assert "it was attested, and is not among the bundles" in _evidence(trained)
    workspace.write_json(workspace.challenge(1), {"round": 1})
    assert "not a challenge" in _evidence(trained)


def _evidence(session: Session) -> str:
    check = audit(session, audit_deployment).check("evidence")
    assert check.status == "FAIL"
    return check.detail
