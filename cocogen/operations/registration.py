"""From a terms file to resolved terms: everything that is measured before the ledger holds the agreement.

The members' registered samples and label mixes are counted, the generator is pretrained federatedly, the attester
measures every κ on its own holdout, and the incentive is chosen; the floats that enter the resolved terms are the
ones that the ledger's integers decode to (encode first, then play).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.data.heterogeneity import heterogeneity, label_mix
from cocogen.errors import ConfigurationError
from cocogen.evidence.registered import ATTESTER
from cocogen.evidence.registered import Registration as Registered
from cocogen.files import measured_quality
from cocogen.ledger import DecodedTerms, LedgerProvider, SettlementTerms
from cocogen.mechanisms.absence import possible_stand_ins
from cocogen.mechanisms.redistribution.agreement import Agreement
from cocogen.systems.cocogen import agreed, agreed_market
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedOrganization, ResolvedSettlement, ResolvedTerms

if TYPE_CHECKING:
    from cocogen.data.sets import DataFolders
    from cocogen.evidence.local import SharedModel

__all__ = [
    "Registration",
    "accounts",
    "measurement_disagreements",
    "register",
    "rule_disagreements",
]

_AGREEMENT = 1e-6  # relative; another processor may round the same computation otherwise

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Registration:
    """The resolved terms, the shared model that they name by digest, and how the redistribution was chosen.

    ``agreement`` holds the evidence behind an automatic strength or an optimal design.
    """

    resolved: ResolvedTerms
    shared: SharedModel
    agreement: Agreement

    def without_generation(self, shared: SharedModel) -> Registration:
        """The same agreement where nobody generates, with the ``shared`` model that has no generator."""
        organizations = tuple(o.model_copy(update={"quality": None}) for o in self.resolved.organization)
        changes = {"organization": organizations, "model_digest": shared.digest()}
        return replace(self, resolved=self.resolved.model_copy(update=changes), shared=shared)


class Measured(Protocol):
    """What has to be known of everybody's data: :class:`~cocogen.evidence.local.Local` has them all,
    :class:`~cocogen.operations.exchange.Exchanged` asks."""

    @property
    def registered(self) -> NDArray[np.int64]: ...
    @property
    def label_mix(self) -> NDArray[np.float64]: ...
    @property
    def heterogeneity(self) -> NDArray[np.float64]: ...

    def pretrain(self, progress: Progress | None = None) -> SharedModel: ...
    def measure_quality(self, shared: SharedModel) -> NDArray[np.float64]: ...


def register(
    consortium: Consortium,
    provider: LedgerProvider,
    task: Measured,
    *,
    registered: Mapping[str, Registered] | None = None,
    progress: Progress | None = None,
) -> Registration:
    """Measure what the terms file leaves open and resolve the terms.

    ``registered``: what organizations and the attester signed of their own data, by name; None with one data set.

    Raises
    ------
    ConfigurationError
        An organization states an address that the provider's account does not have.
    NoRationalIncentive
        ``strength = "auto"`` and no incentive leaves everyone at least as well off as alone.
    NoRationalSharing, NegativeScoreWeight, NoImplementingWeight, IsolatedOrganization
        ``redistribution = "optimal"`` and the theory stops: the message says why, and what to change.
    LedgerError
        The operator's account cannot sign or pay, which is seen before anything is measured; or the resolved amounts do
        not fit the ledger's integers.
    """
    signed = registered or {}
    holdout = signed.get(ATTESTER)
    addresses, attester, arbiter = accounts(consortium, provider, registered)
    provider.check_deployer()
    shared = task.pretrain(progress)
    quality = measured_quality(task.measure_quality(shared))
    heterogeneity = np.asarray(task.heterogeneity, dtype=np.float64)
    local = np.asarray(task.registered, dtype=np.int64)
    organizations = tuple(
        ResolvedOrganization(
            name=organization.name,
            address=addresses[n],
            profitability=organization.profitability,
            generation_cost=organization.generation_cost,
            generation_maximum=maximum,
            local=int(local[n]),
            label_mix=tuple(float(share) for share in task.label_mix[n]),
            heterogeneity=float(heterogeneity[n]),
            quality=quality[n],
            data_cap=int(local[n]),
            generated_cap=maximum,
            compute_cap=0,
            score_weight=1.0,
            score_offset=-float(local[n]),
            registration=signed[organization.name].digest().hex() if organization.name in signed else None,
        )
        for n, (organization, maximum) in enumerate(
            zip(consortium.organization, consortium.generation_maximum(), strict=True)
        )
    )
    settlement = consortium.settlement
    draft = ResolvedTerms(
        terms_sha256=consortium.source_digest,
        model_digest=shared.digest(),
        consortium=consortium.consortium,
        learning=consortium.learning,
        generation=consortium.generation,
        settlement=ResolvedSettlement.of(settlement),
        accuracy=consortium.market.accuracy,
        heterogeneity=float(heterogeneity @ local / local.sum()),
        competition=tuple(tuple(float(entry) for entry in row) for row in consortium.competition),
        damage=consortium.market.damage,
        private_gain=consortium.market.private_gain,
        private_base=consortium.market.private_base,
        incentive=0.0,
        incentive_rule=consortium.incentive,
        attester=attester,
        arbiter=arbiter,
        attestation=consortium.attestation,
        holdout=None if holdout is None else holdout.digest().hex(),
        organization=organizations,
    )

    resolved, agreement = agreed(draft, provider.decode)
    return Registration(resolved, shared, agreement)


def rule_disagreements(resolved: ResolvedTerms, decode: Callable[[SettlementTerms], DecodedTerms]) -> list[str]:
    """Which of the computed terms do not follow from the measured ones: incentive, score weights, offsets, stand-ins.

    They are computed anew, to a relative 1e-6 (offsets: of the largest), where the terms leave them to a rule.

    Raises
    ------
    GameError
        The rule has no answer for these measurements.
    """
    follows, _ = agreed(resolved, decode)
    organizations = list(zip(resolved.organization, follows.organization, strict=True))
    largest = max(abs(other.score_offset) for _, other in organizations)
    compared = [("incentive.strength", resolved.incentive, follows.incentive, 0.0)]
    for mine, other in organizations:
        compared.append((f"organization.{mine.name} (score weight)", mine.score_weight, other.score_weight, 1e-8))
        compared.append(
            (f"organization.{mine.name} (score offset)", mine.score_offset, other.score_offset, _AGREEMENT * largest)
        )
    disagreements = [
        name
        for name, found, expected, rounding in compared
        if not math.isclose(found, expected, rel_tol=_AGREEMENT, abs_tol=rounding)
    ]
    return disagreements or _stand_in_disagreements(resolved, follows, decode)


def _stand_in_disagreements(
    resolved: ResolvedTerms, follows: ResolvedTerms, decode: Callable[[SettlementTerms], DecodedTerms]
) -> list[str]:
    """Whose stand-in is not the one that ``follows`` from the measurements, up to rounding of the plan."""
    absence = follows.settlement.absence
    if absence is None or follows.masks:
        return [f"organization.{o.name} (stand-in)" for o in resolved.organization if o.stand_in is not None]
    low, high = possible_stand_ins(absence, agreed_market(follows, decode))
    return [
        f"organization.{organization.name} (stand-in)"
        for organization, least, most in zip(resolved.organization, low, high, strict=True)
        if organization.stand_in is None
        or not all(a <= part <= b for a, part, b in zip(least, organization.stand_in, most, strict=True))
    ]


def measurement_disagreements(resolved: ResolvedTerms, folders: DataFolders | None = None) -> list[str]:
    """Which measurements of the resolved terms their own data contradict: counts, label mixes, skew.

    The data set, looked for in ``folders``, is partitioned again as the terms say. κ and the shared model are the
    attester's word.

    Raises
    ------
    DatasetError
        The data set is not there, or too small for the partition.
    """
    from cocogen.evidence.local import Agreed, Local

    agreed = replace(Agreed.of(resolved), generates=False)  # counts are compared, nothing is measured
    task = Local(agreed, agreed.source(folders))
    return _differences(resolved, task.registered, task.label_mix, task.heterogeneity)


def _differences(
    resolved: ResolvedTerms, local: NDArray[np.int64], mixes: NDArray[np.float64], skew: NDArray[np.float64]
) -> list[str]:
    found = []
    for n, organization in enumerate(resolved.organization):
        if organization.local != local[n]:
            found.append(f"organization.{organization.name}.local")
        mix = mixes[n]
        if len(organization.label_mix) != mix.size or not np.allclose(organization.label_mix, mix, atol=1e-9):
            found.append(f"organization.{organization.name}.label_mix")
        if not math.isclose(organization.heterogeneity, float(skew[n]), abs_tol=1e-9):
            found.append(f"organization.{organization.name}.heterogeneity")
    if not math.isclose(resolved.heterogeneity, float(skew @ local / local.sum()), abs_tol=1e-9):
        found.append("heterogeneity")
    return found


def registered_disagreements(resolved: ResolvedTerms, registered: Mapping[str, Registered]) -> list[str]:
    """Which measurements of the resolved terms do not follow from the registrations of own data, by name."""
    counts = np.array([registered[name].sums.classes for name in resolved.names], dtype=np.int64)
    found = _differences(resolved, counts.sum(axis=1), label_mix(counts), heterogeneity(counts))
    for organization in resolved.organization:
        if registered[organization.name].document.address.lower() != organization.address.lower():
            found.append(f"organization.{organization.name}.address")
    if registered[ATTESTER].document.address.lower() != resolved.attester.lower():
        found.append("settlement.attester")
    return found


def accounts(
    consortium: Consortium, provider: LedgerProvider, registered: Mapping[str, Registered] | None = None
) -> tuple[list[str], str, str]:
    """The addresses of organizations, attester and arbiter: as registered, as stated, or as they are here.

    Raises what :func:`register` raises of them, before anything is asked or measured.
    """
    signed = registered or {}
    addresses = [
        signed[o.name].document.address if o.name in signed else _address(consortium, provider, o.name, o.address)
        for o in consortium.organization
    ]
    holdout = signed.get(ATTESTER)
    attester = consortium.settlement.attester or (holdout.document.address if holdout else provider.account(ATTESTER))
    return addresses, attester, consortium.settlement.arbiter or provider.account("arbiter")


def _address(consortium: Consortium, provider: LedgerProvider, name: str, stated: str | None) -> str:
    account = provider.account(name)
    if stated is not None and stated.lower() != account.lower():
        raise ConfigurationError(
            f"organization {name} states address {stated}, but its account here is {account}",
            file=consortium.file,
            hint="local ledgers derive accounts from the seed: leave the address out of the terms file",
        )
    return account
