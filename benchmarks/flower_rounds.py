"""Wall and processor time of settled rounds over Flower on this machine, beside those of another checkout.

Run as ``python -m benchmarks.flower_rounds [--before CHECKOUT]``. Six clinics, a SuperLink, six nodes. A run of one
round and one of several are played; their difference is what a further round costs once everything is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["main", "play"]

ROOT = Path(__file__).parents[1]


def play(checkout: Path, rounds: int) -> tuple[float, float]:
    """Seconds of wall and of processor time of ``cocogen run --runtime flower`` with the code of a checkout."""
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        terms = (ROOT / "examples" / "clinics.toml").read_text(encoding="utf-8")
        terms = re.sub(r"(?m)^rounds = \d+", f"rounds = {rounds}", terms)
        terms = terms.replace("pretraining_rounds = 30", "pretraining_rounds = 1")
        (Path(folder) / "clinics.toml").write_text(terms, encoding="utf-8")
        command = [sys.executable, "-m", "cli", "run", "clinics.toml", "--no-study", "--runtime", "flower"]
        variables = os.environ | {"PYTHONPATH": str(checkout)}
        before, begin = _children(), time.perf_counter()
        done = subprocess.run(
            [*command, "--format", "json"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        wall, cpu = time.perf_counter() - begin, _children() - before
        if done.returncode:
            raise SystemExit(done.stderr)
        statuses = [entry["status"] for entry in json.loads(done.stdout)["data"]["rounds"]]
        if statuses != ["settled"] * rounds:
            raise SystemExit(f"the rounds are {statuses}")
        return wall, cpu


def _children() -> float:
    """Processor seconds of every process below this one that has ended: each is waited for by its guardian."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Print the times of both checkouts and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout to play the same rounds with")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    per_round: list[float] = []
    for checkout in [options.before, ROOT] if options.before else [ROOT]:
        (first_wall, first), (wall, whole) = play(checkout, 1), play(checkout, options.rounds)
        more = options.rounds - 1
        per_round.append((whole - first) / more)
        print(
            f"{'here' if checkout == ROOT else 'before'}: {options.rounds} rounds take {wall:.0f} s and {whole:.0f} s "
            f"of processor time; a further round {(wall - first_wall) / more:.0f} s and {per_round[-1]:.1f} s",
            flush=True,
        )
    if options.before:
        print(f"processor time of a further round, here to before: {per_round[1] / per_round[0]:.2f}")


if __name__ == "__main__":
    main()
