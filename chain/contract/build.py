"""Compile the contracts, ship the result, and prove that what is shipped is what the sources say.

The compiled contract travels in the package (``chain/artifacts/*.json``), so that nobody needs a compiler to deploy or
audit. ``python -m chain.contract.build`` rewrites the artifacts from ``contracts/src``; ``python -m
chain.contract.build --check`` compiles again and compares byte for byte. Source names are relative to ``contracts/``
and the bytecode carries no metadata, so every machine gets the same bytes.

Contracts of earlier layouts of the terms travel too, in a folder named by the layout (``chain.encoding.terms.LAYOUT``):
whoever deployed them can still open, settle and audit. Nothing compiles them any more.

Settings are read from ``contracts/foundry.toml``: forge tests exactly the code that is shipped. Left out: linking
(every library is internal) and deploying. Reading an artifact loads neither a compiler nor web3.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chain.abi import keccak256
from chain.artifacts import ARTIFACTS, CONTRACTS
from cocogen.errors import CoCoGenError

__all__ = [
    "CompilationFailed",
    "CompilerUnavailable",
    "build",
    "check",
    "compare",
    "compile_contract",
    "input_sha256",
    "standard_json",
]

COMPILER = "0.8.37"

_SOURCES = Path(__file__).resolve().parents[2] / "contracts"
_IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']\s*;""", re.MULTILINE)


class CompilerUnavailable(CoCoGenError):
    """No Solidity compiler, or not the sources to compile."""

    exit_code = 3


class CompilationFailed(CoCoGenError):
    """The compiler rejected the sources."""

    exit_code = 3


def standard_json(name: str, sources: Path = _SOURCES, folder: str = "src") -> dict[str, Any]:
    """Return the compiler's input for contract ``name``: the sources it imports, and foundry.toml's settings.

    ``folder`` is where ``NAME.sol`` lies, relative to ``sources``.

    Raises
    ------
    CompilerUnavailable
        The sources, or the libraries that they import, are not there.
    """
    try:
        profile = tomllib.loads((sources / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
        return {
            "language": "Solidity",
            "sources": dict(sorted(_import_closure(f"{folder}/{name}.sol", sources))),
            "settings": {
                "evmVersion": profile["evm_version"],
                "viaIR": profile["via_ir"],
                "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
                "metadata": {"bytecodeHash": profile["bytecode_hash"], "appendCBOR": profile["cbor_metadata"]},
                "outputSelection": {
                    "*": {
                        "": ["ast"],
                        name: [
                            "abi",
                            "evm.bytecode.object",
                            "evm.deployedBytecode.object",
                            "evm.deployedBytecode.immutableReferences",
                        ],
                    }
                },
            },
        }
    except FileNotFoundError as error:
        raise CompilerUnavailable(
            f"{error.filename}: a source of {name} is missing",
            hint="compile in a checkout of the repository, after `cd contracts && npm ci`",
        ) from error


def input_sha256(request: Mapping[str, Any]) -> str:
    """Return the digest of a compiler's input, hexadecimal: it changes with any source and any setting."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def compile_contract(name: str, sources: Path = _SOURCES, folder: str = "src") -> dict[str, Any]:
    """Compile contract ``name`` of ``folder`` (relative to ``sources``) and return its artifact as JSON values.

    Raises
    ------
    CompilerUnavailable
        There is no compiler, no py-solc-x to drive it, or not all sources.
    CompilationFailed
        The compiler rejected the sources; its messages are in the error.
    """
    # Only compiling needs it; importing it takes longer than reading an artifact.
    try:
        import solcx
        from solcx.exceptions import SolcError
    except ImportError as error:
        raise CompilerUnavailable(
            "contracts are compiled through py-solc-x, which is not installed", hint="install it: make install"
        ) from error
    from solcx.wrapper import get_solc_version

    request = standard_json(name, sources, folder)
    compiler = _find_compiler(sources)
    try:
        # The file access of the native compiler is not needed: every source is in the request.
        output = solcx.compile_standard(request, solc_binary=compiler)
        version = str(get_solc_version(compiler, with_commit_hash=True))
    except SolcError as error:
        raise CompilationFailed(
            f"{name} does not compile:\n{error.message}", hint="`cd contracts && npm run build` shows the same messages"
        ) from error
    contract = output["contracts"][f"{folder}/{name}.sol"][name]
    runtime = contract["evm"]["deployedBytecode"]
    names = _variable_names(output["sources"])
    settings = {key: value for key, value in request["settings"].items() if key != "outputSelection"}
    return {
        "name": name,
        "compiler": version,
        "settings": settings,
        "inputSha256": input_sha256(request),
        "abi": contract["abi"],
        "errors": _errors(contract["abi"]),
        "immutableReferences": {
            names[int(key)]: places
            for key, places in sorted(runtime["immutableReferences"].items(), key=lambda item: int(item[0]))
        },
        "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + runtime["object"],
    }


def build(directory: Path = ARTIFACTS, sources: Path = _SOURCES) -> tuple[Path, ...]:
    """Compile every contract and write its artifact into ``directory``; return the paths."""
    paths = []
    for name in CONTRACTS:
        path = directory / f"{name}.json"
        path.write_text(_render(compile_contract(name, sources)), encoding="utf-8")
        paths.append(path)
    return tuple(paths)


def check(directory: Path = ARTIFACTS, sources: Path = _SOURCES) -> tuple[str, ...]:
    """Compile every contract again and return what differs from the artifacts in ``directory``; empty if nothing."""
    return tuple(
        difference for name in CONTRACTS for difference in compare(name, compile_contract(name, sources), directory)
    )


def compare(name: str, fresh: Mapping[str, Any], directory: Path = ARTIFACTS) -> tuple[str, ...]:
    """Return in what the artifact of ``name`` in ``directory`` differs from the compiled one; empty if in nothing."""
    path = directory / f"{name}.json"
    try:
        text = path.read_text(encoding="utf-8")
        shipped = json.loads(text)
    except (OSError, ValueError) as error:
        return (f"{path.name}: unreadable ({error})",)
    if not isinstance(shipped, dict):
        return (f"{path.name}: not an artifact",)
    fields = [field for field in {**fresh, **shipped} if fresh.get(field) != shipped.get(field)]
    if fields:
        return tuple(f"{path.name}: {field} differs from what the sources give" for field in fields)
    return () if text == _render(fresh) else (f"{path.name}: same values, other bytes",)


def _import_closure(start: str, sources: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every source that ``start`` imports, itself included, under its name relative to ``sources``."""
    pending, seen = [start], {start}
    while pending:
        name = pending.pop()
        path = sources / name if name.startswith(("src/", "test/")) else sources / "node_modules" / name
        content = path.read_text(encoding="utf-8")
        yield name, {"content": content}
        for target in _IMPORT.findall(content):
            imported = _normalize(name, target)
            if imported not in seen:
                seen.add(imported)
                pending.append(imported)


def _normalize(importer: str, target: str) -> str:
    """Resolve an import path as the compiler does: relative to the importing source, or as it stands."""
    if not target.startswith("."):
        return target
    parts = importer.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _find_compiler(sources: Path) -> Path:
    """Return an executable that speaks solc's command line: npm's solc behind its wrapper, or a native one."""
    import solcx
    from solcx.exceptions import SolcNotInstalled

    if (sources / "node_modules" / "solc").is_dir():
        return sources / "script" / f"solc-v{COMPILER}"
    try:
        return Path(solcx.install.get_executable(COMPILER))
    except SolcNotInstalled as error:
        raise CompilerUnavailable(
            f"no Solidity compiler {COMPILER}: neither {sources / 'node_modules' / 'solc'} nor a native one",
            hint="`cd contracts && npm ci` (needs node), which also brings the libraries that the contracts import",
        ) from error


def _variable_names(sources: Mapping[str, Any]) -> dict[int, str]:
    """Map the AST id of every variable declaration to the variable's name."""
    names: dict[int, str] = {}
    pending: list[Any] = [source["ast"] for source in sources.values()]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("nodeType") == "VariableDeclaration":
                names[node["id"]] = node["name"]
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
    return names


def _errors(abi: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    errors = []
    for entry in abi:
        if entry["type"] == "error":
            signature = f"{entry['name']}({','.join(parameter['type'] for parameter in entry['inputs'])})"
            selector = "0x" + keccak256(signature.encode())[:4].hex()
            errors.append({"name": entry["name"], "signature": signature, "selector": selector})
    return errors


def _render(artifact: Mapping[str, Any]) -> str:
    return json.dumps(artifact, indent=1, ensure_ascii=True) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 if a check found differences, 3 if nothing could be compiled."""
    parser = argparse.ArgumentParser(
        prog="python -m chain.contract.build", description="Compile the contracts into artifacts."
    )
    parser.add_argument("--check", action="store_true", help="compile and compare with the artifacts; write nothing")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            differences = check()
            for difference in differences:
                sys.stderr.write(difference + "\n")
            if not differences:
                sys.stdout.write(f"{', '.join(CONTRACTS)}: the artifacts are what the sources give\n")
            return 1 if differences else 0
        for path in build():
            sys.stdout.write(f"{path}\n")
    except CoCoGenError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
