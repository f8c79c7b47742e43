"""Count the imports of our own code inside functions: they hide arrows, so their number may only fall.

The reason to have one is to keep torch, web3 or SciPy out of ``cocogen --help``. ``make check`` runs this.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

LIMIT = 137
OURS = ("cocogen", "chain", "cli", "benchmarks")
ROOT = Path(__file__).resolve().parents[1]


def local_imports(source: str) -> int:
    """How many statements inside functions of ``source`` import our own code."""
    return sum(
        any(name.split(".")[0] in OURS for name in imported(statement))
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in own_statements(function)
    )


def own_statements(function: ast.AST) -> list[ast.AST]:
    """Everything in a function but what lies in functions within it, which have their own turn."""
    found = []
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found += [child, *own_statements(child)]
    return found


def imported(statement: ast.AST) -> list[str]:
    """The modules that a statement imports; none for other statements."""
    if isinstance(statement, ast.ImportFrom):
        return [statement.module or ""]
    return [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []


def main() -> int:
    """Compare with the limit; exit code 1 unless the number is exactly it."""
    counts = Counter(
        {
            str(path.relative_to(ROOT)): local_imports(path.read_text(encoding="utf-8"))
            for folder in OURS
            for path in sorted((ROOT / folder).rglob("*.py"))
        }
    )
    total = counts.total()
    if total == LIMIT:
        return 0
    if total < LIMIT:
        print(f"{total} imports of our own code inside functions: lower LIMIT in {Path(__file__).name} from {LIMIT}")
    else:
        print(f"{total} imports of our own code inside functions, at most {LIMIT} are allowed; most are in")
        print("\n".join(f"  {count:3} {path}" for path, count in counts.most_common(10)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
