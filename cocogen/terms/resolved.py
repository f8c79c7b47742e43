"""The agreement with everything measured, as it was accepted: written by ``deploy``, hashed into the ledger.

The terms file leaves open what only a measurement can tell: local samples and label mixes, the quality of each
generator, the automatic incentive. :class:`ResolvedTerms` holds them, decoded from the ledger's integers, and its
SHA-256 is the ledger's documentHash: ``plan`` and ``audit`` read only this. How it is measured is in
:mod:`cocogen.rounds.loop`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from cocogen.addresses import Address
from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.ledger import ZERO_ADDRESS, Member, SettlementTerms
from cocogen.mechanisms import UNPAID
from cocogen.terms.consortium import Consortium
from cocogen.terms.reading import field_problems
from cocogen.terms.sections import (
    AccuracyTerms,
    Attestation,
    ConsortiumSection,
    Generation,
    GenerationCost,
    Incentive,
    Learning,
    Settlement,
    TermsSection,
)

__all__ = ["ResolvedOrganization", "ResolvedSettlement", "ResolvedTerms"]


_Part = Annotated[int, Field(ge=0, lt=2**64, strict=True)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ResolvedOrganization(TermsSection):
    """One organization of the resolved terms; counts are samples, ``label_mix`` sums to 1.

    ``quality``: κ, None where nobody generates, so that nothing was measured.
    ``stand_in``: data, generated and compute that count against it when it takes part in a round and hands in nothing;
    None where it is then masked.
    ``registration``: SHA-256 of the registration that it signed for its own data; None where one data set was shared
    out.
    """

    name: str
    address: Address
    profitability: float
    generation_cost: GenerationCost
    generation_maximum: int
    local: int
    label_mix: tuple[float, ...]
    heterogeneity: float
    quality: float | None
    data_cap: int
    generated_cap: int
    compute_cap: int
    score_weight: float
    score_offset: float
    stand_in: tuple[_Part, _Part, _Part] | None = None
    registration: Sha256 | None = None


class ResolvedSettlement(Settlement):
    """``absence`` is None in resolved terms of before there were stand-ins: whoever was absent was masked."""

    absence: Literal["planned", "least", "masked"] | None = None  # type: ignore[assignment]  # an older version's

    @classmethod
    def of(cls, settlement: Settlement) -> ResolvedSettlement:
        """The same, as resolved terms hold it."""
        return cls.model_validate(settlement.model_dump())


class ResolvedTerms(TermsSection):
    """The agreement with everything measured, as it was accepted: written by ``deploy``, hashed into the ledger.

    ``heterogeneity``: δ̄ of the consortium, mean of the organizations' δ_n weighted by local samples.
    ``incentive``: currency per unit of score difference. Floats are those that the ledger's integers decode to.
    ``holdout``: SHA-256 of the registration that the attester signed for its own data; None where there is one data
    set for all.
    """

    schema_version: Literal[1] = 1
    terms_sha256: str
    model_digest: str
    consortium: ConsortiumSection
    learning: Learning
    generation: Generation
    settlement: ResolvedSettlement
    accuracy: AccuracyTerms
    heterogeneity: float
    competition: tuple[tuple[float, ...], ...]
    damage: float = 1.0
    private_gain: float = 0.0
    private_base: float = 100.0
    incentive: float
    incentive_rule: Incentive
    attester: Address
    arbiter: Address
    attestation: Attestation = Attestation()
    holdout: Sha256 | None = None
    organization: tuple[ResolvedOrganization, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Organization names, in the order of the terms file."""
        return tuple(organization.name for organization in self.organization)

    @property
    def quality(self) -> NDArray[np.float64]:
        """κ at registration, shape (N,); NaN where nobody generates."""
        return np.array([math.nan if o.quality is None else o.quality for o in self.organization])

    @property
    def generates(self) -> bool:
        """Whether there is a generator."""
        return any(organization.quality is not None for organization in self.organization)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, shortest exact floats; equal terms give equal text."""
        content = self.model_dump(mode="json")
        # What an older version did not know has no place in its text, whose digest is on a ledger.
        if self.settlement.absence is None:
            del content["settlement"]["absence"]
        if self.attestation == Attestation():
            del content["attestation"]
        if self.holdout is None:
            del content["holdout"]
        for organization in content["organization"]:
            for name in ("stand_in", "registration"):
                if organization[name] is None:
                    del organization[name]
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, file: str = "resolved terms") -> ResolvedTerms:
        """Parse :meth:`to_json`.

        ConfigurationError when the text is malformed, says something twice, or is not the very text whose digest is
        :attr:`document_hash`.
        """
        try:
            resolved = cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigurationError(
                "not valid resolved terms:", file=file, problems=field_problems(error), hint="restore the file"
            ) from error
        # only after validation, which bounds the depth; numbers are left as text, since they are valid already
        try:
            json.loads(text, object_pairs_hook=_unambiguous, parse_int=str, parse_float=str)
            _require_own_text(text, resolved.to_json())
        except _Ambiguous as error:
            raise ConfigurationError(
                f"not valid resolved terms: {error}", file=file, hint="restore the file"
            ) from error
        for n, organization in enumerate(resolved.organization):
            caps = (organization.data_cap, organization.generated_cap, organization.compute_cap)
            if problem := _stand_in_problem(organization.stand_in, caps, masked=resolved.masks):
                found = FieldProblem(f"organization[{n}].stand_in", repr(organization.stand_in), problem)
                raise ConfigurationError(
                    "not valid resolved terms:", file=file, problems=[found], hint="restore the file"
                )
        return resolved

    @property
    def document_hash(self) -> bytes:
        """SHA-256 of the canonical JSON, 32 bytes: the documentHash of the ledger."""
        return hashlib.sha256(self.to_json().encode()).digest()

    def disagreements(self, consortium: Consortium) -> list[str]:
        """What a terms file says otherwise than these resolved terms: dotted field names, empty when it is theirs.

        Also what follows from the file by the published rule: scores, caps, stated addresses and strength. What only a
        measurement can tell (samples, label mixes, κ) is not compared, nor what is computed from it: see
        :func:`cocogen.operations.registration.rule_disagreements`.
        """
        sections = ("consortium", "learning", "generation", "attestation")
        found = [name for name in sections if getattr(self, name) != getattr(consortium, name)]
        if self._settlement_differs(consortium.settlement):
            found.append("settlement")
        if self.accuracy != consortium.market.accuracy:
            found.append("market.accuracy")
        if self.competition != tuple(tuple(row) for row in consortium.competition.tolist()):
            found.append("market.competition")
        for name in ("damage", "private_gain", "private_base"):
            if getattr(self, name) != getattr(consortium.market, name):
                found.append(f"market.{name}")
        if self.incentive_rule != consortium.incentive:
            found.append("incentive")
        if self.names != consortium.names:
            return [*found, "organization"]
        for mine, other in zip(self.organization, consortium.organization, strict=True):
            if mine.profitability != other.profitability:
                found.append(f"organization.{mine.name}.profitability")
            if mine.generation_cost != other.generation_cost:
                found.append(f"organization.{mine.name}.generation_cost")
            published = consortium.incentive.redistribution == "uniform"
            if published and (mine.score_weight != 1.0 or mine.score_offset != -mine.local):
                found.append(f"organization.{mine.name} (score)")
            if (mine.data_cap, mine.generated_cap, mine.compute_cap) != (mine.local, mine.generation_maximum, 0):
                found.append(f"organization.{mine.name} (caps)")
            if mine.stand_in != self._stand_in_of(mine):
                found.append(f"organization.{mine.name} (stand-in)")
            if other.address is not None and mine.address.lower() != other.address.lower():
                found.append(f"organization.{mine.name}.address")
        strength = consortium.incentive.strength
        if strength != "auto" and self.incentive != strength:
            found.append("incentive.strength")
        for role in ("attester", "arbiter"):
            stated = getattr(consortium.settlement, role)
            if stated is not None and stated.lower() != getattr(self, role).lower():
                found.append(f"settlement.{role}")
        if tuple(o.generation_maximum for o in self.organization) != consortium.generation_maximum():
            found.append("generation_maximum")
        if self.terms_sha256 != consortium.source_digest:
            found.append("text (SHA-256)")
        return found

    @property
    def masks(self) -> bool:
        """Whether a participant without a contribution neither pays nor receives: so it was agreed, or nothing is
        redistributed at all."""
        return self.settlement.absence in (None, "masked") or self.consortium.mechanism in UNPAID

    def _settlement_differs(self, other: Settlement) -> bool:
        mine, stated = self.settlement.model_dump(), other.model_dump()
        if mine["absence"] is None:  # agreed before a terms file could say it
            stated["absence"] = None
        return mine != stated

    def _stand_in_of(self, organization: ResolvedOrganization) -> tuple[int, int, int] | None:
        """Its stand-in, as far as it follows without a plan: what is generated is taken as it is."""
        if self.masks:
            return None
        planned = self.settlement.absence == "planned" and organization.stand_in is not None
        generated = organization.stand_in[1] if planned and organization.stand_in is not None else 0
        return organization.local, generated, 0

    def with_stand_ins(self, stand_ins: Sequence[tuple[int, int, int]] | None) -> ResolvedTerms:
        """The same terms with other stand-ins, one per organization, or none."""
        given = [None] * len(self.organization) if stand_ins is None else stand_ins
        organizations = tuple(
            organization.model_copy(update={"stand_in": stand_in})
            for organization, stand_in in zip(self.organization, given, strict=True)
        )
        return self.model_copy(update={"organization": organizations})

    def with_rule(self, incentive: float, weights: Sequence[float], offsets: Sequence[float]) -> ResolvedTerms:
        """The same terms under another incentive, score weights and score offsets."""
        organizations = tuple(
            organization.model_copy(update={"score_weight": float(weight), "score_offset": float(offset)})
            for organization, weight, offset in zip(self.organization, weights, offsets, strict=True)
        )
        return self.model_copy(update={"incentive": float(incentive), "organization": organizations})

    def settlement_terms(self) -> SettlementTerms:
        """What goes on the ledger."""
        settlement = self.settlement
        return SettlementTerms(
            members=tuple(
                Member(
                    name=o.name,
                    address=o.address,
                    data_cap=o.data_cap,
                    generated_cap=o.generated_cap,
                    compute_cap=o.compute_cap,
                    score_weight=o.score_weight,
                    score_offset=o.score_offset,
                    stand_in=o.stand_in,
                )
                for o in self.organization
            ),
            competition=self.competition,
            incentive=self.incentive,
            wei_per_unit=settlement.wei_per_unit,
            attester=self.attester,
            arbiter=self.arbiter,
            document_hash=self.document_hash,
            submit_window=settlement.submit_window,
            dispute_window=settlement.dispute_window,
            arbiter_window=settlement.arbiter_window,
            minimum_gap=settlement.minimum_gap,
            quorum_bps=math.ceil(settlement.quorum * 10_000 - 1e-9),
            minimum_members=settlement.minimum_members,
            maximum_rounds=self.consortium.rounds,
            token=settlement.token or ZERO_ADDRESS,
            dispute_bond=settlement.dispute_bond,
            dispute_default=settlement.dispute_default,
            test=settlement.test,
        )


def _stand_in_problem(stand_in: tuple[int, int, int] | None, caps: tuple[int, int, int], *, masked: bool) -> str:
    if masked:
        return "" if stand_in is None else "nothing: who is absent is masked under these terms"
    if stand_in is None:
        return "required: who is absent pays by it under these terms"
    within = all(part <= cap for part, cap in zip(stand_in, caps, strict=True))
    return "" if within else f"at most the caps {caps} of data, generated and compute"


class _Ambiguous(ValueError):
    """A text can be read as one thing by a program and as another by a person."""


def _unambiguous(pairs: list[tuple[str, object]]) -> None:
    """Refuse what JSON allows: a repeated key, of which readers keep one or the other, and control characters."""
    seen: set[str] = set()
    for key, value in pairs:
        if key in seen:
            raise _Ambiguous(f"the key {ascii(key)[:80]} stands there twice")
        if isinstance(value, str) and not value.isprintable():
            raise _Ambiguous(f"{ascii(key)[:80]} is {ascii(value)[:80]}, which holds control characters")
        seen.add(key)


def _require_own_text(text: str, canonical: str) -> None:
    """Whoever hashes the file must find the digest that is on the ledger."""
    if text == canonical:
        return
    found, wanted = text.splitlines(), canonical.splitlines()
    line = next((n for n, pair in enumerate(zip(found, wanted, strict=False)) if pair[0] != pair[1]), len(wanted))
    first = ascii(found[line] if line < len(found) else "")[:80]
    raise _Ambiguous(f"line {line + 1}, {first}, is not as these terms are written, so its digest is another")
