"""What handing in nothing costs in a round, and what it saves: exactly, in wei, from the ledger's own prediction.

Everybody else is taken to contribute as planned. A round that does not reach its quorum is void: nobody pays, and
nobody gets its model. Left out: why an organization would be silent, and what the model is worth to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cocogen.ledger import Contribution, Ledger
from cocogen.mechanisms.resources import IntegerProfile

__all__ = ["Silence", "needed_contributors", "settles", "silence"]

_FULL = 10_000  # basis points
_ANY = b"\x01" * 32  # no evidence hash changes a transfer


@dataclass(frozen=True, slots=True)
class Silence:
    """One participant's choice in a round; amounts in wei, positive when received.

    Attributes
    ----------
    contributing : int
        Its transfer when everybody contributes as planned.
    silent : int
        Its transfer when it alone hands in nothing; 0 where the round is void then.
    settles : bool
        Whether the round reaches its quorum without it.
    without_generation : int
        Its transfer when it contributes its real samples alone: all that is left where its generator is worth nothing.
    """

    contributing: int
    silent: int
    settles: bool
    without_generation: int

    @property
    def saved(self) -> int:
        """Wei that silence saves against contributing as planned; negative where it costs."""
        return self.silent - self.contributing

    @property
    def most_saved(self) -> int:
        """The same against contributing real samples alone: more than that no fall of its κ lets it save."""
        return self.silent - min(self.contributing, self.without_generation)


def settles(contributors: int, participants: int, quorum_bps: int) -> bool:
    """Whether a round with so many recorded contributions is settled, by the contract's own comparison."""
    return contributors * _FULL >= participants * quorum_bps


def needed_contributors(participants: int, quorum_bps: int) -> int:
    """The fewest contributions with which a round of so many participants is settled."""
    return -(-participants * quorum_bps // _FULL)


def silence(ledger: Ledger, profile: IntegerProfile, participants: Sequence[bool]) -> tuple[Silence | None, ...]:
    """For each organization what its silence does in a round of these ``participants``; None for the others.

    ``profile``: the plan that the others keep to.
    """
    taking_part = [n for n, here in enumerate(participants) if here]
    planned = [
        Contribution(int(data), int(generated), int(compute), _ANY) if here else None
        for data, generated, compute, here in zip(
            profile.data, profile.generated, profile.compute, participants, strict=True
        )
    ]
    everybody = ledger.predict(planned)
    counts = settles(len(taking_part) - 1, len(taking_part), ledger.terms.quorum_bps)

    def alone(n: int, contribution: Contribution | None) -> int:
        absent = [n] if contribution is None else []
        return ledger.predict([contribution if m == n else c for m, c in enumerate(planned)], absent)[n]

    found: list[Silence | None] = [None] * len(planned)
    for n in taking_part:
        real = Contribution(int(profile.data[n]), 0, int(profile.compute[n]), _ANY)
        found[n] = Silence(everybody[n], alone(n, None) if counts else 0, counts, alone(n, real))
    return tuple(found)
