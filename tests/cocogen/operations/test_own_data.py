"""A consortium of own data: from registrations to a settled, audited round, and what is refused on the way."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.audit import audit_deployment
from chain.encoding.signatures import address_of, sign, verify
from chain.keys.keystores import development_key
from chain.twin.ledger import MemoryProvider
from cocogen.data.archive import read_arrays, write_arrays
from cocogen.data.own.site import load_site
from cocogen.data.samples import Samples
from cocogen.errors import (
    ConfigurationError,
    DatasetError,
    EvidenceRejected,
    RegistrationRefused,
    SiteError,
    WorkspaceError,
)
from cocogen.evidence.member import Agreed, Member
from cocogen.evidence.registered import ATTESTER, Registration, read_registration
from cocogen.operations.consortium_file import consortium_file, read_consortium_file
from cocogen.operations.deploy import Deployed, deploy
from cocogen.operations.exchange import Waiting, answer
from cocogen.operations.join import offer, open_file, own_line
from cocogen.operations.model_export import export_model, member_model, read_model
from cocogen.operations.own_data import OwnData, read_registrations
from cocogen.operations.predict import predict
from cocogen.operations.register import prepare, register
from cocogen.operations.run import run
from cocogen.operations.session import Session, open_consortium
from cocogen.operations.site_backup import back_up
from cocogen.operations.site_state import SiteState
from cocogen.operations.sources import own, registrations
from cocogen.operations.verdict import audit
from cocogen.rounds.workspace import Workspace
from cocogen.systems import load_consortium
from tests.own_sites import NAMES, SITES, write_consortium

pytestmark = pytest.mark.heavy


def signed_by(address: str, digest: bytes, signature: bytes) -> bool:
    return verify(digest, signature, address)


def registered(folder: Path, *, into: Path | None = None) -> Path:
    """Register every site of a folder, as its commands would; the folder of registrations."""
    consortium = load_consortium(folder / "terms.toml")
    target = into or folder / "registrations"
    target.mkdir(exist_ok=True)
    for name in SITES:
        path, key = folder / name / "site.toml", development_key(7, name)
        state = SiteState.beside(path, name)
        prepared = prepare(load_site(path), consortium, state, address_of(key))
        leaves = None if name == ATTESTER else target / f"{name}.leaves"
        signature = sign(prepared.document.digest(), key)
        register(prepared, signature, state, target / f"{name}.registration", leaves)
    return target


def own_data(folder: Path, *, sites: tuple[str, ...] = SITES) -> OwnData:
    files = tuple(folder / name / "site.toml" for name in sites)
    return read_registrations(folder / "registrations", signed_by, sites=files, exchange=folder / "exchange")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four registered sites; nothing is to be changed in it."""
    folder = tmp_path_factory.mktemp("own")
    write_consortium(folder)
    registered(folder)
    return folder


@pytest.fixture
def sites(made: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(made, tmp_path / "sites"))


@pytest.fixture(scope="module")
def played(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployed, MemoryProvider]:
    """The same, deployed and played."""
    provider = MemoryProvider(7)
    workspace = tmp_path_factory.mktemp("played") / "ws"
    deployed = deploy(load_consortium(made / "terms.toml"), provider, workspace, own_data=own_data(made))
    with opened(deployed, provider, made) as session:
        run(session, audit_deployment)
    return deployed, provider


def state_of(folder: Path, name: str) -> SiteState:
    return SiteState.beside(folder / name / "site.toml", name)


def opened(
    deployed: Deployed, provider: MemoryProvider, folder: Path, names: tuple[str, ...] = SITES
) -> AbstractContextManager[Session]:
    return open_consortium(deployed.workspace, provider, sites=[folder / name / "site.toml" for name in names])


def narrowed(panel: Samples) -> Samples:
    """The same with a column less."""
    return Samples(np.ascontiguousarray(panel.features[:, 1:]), panel.labels)


class TestRounds:
    def test_registrations_become_the_terms_and_a_round_settles(
        self, made: Path, played: tuple[Deployed, MemoryProvider]
    ) -> None:
        deployed, provider = played
        resolved = deployed.resolved
        for organization in resolved.organization:
            registration = read_registration(made / "registrations" / f"{organization.name}.registration")
            assert organization.registration == registration.digest().hex()
            assert organization.local == registration.document.training
        assert resolved.holdout is not None
        with opened(deployed, provider, made) as session:
            (outcome,) = session.ledger.outcomes()
            assert outcome.status == "settled"
            assert [c.data for c in outcome.contributions if c] == [o.local for o in resolved.organization]

    def test_the_audit_needs_nobodys_data(self, made: Path, played: tuple[Deployed, MemoryProvider]) -> None:
        deployed, provider = played
        with open_consortium(deployed.workspace, provider) as session:
            verdict = audit(session, audit_deployment)
        assert (verdict.status, verdict.check("data").status) == ("PASS", "PASS")
        assert "registered rows" in verdict.cannot_know[-1]

    def test_a_registration_that_was_exchanged_fails_the_audit(
        self, sites: Path, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        deployed, provider = played
        copy = Workspace(shutil.copytree(deployed.workspace, tmp_path / "copy"))
        shutil.copy(copy.registration("north"), copy.registration("harbor"))
        with open_consortium(copy.root, provider) as session:
            verdict = audit(session, audit_deployment)
        assert (verdict.status, verdict.check("data").status) == ("FAIL", "FAIL")
        assert "harbor" in verdict.check("data").detail

    def test_a_registration_in_the_place_of_anothers_is_told_though_the_terms_name_it(
        self, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        """What an operator could write who counts the rows of one organization twice."""
        workspace, resolved = Workspace(tmp_path), played[0].resolved
        shutil.copytree(Workspace(played[0].workspace).registrations, workspace.registrations)
        assert set(registrations(workspace, resolved)) == set(SITES)
        north, harbor, *others = resolved.organization
        twice = harbor.model_copy(update={"registration": north.registration})
        crafted = resolved.model_copy(update={"organization": (north, twice, *others)})
        shutil.copy(workspace.registration("north"), workspace.registration("harbor"))
        with pytest.raises(RegistrationRefused, match="one of north"):
            registrations(workspace, crafted)

    def test_without_registrations_the_audit_says_that_it_skips_them(
        self, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        deployed, provider = played
        copy = Workspace(shutil.copytree(deployed.workspace, tmp_path / "copy"))
        shutil.rmtree(copy.registrations)
        with open_consortium(copy.root, provider) as session:
            assert audit(session, audit_deployment).check("data").status == "SKIPPED"

    def test_a_site_holds_its_own_rows_and_nobody_elses(
        self, made: Path, played: tuple[Deployed, MemoryProvider]
    ) -> None:
        deployed, provider = played

        with opened(deployed, provider, made, ("harbor",)) as session:
            source = session.sourcing()(Agreed.of(session.resolved))
        assert len(source.of_member(1).labels) == deployed.resolved.organization[1].local
        for n in (0, 2):
            with pytest.raises(DatasetError, match=f"the data of {NAMES[n]} are not here"):
                source.of_member(n)
        with pytest.raises(DatasetError, match="attester's data are not here"):
            source.of_attester()

    def test_one_changed_row_stops_its_own_site(self, sites: Path) -> None:
        deployed = deploy(
            load_consortium(sites / "terms.toml"), MemoryProvider(7), sites / "ws", own_data=own_data(sites)
        )
        data = sites / "north" / "data.csv"
        lines = data.read_text().splitlines()
        lines[3] = lines[4]
        data.write_text("\n".join(lines) + "\n")

        registrations = own_data(sites).registrations
        source = own(registrations, [sites / "north" / "site.toml"])(Agreed.of(deployed.resolved))
        with pytest.raises(SiteError, match="regist"):
            source.of_member(0)


class TestRefusedAtDeployment:
    def attempt(self, sites: Path, data: OwnData | None = None) -> None:
        deploy(load_consortium(sites / "terms.toml"), MemoryProvider(7), sites / "ws", own_data=data or own_data(sites))

    def test_own_data_without_registrations(self, sites: Path) -> None:
        with pytest.raises(ConfigurationError, match="what they registered"):
            deploy(load_consortium(sites / "terms.toml"), MemoryProvider(7), sites / "ws")

    def test_somebody_did_not_register(self, sites: Path) -> None:
        (sites / "registrations" / "harbor.registration").unlink()
        with pytest.raises(RegistrationRefused, match="harbor"):
            self.attempt(sites)

    def test_two_registrations_of_one(self, sites: Path) -> None:
        folder = sites / "registrations"
        shutil.copy(folder / "harbor.registration", folder / "another.registration")
        with pytest.raises(RegistrationRefused, match="there are two"):
            own_data(sites)

    def test_no_registration_at_all(self, sites: Path) -> None:
        shutil.rmtree(sites / "registrations")
        (sites / "registrations").mkdir()
        with pytest.raises(ConfigurationError, match="no file"):
            own_data(sites)

    def test_other_terms_than_registered(self, sites: Path) -> None:
        terms = sites / "terms.toml"
        terms.write_text(terms.read_text() + "\n# changed\n")
        with pytest.raises(RegistrationRefused, match="terms file"):
            self.attempt(sites)

    def test_another_key(self, sites: Path) -> None:
        path = sites / "registrations" / "harbor.registration"
        registration = read_registration(path)
        Registration.signed(registration.document, lambda d: sign(d, development_key(7, "north"))).save(path)
        with pytest.raises(RegistrationRefused, match="harbor"):
            self.attempt(sites)

    def test_registrations_beside_a_named_data_set(self, sites: Path) -> None:
        clinics = Path(__file__).parents[3] / "examples" / "clinics.toml"
        with pytest.raises(ConfigurationError, match="registrations are of own data"):
            deploy(load_consortium(clinics), MemoryProvider(7), sites / "ws", own_data=own_data(sites))

    def test_nothing_is_deployed_then(self, sites: Path) -> None:
        self.test_another_key(sites)
        assert not Workspace(sites / "ws").deployment.exists()


class TestExchange:
    def test_sites_are_asked_by_files_and_the_same_is_agreed_as_together(self, tmp_path: Path) -> None:

        write_consortium(tmp_path, maximum=40)
        registered(tmp_path)
        consortium = load_consortium(tmp_path / "terms.toml")

        def attempt(workspace: str, sites: tuple[str, ...]) -> Deployed:
            data = own_data(tmp_path, sites=sites)
            return deploy(consortium, MemoryProvider(7), tmp_path / workspace, own_data=data)

        together = attempt("together", SITES)
        agreed, data = Agreed.of(consortium), own_data(tmp_path)
        asked, before = [], os.umask(0o022)
        for _ in range(2):
            with pytest.raises(Waiting) as waiting:
                attempt("apart", ("attester",))
            assert waiting.value.missing == NAMES
            asked.append(waiting.value.question.name)
            for n, name in enumerate(NAMES):
                member = Member(agreed, own(data.registrations, [tmp_path / name / "site.toml"])(agreed), n)
                key = development_key(7, name)
                state = SiteState.beside(tmp_path / name / "site.toml", name)
                args = tmp_path / "exchange", member, consortium.source_digest, state
                assert len(answer(*args, lambda digest, key=key: sign(digest, key))) == 1
                assert answer(*args, lambda digest, key=key: sign(digest, key)) == []
        os.umask(before)
        assert asked == ["ask-0001.npz", "ask-0002.npz"]
        back_up(state_of(tmp_path, "north"), tmp_path / "backup")  # nothing is open to others
        apart = attempt("apart", ("attester",))
        assert [o.quality for o in apart.resolved.organization] == pytest.approx(
            [o.quality for o in together.resolved.organization], abs=1e-5
        )

    def test_a_second_different_question_of_a_number_is_not_answered(self, tmp_path: Path) -> None:

        write_consortium(tmp_path, maximum=40)
        registered(tmp_path)
        consortium, data = load_consortium(tmp_path / "terms.toml"), own_data(tmp_path, sites=("attester",))
        with pytest.raises(Waiting):
            deploy(consortium, MemoryProvider(7), tmp_path / "ws", own_data=data)
        agreed = Agreed.of(consortium)
        member = Member(agreed, own(data.registrations, [tmp_path / "north" / "site.toml"])(agreed), 0)
        folder, key = tmp_path / "exchange", development_key(7, "north")
        (written,) = answer(
            folder,
            member,
            consortium.source_digest,
            state_of(tmp_path, "north"),
            lambda d: sign(d, key),
        )
        question = folder / "ask-0001.npz"
        arrays = read_arrays(question)
        (name,) = (name for name in arrays if name.endswith("direction"))
        arrays[name] = arrays[name] + 1
        write_arrays(question, arrays)
        written.unlink()
        with pytest.raises(WorkspaceError, match="another question"):
            answer(
                folder,
                member,
                consortium.source_digest,
                state_of(tmp_path, "north"),
                lambda d: sign(d, key),
            )

    def test_what_answers_tell_is_written_down_before_it_leaves(self, tmp_path: Path) -> None:
        write_consortium(tmp_path, maximum=40)
        registered(tmp_path)
        consortium, data = load_consortium(tmp_path / "terms.toml"), own_data(tmp_path, sites=("attester",))
        with pytest.raises(Waiting):
            deploy(consortium, MemoryProvider(7), tmp_path / "ws", own_data=data)
        agreed, key, state = Agreed.of(consortium), development_key(7, "north"), state_of(tmp_path, "north")
        member = Member(agreed, own(data.registrations, [tmp_path / "north" / "site.toml"])(agreed), 0)
        before = len(state.disclosed())
        answer(tmp_path / "exchange", member, consortium.source_digest, state, lambda d: sign(d, key))
        (told,) = state.disclosed()[before:]
        assert (told["what"], told["to"]) == ("answer: pretraining", "the operator")

    def test_a_panel_of_another_shape_is_refused_by_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_consortium(tmp_path, maximum=40)
        registered(tmp_path)
        consortium, data = load_consortium(tmp_path / "terms.toml"), own_data(tmp_path, sites=("attester",))
        agreed = Agreed.of(consortium)
        for _ in range(2):
            with pytest.raises(Waiting):
                deploy(consortium, MemoryProvider(7), tmp_path / "ws", own_data=data)
            for n, name in enumerate(NAMES):
                member = Member(agreed, own(data.registrations, [tmp_path / name / "site.toml"])(agreed), n)
                key, honest = development_key(7, name), member.panel
                if name == "harbor":
                    monkeypatch.setattr(member, "panel", lambda *args, honest=honest: narrowed(honest(*args)))
                args = tmp_path / "exchange", member, consortium.source_digest, state_of(tmp_path, name)
                answer(*args, lambda digest, key=key: sign(digest, key))
        with pytest.raises(EvidenceRejected, match=r"harbor.*no panel of the agreed size"):
            deploy(consortium, MemoryProvider(7), tmp_path / "ws", own_data=data)

    def test_an_answer_that_its_owner_did_not_sign_is_refused(self, tmp_path: Path) -> None:

        write_consortium(tmp_path, maximum=40)
        registered(tmp_path)
        consortium, data = load_consortium(tmp_path / "terms.toml"), own_data(tmp_path, sites=("attester",))
        with pytest.raises(Waiting):
            deploy(consortium, MemoryProvider(7), tmp_path / "ws", own_data=data)
        agreed, key = Agreed.of(consortium), development_key(7, "harbor")
        member = Member(agreed, own(data.registrations, [tmp_path / "north" / "site.toml"])(agreed), 0)
        answer(
            tmp_path / "exchange",
            member,
            consortium.source_digest,
            state_of(tmp_path, "north"),
            lambda d: sign(d, key),
        )
        with pytest.raises(EvidenceRejected, match="north"):
            deploy(consortium, MemoryProvider(7), tmp_path / "ws", own_data=data)


class TestConsortiumFile:
    @pytest.fixture
    def file(self, played: tuple[Deployed, MemoryProvider], tmp_path: Path) -> Path:
        path = tmp_path / "own.consortium"
        consortium_file(Workspace(played[0].workspace), path)
        return path

    def test_it_says_what_was_deployed_and_nothing_of_the_machine(
        self, file: Path, made: Path, played: tuple[Deployed, MemoryProvider]
    ) -> None:
        found = read_consortium_file(file)
        assert found.resolved == played[0].resolved
        assert found.deployment.address == played[0].deployment.address
        assert set(found.registrations) == set(SITES)
        for place in (made, played[0].workspace, Path.cwd()):
            assert str(place).encode() not in file.read_bytes()

    def test_equal_consortia_give_equal_bytes(
        self, file: Path, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        consortium_file(Workspace(played[0].workspace), tmp_path / "again")
        assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256((tmp_path / "again").read_bytes()).digest()

    @pytest.mark.parametrize(
        ("part", "reason"),
        [
            ("terms", "terms file"),
            ("model", "model"),
            ("registration.north", "registration of north"),
            ("resolved", "not valid resolved terms"),
            ("deployment", "no deployment record"),
        ],
    )
    def test_a_part_that_was_altered_or_is_missing_is_named(self, file: Path, part: str, reason: str) -> None:
        whole = read_arrays(file)
        altered = dict(whole)
        altered[part] = np.concatenate([whole[part], np.frombuffer(b"x", dtype=np.uint8)])
        write_arrays(file, altered)
        with pytest.raises(ConfigurationError, match=reason):
            read_consortium_file(file)
        write_arrays(file, {name: array for name, array in whole.items() if name != part})
        with pytest.raises(ConfigurationError):
            read_consortium_file(file)

    def test_a_part_too_many_is_refused(self, file: Path) -> None:
        write_arrays(file, {**read_arrays(file), "more": np.zeros(3, dtype=np.uint8)})
        with pytest.raises(ConfigurationError, match="parts that no consortium has"):
            read_consortium_file(file)

    def test_a_member_finds_its_own_line_and_what_it_agrees_to(
        self, file: Path, made: Path, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        found, provider = read_consortium_file(file), played[1]
        mine = read_registration(made / "registrations" / "harbor.registration")
        own_line(found, "harbor", mine)
        workspace = Workspace(tmp_path / "harbor")
        with workspace.locked():
            open_file(found, workspace, ledger="memory", terms_file=str(workspace.terms))
            open_file(found, workspace, ledger="memory", terms_file=str(workspace.terms))  # and again: nothing happens
        with open_consortium(workspace.root, provider) as session:
            said = offer(session, "harbor")
            assert audit(session, audit_deployment).status == "PASS"
        assert said.registered == mine.document.training
        assert said.worst_round == played[0].liabilities[1]
        assert said.plain()["worst_round"] == str(said.worst_round)

    def test_another_registration_than_its_own_is_told(self, file: Path, sites: Path) -> None:
        found = read_consortium_file(file)
        mine = read_registration(sites / "registrations" / "harbor.registration")
        other = replace(mine, signature=mine.signature[:-1] + bytes([mine.signature[-1] ^ 1]))
        with pytest.raises(RegistrationRefused, match="another registration than its own"):
            own_line(found, "harbor", other)
        with pytest.raises(RegistrationRefused, match="no registration of its own"):
            own_line(found, "harbor", None)
        with pytest.raises(ConfigurationError, match="stranger"):
            own_line(found, "stranger", mine)

    def test_a_workspace_of_another_consortium_is_left_alone(
        self, file: Path, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        found = read_consortium_file(file)
        other = replace(found, deployment=replace(found.deployment, address="0x" + "11" * 20))
        workspace = Workspace(tmp_path / "ws")
        with workspace.locked():
            open_file(found, workspace, ledger="memory", terms_file="terms.toml")
            before = workspace.deployment.read_bytes()
            with pytest.raises(WorkspaceError, match="another deployment"):
                open_file(other, workspace, ledger="memory", terms_file="terms.toml")
        assert workspace.deployment.read_bytes() == before


class TestUse:
    """What a member exports, and what it scores with it."""

    def test_a_member_scores_new_cases_with_the_model_that_it_was_given(
        self, made: Path, played: tuple[Deployed, MemoryProvider], tmp_path: Path
    ) -> None:
        deployed, provider = played
        source = made / "attester" / "data.csv"
        with opened(deployed, provider, made) as session:
            exported = export_model(session, tmp_path / "model.safetensors", "harbor").model
            attester = session.loop.attester
        with opened(deployed, provider, made, ()) as session:  # nobody's data are needed
            assert member_model(session, "harbor").header() == exported.header()
        assert exported.classes == ("lived", "died")
        test = exported.classifier.logits(exported.state, attester.test.features).argmax(axis=1)
        assert exported.card.metrics["accuracy"].value == (test == attester.test.labels).mean()

        model = read_model(tmp_path / "model.safetensors")
        scored = predict(model, load_site(made / "attester" / "site.toml"), source, tmp_path / "scored.csv")
        assert scored.kept == ("outcome",)
        lines = [line.split(";") for line in (tmp_path / "scored.csv").read_text().splitlines()]
        assert lines[0] == ["outcome", "p_lived", "p_died"]
        found = np.array([float(line[2]) for line in lines[1:]])
        own = np.concatenate([attester.holdout.features, attester.test.features])
        expected = model.probabilities(own)[:, 1]
        np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-6)
