"""What a finished run says: what happened, where it lies and what to type next, on one screen of 80 x 24.

Everything else is behind ``--verbose`` and in the workspace's ``report.json``. Amounts of money are shown whole or not
at all, never cut.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.output import say, table, units, word, wrapped
from cocogen.terms.metrics import metric_field, metric_words

__all__ = ["WIDTH", "show", "summary"]

WIDTH = 80
"""Columns of the screen; its 24 rows leave one for the prompt."""
_ROWS = 6
"""Organizations shown by name; in a larger consortium those that most money moved to or from."""


def show(data: dict[str, Any], terms: str, *, kept: bool, verbose: bool, data_dir: str | None = None) -> None:
    """Say what came out of a run, after all its details where they are asked for.

    ``terms``: the terms file as it was named. ``kept``: the workspace outlives the command.
    ``data_dir``: where the command was told to look for the data, so that an audit measures them too.
    """
    if verbose:
        _details(data)
        say("")
    say(*summary(data, terms, kept=kept, verbose=verbose, data_dir=data_dir))


def summary(
    data: dict[str, Any], terms: str, *, kept: bool, verbose: bool = False, data_dir: str | None = None
) -> list[str]:
    """The screen's lines: at most 23, of at most 80 characters unless a path is longer."""
    void = [entry["round"] for entry in data["rounds"] if entry["status"] != "settled"]
    settled = len(data["rounds"]) - len(void)
    rounds = f"{settled} rounds settled" if not void else f"{settled} of {len(data['rounds'])} rounds settled"
    lines = [f"{data['consortium']}: {rounds}, {data['mechanism']}", "", *_payments(data), ""]
    if void:
        lines.append(f"not settled: round {', '.join(map(str, void))}"[:WIDTH])
    lines += _left_out(data) + _accuracy(data) + _own_patients(data)
    if (privacy := data["privacy"]) is not None:
        lines.append(f"privacy: epsilon at most {max(privacy['epsilon'].values()):.4g} at delta {privacy['delta']:g}")
    return [*lines, *_verdict(data), "", *_next(data, terms, kept=kept, verbose=verbose, data_dir=data_dir)]


def _payments(data: dict[str, Any]) -> list[str]:
    """Who paid and who received, and whom or from whom most of it; columns that do not fit are left out whole."""
    unit = int(data["wei_per_unit"])
    accounting = data["audit"]["accounting"]
    names = sorted(data["organizations"], key=lambda name: -abs(int(data["organizations"][name]["transfers"])))
    shown = names if len(names) <= _ROWS else names[: _ROWS - 1]
    columns = {"net": [f"{units(int(data['organizations'][name]['transfers']), unit)}" for name in shown]}
    if accounting is not None:
        accounts = accounting["organizations"]
        columns["paid"] = [units(int(accounts[name]["paid"]), unit) for name in shown]
        columns["received"] = [units(int(accounts[name]["received"]), unit) for name in shown]
        if accounting["pairs"]:
            columns["mostly"] = [_mostly(name, accounting["pairs"]) for name in shown]
    columns["net"] = [value if value.startswith("-") else f"+{value}" for value in columns["net"]]
    widths = {title: max(map(len, (title, *values))) for title, values in columns.items()}
    first = max(map(len, ("organization", *shown)))
    for dropped in ("mostly", "paid", "received"):
        if first + sum(2 + width for width in widths.values()) <= WIDTH:
            break
        widths.pop(dropped, None)
    # names give way, amounts never
    first = min(first, max(8, WIDTH - sum(2 + width for width in widths.values())))
    order = [title for title in ("paid", "received", "net", "mostly") if title in widths]

    def row(name: str, cells: Sequence[str]) -> str:
        aligned = (
            f"{cell:<{widths[t]}}" if t == "mostly" else f"{cell:>{widths[t]}}"
            for t, cell in zip(order, cells, strict=True)
        )
        return f"{_cut(name, first):<{first}}  {'  '.join(aligned)}".rstrip()

    lines = [row("organization", order)]
    lines += [row(name, [columns[title][k] for title in order]) for k, name in enumerate(shown)]
    if shown != names:
        lines.append(f"and {len(names) - len(shown)} more: --verbose, or organizations in report.json")
    return [*lines, f"in units of {_power(unit)} wei; what all received is what all paid, to the wei"]


def _mostly(name: str, pairs: Sequence[dict[str, Any]]) -> str:
    """The partner with whom an organization's largest payment was."""
    mine = [pair for pair in pairs if name in (pair["payer"], pair["payee"]) and int(pair["wei"]) != 0]
    if not mine:
        return ""
    largest = max(mine, key=lambda pair: abs(int(pair["wei"])))
    payer, payee = (
        (largest["payer"], largest["payee"]) if int(largest["wei"]) > 0 else (largest["payee"], largest["payer"])
    )
    return f"to {payee}" if payer == name else f"from {payer}"


def _left_out(data: dict[str, Any]) -> list[str]:
    found = [(e["round"], name, why) for e in data["rounds"] for name, why in e["rejected"].items()]
    if not found:
        return []
    number, name, why = found[0]
    more = f" (and {len(found) - 1} more: --verbose)" if found[1:] else ""
    return [_cut(word(f"round {number}: {name} was left out: {why}"), WIDTH - len(more)) + more]


def _accuracy(data: dict[str, Any]) -> list[str]:
    study, metric = data["study"], data.get("metric", "accuracy")
    field, words = metric_field(metric), metric_words(metric)
    if study is not None:
        mean = study["mean"]
        without = f"{mean['no_generation']:.4f} without generation"
        return [
            f"{words}: {mean['federated']:.4f} together ({without}), {mean['alone']:.4f} alone",
            f"{'':{len(words)}}  on test data"
            + (f", the mean of {study['splits']} folds" if study["splits"] > 1 else ""),
        ]
    last = next((entry for entry in reversed(data["rounds"]) if entry[field] is not None), None)
    if last is None:
        return [f"{words}: no round was evaluated"]
    between = f" ({last['interval'][0]:.3f} to {last['interval'][1]:.3f} at 95 %)" if last.get("interval") else ""
    return wrapped(f"{words}: {last[field]:.4f} together, on test data{between}; alone: not compared (--no-study)")


def _own_patients(data: dict[str, Any]) -> list[str]:
    told = next((e["own_patients"] for e in reversed(data["rounds"]) if e.get("own_patients")), None)
    if told is None:
        return []
    known = [each for each in told.values() if each is not None and each["together"] is not None]
    if not known:
        return wrapped(
            f"own patients: withheld by all {len(told)} organizations, as some of their counts are too small"
        )
    better = sum(each["together"]["value"] > each["alone"]["value"] for each in known)
    withheld = f", withheld by {len(told) - len(known)}" if len(known) < len(told) else ""
    return wrapped(
        f"own patients: together better than alone at {better} of {len(known)} organizations{withheld} (--verbose)"
    )


def _verdict(data: dict[str, Any]) -> list[str]:
    checks = data["audit"]["checks"]
    passed = sum(check["status"] == "PASS" for check in checks)
    skipped = [check["name"] for check in checks if check["status"] == "SKIPPED"]
    wrong = [check for check in checks if check["status"] not in ("PASS", "SKIPPED")]
    line = f"audit: {data['audit']['status']}, {passed} of {len(checks)} checks passed"
    if wrong:
        why = textwrap.wrap(word(f"{wrong[0]['name']} {wrong[0]['status']}: {wrong[0]['detail']}"), WIDTH - 4)
        return [line, f"  {why[0]}", *(f"  {_cut(' '.join(why[1:]), WIDTH - 4)}" for _ in why[1:2])]
    return [_cut(f"{line}; skipped: {', '.join(skipped)}" if skipped else line, WIDTH)]


def _next(data: dict[str, Any], terms: str, *, kept: bool, verbose: bool, data_dir: str | None) -> list[str]:
    command = _command()
    if not kept:
        details = [] if verbose else [f"details: {command} run {shlex.quote(terms)} --verbose, with the same options"]
        return ["the ledger was this process's own: nothing is kept", *details]
    folder = shlex.quote(data["workspace"])
    withdraw = f"      {command} withdraw --all --workspace {folder} -o "
    shortest = min(data["organizations"], key=len)
    return [
        f"all of it: {folder}/report.json",
        f"next: {command} audit --workspace {folder}" + (f" --data-dir {shlex.quote(data_dir)}" if data_dir else ""),
        withdraw + (shortest if len(withdraw + shortest) <= WIDTH else "NAME"),
    ]


def _command() -> str:
    """How this program is called from here: by its name where that is on PATH."""
    path = Path(sys.argv[0])
    if path.name != "cocogen" or ((found := shutil.which("cocogen")) and Path(found).resolve() == path.resolve()):
        return "cocogen"
    try:
        return shlex.quote(str(path.absolute().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))


def _power(unit: int) -> str:
    digits = len(str(unit)) - 1
    return f"10^{digits}" if unit == 10**digits and digits > 3 else f"{unit:,}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _share(share: dict[str, Any] | None) -> str:
    if share is None:
        return "-"
    return f"{share['value']:.3f} ({share['interval'][0]:.3f} to {share['interval'][1]:.3f})"


def _details(data: dict[str, Any]) -> None:
    """Every table of the run, and every check of the audit."""
    from cli.memorization import describe

    names = list(data["organizations"])
    unit, metric = int(data["wei_per_unit"]), data.get("metric", "accuracy")
    field = metric_field(metric)
    table(
        f"{data['consortium']}: {len(data['rounds'])} rounds of {data['mechanism']}, incentive {data['incentive']:.4g}",
        ["round", metric_words(metric).replace(" ", "\n"), "loss", "generated", "money moved", "sum", "epsilon"],
        [
            [
                str(entry["round"]),
                "-" if entry[field] is None else f"{entry[field]:.4f}",
                "-" if entry["loss"] is None else f"{entry['loss']:.4f}",
                str(sum(c["generated"] for c in entry["contributions"].values() if c)),
                units(sum(max(0, int(wei)) for wei in entry["transfers"].values()), unit),
                f"{sum(int(wei) for wei in entry['transfers'].values())} wei",
                f"{entry['epsilon']:.1e}",
            ]
            for entry in data["rounds"]
        ],
    )
    for entry in data["rounds"]:
        for name, reason in entry["rejected"].items():
            say(f"round {entry['round']}: {name} was left out: {reason}")
    told = next((entry for entry in reversed(data["rounds"]) if entry.get("own_patients")), None)
    if told is not None:
        metric_here = "accuracy" if metric == "accuracy" else "balanced accuracy"
        table(
            f"own patients after round {told['round']}: {metric_here}, and its interval at 95 %",
            ["organization", "patients", "together", "alone"],
            [
                [name, "-", "withheld", "withheld"]
                if each is None
                else [name, str(each["rows"]), *(_share(each[model]) for model in ("together", "alone"))]
                for name, each in told["own_patients"].items()
            ],
            caption="rows that nobody trains on, counted by their owner; small counts are withheld",
        )
    table(
        "all rounds together (transfers: received + or paid -)",
        ["organization", "real", "synthetic", "transfers in wei", "over alone"],
        [
            [
                name,
                str(entry["data"]),
                str(entry["generated"]),
                f"{int(entry['transfers']):+}",
                f"{entry['surplus']:+,.2f}",
            ]
            for name, entry in ((name, data["organizations"][name]) for name in names)
        ],
        caption="samples of all rounds, real and effective synthetic; over alone: payoff beyond the outside option",
    )
    if data["privacy"]:
        from cli.privacy import print_privacy

        print_privacy(data["privacy"])
    welfare = data["welfare"]
    table(
        "welfare by scheme, all rounds (currency)",
        ["scheme", "welfare", "of the planner's"],
        [
            [name, f"{value:,.2f}", f"{value / welfare['planner']:.4%}"]
            for name, value in (
                (data["mechanism"], welfare["mechanism"]),
                *welfare["baselines"].items(),
                ("planner", welfare["planner"]),
            )
        ],
    )
    if (worst := data["memorization"]["worst"]) is not None:
        say(
            f"memorization: {len(data['memorization']['flagged'])} of {data['memorization']['checked']} sets of "
            "synthetic samples repeat training samples",
            f"the worst, {worst['organization']} in round {worst['round']}: {describe(worst)}",
            "",
        )
    if data["study"]:
        study = data["study"]
        labels = {
            "federated": "together, as planned",
            "no_generation": "together, no generation",
            "alone": "alone (mean)",
        }
        table(
            f"test {metric_words(metric)} over {study['splits']} stratified folds",
            ["training", "mean", *(f"fold {k + 1}" for k in range(study["splits"]))],
            [
                [label, f"{study['mean'][key]:.4f}", *(f"{value:.4f}" for value in study[key])]
                for key, label in labels.items()
            ],
        )
    from cli.audit import print_audit

    print_audit(data["audit"])
