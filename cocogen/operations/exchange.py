"""What the sites are asked for before a consortium is deployed: its generator's training, and a first panel of samples.

Own data stay with their owners, so what :class:`~cocogen.evidence.local.Local` does in one process is a question and a
signed answer here, as files in one folder that any tool may carry: ``ask-0001.npz`` holds what everybody starts from,
``NAME-0001.npz`` what came of it. A site answers each question once: two answers that differ in a known way would tell
more than either. Left out: rounds, which Flower or the steps by hand carry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.archive import read_arrays, write_arrays
from cocogen.data.heterogeneity import heterogeneity, label_mix
from cocogen.data.samples import Samples
from cocogen.errors import EvidenceRejected, LearningError, WorkspaceError
from cocogen.evidence.agreed import Agreed, Models
from cocogen.evidence.attester import Attester
from cocogen.evidence.member import Member, first_panels, pretraining_step
from cocogen.files import canonical_json, write_atomically
from cocogen.learning.generators.quality import panel_labels
from cocogen.learning.models.states import ModelState, SharedModel, average, pack, unpack
from cocogen.learning.training.threads import one_thread
from cocogen.operations.site_state import SiteState

__all__ = ["Exchanged", "Waiting", "answer"]

Sign = Callable[[bytes], bytes]
Verify = Callable[[str, bytes, bytes], bool]


class Waiting(LearningError):
    """The sites have not answered yet; ``missing`` names them, ``question`` is the file that they are to answer."""

    def __init__(self, question: Path, missing: Sequence[str]) -> None:
        self.question, self.missing = question, tuple(missing)
        super().__init__(
            f"{question} waits for answers of {', '.join(missing)}",
            hint=f"each runs `cocogen answer site.toml terms.toml --exchange {question.parent}`; then run this again",
        )


@dataclass(frozen=True, slots=True)
class _Question:
    number: int
    kind: str
    state: ModelState

    def digest(self, subject: str) -> str:
        return _digest("question", subject, self.kind, self.number, "", self.state.digest())


class Exchanged:
    """Implements what deploying needs of :class:`~cocogen.evidence.local.Local`, without anybody's rows.

    Parameters
    ----------
    agreed : what all agreed to learn.
    counts : (N, C) int64, registered training rows of each organization and class.
    inputs : columns of a sample.
    models : those of ``agreed``.
    attester : measures κ on its own data; None where nobody generates.
    folder : of questions and answers.
    subject : SHA-256 of the terms file as hexadecimal text: what the questions are about.
    addresses : whose signature is on the answers, by organization.
    verify : tells whether a signature over a digest is that of an address: (address, digest, signature).

    Attributes
    ----------
    registered : (N,) int64, real samples of each organization.
    label_mix : (N, C) float64, rows sum to 1.
    heterogeneity : (N,) float64, δ_n in [0, 1].
    """

    def __init__(
        self,
        agreed: Agreed,
        counts: NDArray[np.int64],
        inputs: int,
        models: Models,
        attester: Attester | None,
        folder: Path,
        subject: str,
        addresses: Mapping[str, str],
        verify: Verify,
    ) -> None:
        self.agreed, self.attester = agreed, attester
        self.registered = counts.sum(axis=1)
        self.label_mix = label_mix(counts)
        self.heterogeneity = heterogeneity(counts)
        self._models, self._folder, self._subject = models, folder, subject
        self._addresses, self._verify = dict(addresses), verify
        self._classes, self._inputs = counts.shape[1], inputs

    def pretrain(self, progress: Callable[[str, int, int], None] | None = None) -> SharedModel:
        """The initial model with a generator that all sites trained; raises :class:`Waiting` until they have."""
        agreed, state = self.agreed, self._models.initial.generator
        rounds = agreed.pretraining_rounds if agreed.generates and agreed.shares_generator else 0
        for number in range(1, rounds + 1):
            if progress is not None:
                progress("training the generator", number - 1, rounds)
            answers = self._answers(_Question(number, "pretraining", state))
            with one_thread():
                state = average([unpack("state", a) for a in answers], self.registered.tolist())
        return SharedModel(self._models.initial.classifier, state)

    def measure_quality(self, shared: SharedModel) -> NDArray[np.float64]:
        """κ of each organization's first panel, on the attester's data; raises :class:`Waiting` until all are there."""
        if not self.agreed.generates or self.attester is None:
            return np.full(len(self.agreed.names), np.nan)
        rounds = self.agreed.pretraining_rounds if self.agreed.shares_generator else 0
        answers = self._answers(_Question(rounds + 1, "panel", shared.generator))
        panels = [Samples(_features(a), _labels(a)) for a in answers]
        return np.array([self.attester.measure_panel(panel, n) for n, panel in enumerate(panels)])

    def _answers(self, question: _Question) -> list[dict[str, NDArray[np.generic]]]:
        path = _question_file(self._folder, question.number)
        wanted = question.digest(self._subject)
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            facts = canonical_json({"kind": question.kind, "subject": self._subject, "number": question.number})
            write_arrays(path, {**pack("state", question.state), "facts": np.frombuffer(facts, dtype=np.uint8)})
        elif _read_question(path, self._subject).digest(self._subject) != wanted:
            raise WorkspaceError(
                f"{path} asks for something else than these terms and answers lead to",
                hint="name an empty folder with --exchange, or restore this one",
            )
        found, missing = [], []
        for name in self.agreed.names:
            answered = _answer_file(self._folder, name, question.number)
            if answered.exists():
                found.append(self._read(answered, name, question, wanted))
            else:
                missing.append(name)
        if missing:
            raise Waiting(path, missing)
        return found

    def _read(self, path: Path, name: str, question: _Question, asked: str) -> dict[str, NDArray[np.generic]]:
        arrays = read_arrays(path)
        signature = arrays.pop("signature", np.zeros(0, dtype=np.uint8)).tobytes()
        digest = _digest("answer", self._subject, question.kind, question.number, name, asked, *_digests(arrays))
        if not self._verify(self._addresses[name], bytes.fromhex(digest), signature):
            raise EvidenceRejected(
                name,
                f"{path} is not signed by its registered address {self._addresses[name]} for this question",
                hint=f"let {name} answer again",
            )
        if question.kind == "pretraining":
            state = unpack("state", arrays)
            if state.layout != question.state.layout or len(state) != len(arrays) or not state.is_finite():
                raise EvidenceRejected(name, f"{path} holds no state of the agreed generator")
            return arrays
        labels, features = _labels(arrays), _features(arrays)
        expected = panel_labels(self._classes, self.agreed.panel)
        shape = (len(expected), self._inputs)
        if not np.array_equal(labels, expected) or features.shape != shape or not np.isfinite(features).all():
            raise EvidenceRejected(name, f"{path} holds no panel of the agreed size")
        return arrays


def answer(folder: Path, member: Member, subject: str, state: SiteState, sign: Sign) -> list[Path]:
    """Answer every question in ``folder`` that this member has not answered; the files that were written.

    ``subject``: SHA-256 of the member's own copy of the terms file, as hexadecimal text. ``state``: what its site
    remembers: which questions it has answered, and what has left it.

    Raises
    ------
    WorkspaceError
        A question is about other terms, or differs from the one of this number that was answered before.
    LearningError
        A question cannot be read, or asks for a model of another layout.
    """
    written = []
    for path in sorted(folder.glob("ask-*.npz")):
        question = _read_question(path, subject)
        digest = question.digest(subject)
        answered = _answer_file(folder, member.name, question.number)
        kept = state.root / "answered" / f"{subject[:16]}-{question.number:04d}"
        if kept.exists() and kept.read_text().strip() != digest:
            raise WorkspaceError(
                f"{path} is another question than the one of this number that {member.name} has answered",
                hint="ask the operator why; a second, different answer would tell more than either",
            )
        if answered.exists():
            continue
        if question.state.layout != member.models.initial.generator.layout:
            raise LearningError(
                f"{path} does not hold the parameters of the generator that the terms name",
                hint="all must have the same terms and the same version of cocogen",
            )
        state.disclose(f"answer: {question.kind}", "the operator", digest=digest, number=question.number)
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(kept, f"{digest}\n".encode(), private=True)
        with one_thread():
            if question.kind == "pretraining":
                arrays = pack("state", pretraining_step(member, question.state, question.number - 1))
            else:
                (panel,) = first_panels([member], question.state)
                arrays = {"features": panel.features, "labels": panel.labels}
        signed = _digest("answer", subject, question.kind, question.number, member.name, digest, *_digests(arrays))
        signature = np.frombuffer(sign(bytes.fromhex(signed)), dtype=np.uint8)
        write_arrays(answered, {**arrays, "signature": signature})
        written.append(answered)
    return written


def _question_file(folder: Path, number: int) -> Path:
    return folder / f"ask-{number:04d}.npz"


def _answer_file(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:04d}.npz"


def _read_question(path: Path, subject: str) -> _Question:
    arrays = read_arrays(path)
    facts = arrays.pop("facts", np.zeros(0, dtype=np.uint8)).tobytes()
    for kind in ("pretraining", "panel"):
        number = int(path.stem.removeprefix("ask-")) if path.stem.removeprefix("ask-").isdigit() else 0
        if facts == canonical_json({"kind": kind, "subject": subject, "number": number}):
            return _Question(number, kind, unpack("state", arrays))
    raise WorkspaceError(
        f"{path} is no question about these terms", hint="compare your copy of the terms file with the operator's"
    )


def _digests(arrays: Mapping[str, NDArray[np.generic]]) -> list[str]:
    return [f"{name}:{hashlib.sha256(array.tobytes()).hexdigest()}" for name, array in sorted(arrays.items())]


def _digest(*parts: object) -> str:
    return hashlib.sha256(canonical_json({"purpose": "exchange", "parts": [str(part) for part in parts]})).hexdigest()


def _features(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    return np.asarray(arrays.get("features", np.zeros((0, 0))), dtype=np.float32)


def _labels(arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.int64]:
    return np.asarray(arrays.get("labels", np.zeros(0)), dtype=np.int64)
