"""Every error a user of CoCoGen can meet, as one tree.

::

    CoCoGenError
    ├── ConfigurationError      a file or an argument is wrong            exit code 2
    ├── WorkspaceError          the working folder is unusable            exit code 2
    ├── NotAgreed               nobody agreed to what would be sent       exit code 2
    ├── GameError               the market admits no well-posed game      exit code 2
    │   ├── UnstableMarket          a potential weight z_n is not positive
    │   ├── InvalidAccuracy         an accuracy function is not concave and increasing
    │   ├── EmptyStrategySet        an organization has no feasible strategy
    │   ├── NoRationalIncentive     no incentive leaves everyone better off
    │   ├── NoRationalSharing       no sharing of the surplus leaves everyone better off
    │   ├── NegativeScoreWeight     the optimum needs a contribution to be punished
    │   ├── NoImplementingWeight    no score weight makes the optimum a best response
    │   └── IsolatedOrganization    no transfer can reach an organization without rivals
    ├── SolverError             a solver did not reach its tolerance      exit code 2
    ├── CertificateError        an equilibrium failed its certificate     exit code 1
    ├── LedgerError             the settlement system said no             exit code 3
    │   ├── KeyUnavailable          a signature by a key that is not here
    │   ├── SettlementRefused       its rules refuse an operation, or the terms
    │   ├── TermsDoNotFit           the terms do not fit its integers
    │   └── SentBefore              an earlier command sent the same
    ├── LearningError           data, training or generation failed       exit code 4
    │   ├── DatasetError            a data set is missing or malformed
    │   │   └── SiteError           an organization's own data are not what the terms ask for
    │   ├── RegistrationRefused     a registration is not one that the consortium can take
    │   └── EvidenceRejected        the attester does not sign this bundle
    └── AuditError              the audit itself could not be carried out exit code 5

The package ``chain`` hangs one class for each Solidity custom error below :class:`SettlementRefused`.
An error says what was wrong, with the offending value and its valid range (``str(error)``), and what to do
about it (``error.hint``); ``error.code`` is its stable name in the JSON envelope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from cocogen.printable import shorten

__all__ = [
    "AuditError",
    "CertificateError",
    "CoCoGenError",
    "ConfigurationError",
    "DatasetError",
    "EmptyStrategySet",
    "EvidenceRejected",
    "FieldProblem",
    "GameError",
    "InvalidAccuracy",
    "IsolatedOrganization",
    "KeyUnavailable",
    "LearningError",
    "LedgerError",
    "NegativeScoreWeight",
    "NoImplementingWeight",
    "NoRationalIncentive",
    "NoRationalSharing",
    "NotAgreed",
    "RegistrationRefused",
    "SentBefore",
    "SettlementRefused",
    "SiteError",
    "SolverError",
    "TermsDoNotFit",
    "UnstableMarket",
    "WorkspaceError",
]


_SHOWN = 30
"""Problems in one message."""
_FIELD = 160
"""Characters of a field's path, or of its value: both may be a stranger's."""
REASON_LIMIT = 600
"""Characters of the reason for which evidence is refused, which is kept and handed on."""


class CoCoGenError(Exception):
    """The root: catch it to catch everything CoCoGen raises on purpose."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """The class name, the stable identifier in JSON output."""
        return type(self).__name__

    @property
    def lines(self) -> tuple[str, ...]:
        """The message as lines: a line break within one of them is none of ours."""
        return (str(self),)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field: its dotted path, the value found and the valid range in words."""

    field: str
    value: str
    valid: str

    def __str__(self) -> str:
        return f"{shorten(self.field, _FIELD)} = {shorten(self.value, _FIELD)}: {self.valid}"


class ConfigurationError(CoCoGenError):
    """A terms file or an argument is wrong. ``problems`` names every field at fault; the message shows the first 30."""

    def __init__(self, message: str, *, file: str = "", problems: Sequence[FieldProblem] = (), hint: str = "") -> None:
        self.file = file
        self.problems = tuple(problems)
        shown = [f"  {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            shown.append(f"  and {len(self.problems) - _SHOWN:,} more")
        self._lines = (f"{file}: {message}" if file else message, *shown)
        super().__init__("\n".join(self._lines), hint=hint)

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, and a line for each problem."""
        return self._lines


class WorkspaceError(CoCoGenError):
    """The working folder holds something else than expected, or cannot be written."""


class NotAgreed(CoCoGenError):
    """What was about to be sent was shown, and nobody agreed to it; nothing was sent."""

    exit_code = 2


class GameError(CoCoGenError):
    """The parameters do not make a well-posed coopetition game."""


class UnstableMarket(GameError):
    """A potential weight z_n = p_n - χ Σ_m ρ_nm p_m is not positive, so the game has no weighted potential."""


class InvalidAccuracy(GameError):
    """An accuracy function is not finite, increasing and concave on its domain."""


class EmptyStrategySet(GameError):
    """An organization has no feasible strategy."""


class NoRationalIncentive(GameError):
    """No incentive of the searched range gives every organization at least its outside option."""


class NoRationalSharing(GameError):
    """The planner's optimum leaves less than the outside options together, or welfare is not concave."""


class NegativeScoreWeight(GameError):
    """At the planner's optimum an organization would have to be paid for contributing less."""


class NoImplementingWeight(GameError):
    """The score weights under which an organization follows the planner's optimum are an empty interval."""


class IsolatedOrganization(GameError):
    """An organization that competes with nobody has no transfers, and would not follow the planner's optimum."""


class SolverError(CoCoGenError):
    """A solver stopped before it reached its tolerance."""


class CertificateError(CoCoGenError):
    """A profile that was announced as an equilibrium is not one."""

    exit_code = 1


class LedgerError(CoCoGenError):
    """The settlement system refused an operation or could not be reached."""

    exit_code = 3


class KeyUnavailable(LedgerError):
    """A signature is asked of an account whose key is not here; ``wallet`` tells that its owners sign elsewhere."""

    def __init__(self, message: str, *, hint: str = "", wallet: bool = False) -> None:
        self.wallet = wallet
        super().__init__(message, hint=hint)


class SettlementRefused(LedgerError):
    """The rules of the settlement refuse an operation, or the terms; a subclass for each rule has the values."""


class TermsDoNotFit(LedgerError):
    """The terms do not fit the integers of the ledger; ``problems`` names every field at fault."""

    problems: tuple[FieldProblem, ...] = ()


class SentBefore(LedgerError):
    """An earlier command sent the same, and nobody was told what became of it; nothing was sent now.

    ``intents`` is what it wrote down of what it sent.
    """

    intents: tuple[Any, ...] = ()


class LearningError(CoCoGenError):
    """Data, training or generation failed."""

    exit_code = 4


class DatasetError(LearningError):
    """A data set is missing, malformed or too small for what is asked of it."""


class SiteError(DatasetError):
    """An organization's own data or its site file are not what the schema or the terms ask for.

    ``file``, and where it is one of a table ``row`` (the first is 1, without the header), ``column`` and ``value``
    say where: for the site's own screen, never to be sent.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
        hint: str = "",
    ) -> None:
        self.file, self.row, self.column = file, row, column
        self.value = None if value is None else shorten(value, _FIELD)
        place = ", ".join(
            part for part in (file, f"row {row}" if row else "", f"column {column!r}" if column else "") if part
        )
        super().__init__(f"{place}: {message}" if place else message, hint=hint)


class RegistrationRefused(LearningError):
    """A registration is not one that this consortium can take: another schema, key or consortium, altered, or twice.

    ``organization``: whose it claims to be.
    """

    def __init__(self, organization: str, reason: str, *, hint: str = "") -> None:
        self.organization = shorten(organization, _FIELD)
        self.reason = shorten(reason, REASON_LIMIT)
        super().__init__(f"registration of {self.organization} refused: {self.reason}", hint=hint)


class EvidenceRejected(LearningError):
    """The attester found a bundle that it does not sign: ``organization`` and what is wrong with it.

    The ``reason`` quotes what a stranger wrote, and is kept: it is cut here.
    """

    def __init__(self, organization: str, reason: str, *, hint: str = "") -> None:
        self.organization = shorten(organization, _FIELD)
        self.reason = shorten(reason, REASON_LIMIT)
        super().__init__(f"evidence of {self.organization} rejected: {self.reason}", hint=hint)


class AuditError(CoCoGenError):
    """The audit could not be carried out (which is not the same as a failed check)."""

    exit_code = 5
