"""Mutation testing of the contract: break one thing at a time, and see that the tests notice.

The mutants by name are the mistakes that matter; every one must die. `--generated N` draws N more from operators over
the sources and scores them. The tests take the contracts from their artifacts, so a mutant needs no build of the tests:
the contract alone is compiled, with the settings that are shipped, and put in place of the artifact in a private copy.
Needs what `npm ci` installs, and Python >= 3.11.

    python script/mutate.py                 the named mutants; exit 1 if one survives, or cannot be tried
    python script/mutate.py --only bond     those whose name contains "bond"
    python script/mutate.py --generated 40  generated mutants as well, with their score, which does not affect the exit
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mutants
from mutants import ALL, Mutant
from mutants_absence import ABSENCE

NAMED = (*mutants.NAMED, *ABSENCE)

CONTRACTS = Path(__file__).resolve().parent.parent
FORGE = CONTRACTS / "node_modules" / ".bin" / "forge"

COMPILER = CONTRACTS / "script" / "solc-v0.8.37"

SHIPPED = tomllib.loads((CONTRACTS / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
SETTINGS = {
    "viaIR": SHIPPED["via_ir"],
    "evmVersion": SHIPPED["evm_version"],
    "optimizer": {"enabled": SHIPPED["optimizer"], "runs": SHIPPED["optimizer_runs"]},
    "metadata": {"bytecodeHash": SHIPPED["bytecode_hash"], "appendCBOR": SHIPPED["cbor_metadata"]},
}

# The sources whose mistakes cost money.
CORE = (
    "src/ConsortiumCore.sol",
    "src/assets/NativeAsset.sol",
    "src/assets/TokenAsset.sol",
    "src/libraries/PairwiseKernel.sol",
    "src/libraries/TermsCheck.sol",
)

# One operator: what it looks for, and what it puts in its place. slither-mutate (0.11.6) has more of them, but none
# within assembly, where the kernel moves the money, and it tries all places instead of a sample.
OPERATORS: tuple[tuple[str, str], ...] = (
    (r" >= ", " > "),
    (r" <= ", " < "),
    (r" > ", " >= "),
    (r" < ", " <= "),
    (r" == ", " != "),
    (r" != ", " == "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \* ", " / "),
    (r" / ", " * "),
    (r" \+= ", " -= "),
    (r" -= ", " += "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"(?<= )1\b(?=[;)])", "2"),
    (r"(?<= )0\b(?=[;)])", "1"),
    (r"\bgt\(", "lt("),
    (r"\blt\(", "gt("),
    (r"\badd\(", "sub("),
    (r"\bsub\(", "add("),
    (r"(?m)^        +(?!return|emit|let|require|uint|int|bytes|bool|address)[a-zA-Z_][^;{}]*;$", ";"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Attributes
    ----------
    verdict
        "killed", "survived", or "broken" (it does not apply, or does not compile).
    detail
        The first test that failed, or what is wrong with the mutant.
    seconds
        Compilation and tests.
    """

    mutant: Mutant
    verdict: str
    detail: str
    seconds: float


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Break the contract on purpose and see that the tests notice.")
    parser.add_argument("--only", default="", help="run the named mutants whose name contains this")
    parser.add_argument("--generated", type=int, default=0, metavar="N", help="score N generated mutants as well")
    parser.add_argument("--seed", type=int, default=1, help="of the sample of generated mutants")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    arguments = parser.parse_args()
    if not FORGE.exists():
        sys.stderr.write(f"forge is not installed: cd {CONTRACTS} && npm ci" + "\n")
        return 2

    named = [mutant for mutant in NAMED if arguments.only in mutant.name]
    if not named:
        sys.stderr.write(f"no named mutant contains {arguments.only!r}" + "\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="cocogen-mutants-") as folder:
        base = prepare(Path(folder))
        bad = [outcome for outcome in run_all(base, named, arguments.jobs) if outcome.verdict != "killed"]
        say(f"{len(named) - len(bad)} of {len(named)} named mutants killed")
        if arguments.generated:
            sample = generate(arguments.generated, random.Random(arguments.seed))
            outcomes = [outcome for outcome in run_all(base, sample, arguments.jobs) if outcome.verdict != "broken"]
            killed = sum(outcome.verdict == "killed" for outcome in outcomes)
            say(f"{killed} of {len(outcomes)} generated mutants that compile killed")
    return 1 if bad else 0


def prepare(folder: Path) -> Path:
    """Copy the project with what is built of it, and see that the tests pass: else every mutant would seem to die."""
    base = folder / "base"
    shutil.copytree(CONTRACTS, base, ignore=left_out)
    (base / "node_modules").symlink_to(CONTRACTS / "node_modules")
    started = time.monotonic()
    finished = forge(base, "test", "--match-path", "test/concrete/*", "--fail-fast")
    if finished.returncode:
        raise SystemExit(f"the tests fail without any mutant:\n{finished.stdout[-4000:]}{finished.stderr[-4000:]}")
    say(f"without a mutant all tests pass ({time.monotonic() - started:.0f} s with the build)")
    return base


def left_out(folder: str, names: list[str]) -> set[str]:
    """What the tests do without: the toolchain, and what the formal tools have built; the proofs' sources they need."""
    built = {"formal", "slither", "proofs"} if Path(folder).name in ("out", "cache") else set()
    return ({"node_modules"} | built) & set(names)


def run_all(base: Path, mutants: list[Mutant], jobs: int) -> Iterator[Outcome]:
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for outcome in pool.map(lambda mutant: run(base, mutant), mutants):
            say(f"{outcome.verdict:8}  {outcome.seconds:4.0f} s  {outcome.mutant.name}: {outcome.detail}")
            yield outcome


def run(base: Path, mutant: Mutant) -> Outcome:
    """Compile one mutant and test it in a copy of its own."""
    started = time.monotonic()

    def outcome(verdict: str, detail: str) -> Outcome:
        return Outcome(mutant, verdict, detail, time.monotonic() - started)

    source = (base / mutant.path).read_text(encoding="utf-8")
    if source.count(mutant.old) != 1 and mutant.position is None:
        return outcome("broken", f"{mutant.old!r} occurs {source.count(mutant.old)} times in {mutant.path}")
    at = source.index(mutant.old) if mutant.position is None else mutant.position
    code, errors = compiled(
        base, mutant.contracts, {mutant.path: source[:at] + mutant.new + source[at + len(mutant.old) :]}
    )
    if errors:
        return outcome("broken", f"it does not compile: {errors[0]}")
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=base.parent) as folder:
        copy = Path(folder) / "contracts"
        shutil.copytree(base, copy, symlinks=True)
        for name, creation in code.items():
            path = copy / "out" / f"{name}.sol" / f"{name}.json"
            artifact = json.loads(path.read_text(encoding="utf-8"))
            artifact["bytecode"]["object"] = f"0x{creation}"
            path.write_text(json.dumps(artifact), encoding="utf-8")
        finished = forge(copy, "test", "--match-path", mutant.tests, "--fail-fast")
    output = finished.stdout + finished.stderr
    if not finished.returncode:
        return outcome("survived", "no test failed")
    failed = re.search(r"\[FAIL[^\n]*\] (\w+)", output)
    if failed is None:
        return outcome("broken", f"forge failed without a failing test: {output[-300:]!r}")
    return outcome("killed", failed.group(1))


def compiled(base: Path, names: tuple[str, ...], changed: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The creation code of the contracts, hexadecimal, and the errors of the compiler."""
    paths = {name: f"src/{name}.sol" for name in names}
    request = {
        "language": "Solidity",
        "sources": sources(base, list(paths.values()), changed),
        "settings": {
            **SETTINGS,
            "outputSelection": {path: {name: ["evm.bytecode.object"]} for name, path in paths.items()},
        },
    }
    finished = subprocess.run(
        [str(COMPILER), "--standard-json"], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    answer = json.loads(finished.stdout)
    errors = [error["message"] for error in answer.get("errors", []) if error["severity"] == "error"]
    if errors:
        return {}, errors
    return {name: answer["contracts"][path][name]["evm"]["bytecode"]["object"] for name, path in paths.items()}, []


def sources(base: Path, pending: list[str], changed: dict[str, str]) -> dict[str, dict[str, str]]:
    """Everything that `pending` imports, by the path under which it is imported."""
    found: dict[str, dict[str, str]] = {}
    while pending:
        path = pending.pop()
        if path in found:
            continue
        file = base / ("node_modules" if path.startswith("@") else "") / path
        text = changed.get(path) or file.read_text(encoding="utf-8")
        found[path] = {"content": text}
        for imported in re.findall(r"""(?:from|import)\s+"([^"]+)\"""", text):
            local = imported.startswith(".")
            pending.append(os.path.normpath(f"{Path(path).parent}/{imported}") if local else imported)
    return found


def forge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(FORGE), *arguments], cwd=folder, capture_output=True, text=True, check=False)


def generate(number: int, rng: random.Random) -> list[Mutant]:
    """Draw mutants from all places in the core sources to which an operator applies."""
    places = []
    for path in CORE:
        source = (CONTRACTS / path).read_text(encoding="utf-8")
        code = re.sub(r"//[^\n]*", lambda comment: " " * len(comment.group()), source)
        for pattern, replacement in OPERATORS:
            for found in re.finditer(pattern, code):
                line = source.count("\n", 0, found.start()) + 1
                old = source[found.start() : found.end()]
                name = f"{path}:{line} {' '.join(old.split())!r} -> {replacement.strip()!r}"
                places.append(Mutant(name, path, old, replacement, "test/concrete/*", ALL, found.start()))
    return rng.sample(places, min(number, len(places)))


if __name__ == "__main__":
    sys.exit(main())
