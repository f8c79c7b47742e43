"""What handing in nothing would cost an organization in the coming round: as a table, and in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.output import say, table, units, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["print_silence", "silence_lines"]

_SIT_OUT = "a round is sat out for nothing with `cocogen exit -o NAME` before it opens; --cancel takes that back"


def print_silence(entries: Mapping[str, Any], shown: Sequence[str], number: int, unit: int) -> None:
    """What silence does to each of those shown; the largest saving is that of all."""
    known = {name: entry for name, entry in entries.items() if entry is not None}
    rows = [
        [
            name,
            _signed(int(entry["contributing"]), unit),
            _signed(int(entry["silent"]), unit),
            _signed(int(entry["saved"]), unit),
            "settles" if entry["settles_without"] else "is void",
        ]
        for name in shown
        if (entry := known.get(name)) is not None
    ]
    if not rows:
        return
    columns = ["organization", "as planned", "silent", "saved by silence", "the round"]
    table(f"round {number}: who hands in nothing, while the others contribute as planned", columns, rows)
    say(*wrapped("whoever is silent gets no model of the round", _largest(known, unit), _SIT_OUT))


def silence_lines(name: str, entry: Mapping[str, Any], number: int, unit: int) -> list[str]:
    """What silence costs one organization, on lines of at most 80 columns."""
    silent, contributing, saved = (int(entry[key]) for key in ("silent", "contributing", "saved"))
    void = "" if entry["settles_without"] else ", for without it the round is void"
    outcome = f"loses {units(-saved, unit)}" if saved < 0 else f"saves {units(saved, unit) if saved else 'nothing'}"
    return wrapped(
        f"if {name} takes part in round {number} and hands in nothing, it {_moves(silent, unit)}{void}, and gets "
        f"no model of the round; as planned it {_moves(contributing, unit)}: silence {outcome}",
        _SIT_OUT.replace("NAME", name),
    )


def _largest(known: Mapping[str, Any], unit: int) -> str:
    now = max(known, key=lambda name: int(known[name]["saved"]))
    ever = max(known, key=lambda name: int(known[name]["most_saved"]))
    if int(known[ever]["most_saved"]) <= 0:
        return "nobody saves anything by silence, however far the κ of its generator falls"
    saved = int(known[now]["saved"])
    first = f"the most is saved by {now}: {units(saved, unit)}" if saved > 0 else "nobody saves anything by silence"
    return (
        f"{first}; were the κ of its generator to fall to nothing, {ever} would save "
        f"{units(int(known[ever]['most_saved']), unit)}"
    )


def _moves(wei: int, unit: int) -> str:
    if wei == 0:
        return "pays nothing"
    return f"pays {units(-wei, unit)}" if wei < 0 else f"receives {units(wei, unit)}"


def _signed(wei: int, unit: int) -> str:
    return units(wei, unit) if wei <= 0 else f"+{units(wei, unit)}"
