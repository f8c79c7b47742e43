"""The shipped artifact: what it says about the contract, and that it is what the sources give."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain import artifacts
from chain.abi import keccak256
from chain.contract import build

NAME = "ConsortiumNative"
ROOT = Path(build.__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
COMPILER = CONTRACTS / "node_modules" / "solc"
FORGE = CONTRACTS / "node_modules" / ".bin" / "forge"

STOP, PUSH1, PUSH32 = 0x00, 0x60, 0x7F
CALLCODE, DELEGATECALL, SELFDESTRUCT = 0xF2, 0xF4, 0xFF
CREATE, CREATE2 = 0xF0, 0xF5


@pytest.fixture(params=artifacts.CONTRACTS)
def artifact(request: pytest.FixtureRequest) -> artifacts.Artifact:
    """Each of the shipped contracts in turn."""
    return artifacts.load_artifact(request.param)


@pytest.fixture
def node() -> None:
    """Skip, loudly, where the compiler is not installed; in CI it must be."""
    if not COMPILER.is_dir():
        reason = f"the Solidity compiler is not installed (cd {CONTRACTS} && npm ci)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def instructions(code: bytes) -> Iterator[int]:
    """Yield the opcodes of runtime code without the data that PUSH carries."""
    position = 0
    while position < len(code):
        opcode = code[position]
        yield opcode
        position += 1 + (opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0)


def signature(entry: dict) -> str:
    return f"{entry['name']}({','.join(parameter['type'] for parameter in entry['inputs'])})"


def test_the_artifact_names_its_origin(artifact: artifacts.Artifact) -> None:
    assert artifact.name in artifacts.CONTRACTS
    assert artifact.compiler.startswith("0.8.37+commit.")
    assert artifact.settings["evmVersion"] == "shanghai"
    assert artifact.settings["metadata"] == {"bytecodeHash": "none", "appendCBOR": False}
    assert len(bytes.fromhex(artifact.input_sha256)) == 32


def test_the_state_changing_functions_are_exactly_these(artifact: artifacts.Artifact) -> None:
    changing = {
        signature(entry): entry["stateMutability"]
        for entry in artifact.abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    deposit = (
        {"depositSubmit(uint256,bytes32,uint256)": "nonpayable"}
        if artifact.name.endswith("ERC20")
        else {"depositSubmit(uint256,bytes32)": "payable"}
    )
    assert changing == {
        **deposit,
        "roundOpen()": "nonpayable",
        "contributionSubmit(uint256,uint64,uint64,uint64,bytes32,bytes)": "nonpayable",
        "profileRecord()": "nonpayable",
        "transfersSubmit(int256[],bytes32,bytes)": "nonpayable",
        "disputeRaise(uint256,bytes32)": "nonpayable",
        "disputeResolve(uint8)": "nonpayable",
        "payoffCalculate()": "nonpayable",
        "payoffTransfer()": "nonpayable",
        "withdraw(uint256,uint256,address)": "nonpayable",
        "exitRequest(uint256)": "nonpayable",
        "exitCancel(uint256)": "nonpayable",
    }


def test_there_is_no_way_in_for_ether_but_the_deposit(artifact: artifacts.Artifact) -> None:
    assert {entry["type"] for entry in artifact.abi} == {"constructor", "error", "event", "function"}


def test_selectors_are_unique_and_those_of_their_signatures(artifact: artifacts.Artifact) -> None:
    functions = [signature(entry) for entry in artifact.abi if entry["type"] == "function"]
    errors = [signature(entry) for entry in artifact.abi if entry["type"] == "error"]
    assert "withdraw(uint256,uint256,address)" in functions
    assert len({keccak256(name.encode())[:4] for name in functions}) == len(functions)
    assert artifact.errors == {keccak256(name.encode())[:4]: name for name in errors}
    assert len(artifact.errors) == len(errors)


def test_every_error_of_the_library_is_reachable(artifact: artifacts.Artifact) -> None:
    source = (CONTRACTS / "src" / "libraries" / "Errors.sol").read_text(encoding="utf-8")
    declared = {line.split("error ")[1].split("(")[0] for line in source.splitlines() if line.startswith("    error ")}
    raised = {text.split("(")[0] for text in artifact.errors.values()}
    assert len(declared) > 20
    assert declared <= raised
    # OpenZeppelin's own; the last two only if the contract's name or version did not fit a word.
    assert raised - declared == {"ReentrancyGuardReentrantCall", "InvalidShortString", "StringTooLong"}


def test_the_code_hands_control_to_nobody_and_cannot_be_destroyed(artifact: artifacts.Artifact) -> None:
    runtime = list(instructions(artifact.deployed_bytecode))
    assert len(runtime) > 1000
    assert not {CALLCODE, DELEGATECALL, SELFDESTRUCT, CREATE, CREATE2} & set(runtime)
    # The constructor creates the blobs of the terms and, in pairwise mode, of the stand-ins: nothing else of the kind.
    creation = list(instructions(artifact.bytecode[: -len(artifact.deployed_bytecode)]))
    assert not {CALLCODE, DELEGATECALL, SELFDESTRUCT, CREATE2} & set(creation)
    assert creation.count(CREATE) == (1 if artifact.name.startswith("Vector") else 2)


def test_the_walk_over_opcodes_skips_what_push_carries() -> None:
    assert list(instructions(bytes([PUSH1, DELEGATECALL, STOP]))) == [PUSH1, STOP]
    assert list(instructions(bytes([PUSH32, *[SELFDESTRUCT] * 32, DELEGATECALL]))) == [PUSH32, DELEGATECALL]


def test_immutables_are_named_and_lie_where_the_code_has_zeros(artifact: artifacts.Artifact) -> None:
    names = set(artifact.immutable_references)
    assert {"GAMMA_WAD", "ATTESTER", "TOKEN", "DOCUMENT_HASH", "TERMS_HASH", "TERMS_BLOB", "MEMBER_COUNT"} <= names
    places = [place for places in artifact.immutable_references.values() for place in places]
    assert len(places) >= len(names)
    for start, length in places:
        assert artifact.deployed_bytecode[start : start + length] == bytes(length)


def test_the_largest_consortium_still_fits_the_limit_on_creation_code(artifact: artifacts.Artifact) -> None:
    # 120 records of 68 bytes, 7,140 pair weights, 18 scalars, two offsets, two lengths and their padding (EIP-3860).
    arguments = 120 * 68 + 7140 * 2 + 18 * 32 + 4 * 32 + 2 * 31
    assert len(artifact.bytecode) + arguments <= 49_152
    assert len(artifact.deployed_bytecode) <= 24_576


def test_reading_an_artifact_loads_neither_web3_nor_a_compiler() -> None:
    code = (
        f"import sys; from chain.artifacts import load_artifact; load_artifact({NAME!r}); "
        "sys.exit(any(name in sys.modules for name in ('web3', 'solcx')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"name": "x", "abi": 1}'])
def test_an_unreadable_artifact_is_a_typed_error(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / f"{NAME}.json").write_text(content, encoding="utf-8")
    with pytest.raises(artifacts.ArtifactInvalid, match=NAME) as caught:
        artifacts.load_artifact(NAME, tmp_path)
    assert "chain.contract.build" in caught.value.hint


def test_without_sources_the_error_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(build.CompilerUnavailable) as caught:
        build.standard_json(NAME, tmp_path)
    assert "npm ci" in caught.value.hint


def test_without_a_compiler_the_error_says_how_to_get_it(
    node: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No npm compiler here, and an empty folder of native ones.
    monkeypatch.setenv("SOLCX_BINARY_PATH", str(tmp_path))
    copy_sources(tmp_path)
    with pytest.raises(build.CompilerUnavailable, match=r"0\.8\.37") as caught:
        build.compile_contract(NAME, tmp_path)
    assert "npm ci" in caught.value.hint


def test_the_compilers_input_depends_on_no_path_of_this_machine(node: None) -> None:
    request = build.standard_json(NAME)
    assert f"src/{NAME}.sol" in request["sources"]
    assert "@openzeppelin/contracts/utils/cryptography/EIP712.sol" in request["sources"]
    assert str(ROOT) not in json.dumps(request)


def test_the_artifact_was_compiled_from_these_sources(node: None, artifact: artifacts.Artifact) -> None:
    assert build.input_sha256(build.standard_json(artifact.name)) == artifact.input_sha256


@pytest.mark.slow
def test_sources_that_do_not_compile_are_a_typed_error(node: None, tmp_path: Path) -> None:
    copy_sources(tmp_path)
    (tmp_path / "node_modules").mkdir(exist_ok=True)
    (tmp_path / "node_modules" / "solc").symlink_to(COMPILER)
    source = tmp_path / "src" / f"{NAME}.sol"
    source.write_text(source.read_text(encoding="utf-8") + "\ncontract {", encoding="utf-8")
    with pytest.raises(build.CompilationFailed, match="ParserError"):
        build.compile_contract(NAME, tmp_path)


@pytest.mark.deep
def test_the_artifact_is_what_the_sources_give_and_tampering_shows(node: None, tmp_path: Path) -> None:
    fresh = build.compile_contract(NAME)
    shipped = artifacts.load_artifact(NAME)
    assert fresh["inputSha256"] == shipped.input_sha256
    assert bytes.fromhex(fresh["bytecode"][2:]) == shipped.bytecode

    path = tmp_path / f"{NAME}.json"
    original = (ROOT / "chain" / "artifacts" / f"{NAME}.json").read_text(encoding="utf-8")

    def differences(text: str) -> tuple[str, ...]:
        path.write_text(text, encoding="utf-8")
        return build.compare(NAME, fresh, tmp_path)

    assert differences(original) == ()
    values = json.loads(original)
    for field in values:
        changed = values | {field: "0x00"}
        assert any(field in text for text in differences(json.dumps(changed, indent=1) + "\n"))
    assert differences(json.dumps(values)) == (f"{NAME}.json: same values, other bytes",)
    assert differences(json.dumps(values | {"extra": 1})) != ()
    assert differences("[]") != ()
    assert differences("not json") != ()
    path.unlink()
    assert build.compare(NAME, fresh, tmp_path) != ()


def test_the_command_reports_differences_and_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "check", lambda: ())
    assert build.main(["--check"]) == 0
    assert NAME in capsys.readouterr().out
    monkeypatch.setattr(build, "check", lambda: ("ConsortiumNative.json: abi differs",))
    assert build.main(["--check"]) == 1
    assert "abi differs" in capsys.readouterr().err

    def unavailable() -> tuple[Path, ...]:
        raise build.CompilerUnavailable("no compiler", hint="npm ci")

    monkeypatch.setattr(build, "build", unavailable)
    assert build.main([]) == 3
    assert capsys.readouterr().err == "no compiler\nnpm ci\n"


def test_forge_says_with_its_exit_code_that_something_failed() -> None:
    """npm's launcher for forge exits with 0 whatever happens; the contract's tests must not be run through it."""
    if not FORGE.exists():
        reason = f"forge is not installed (cd {CONTRACTS} && npm ci)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    good = subprocess.run([FORGE, "--version"], cwd=CONTRACTS, capture_output=True, check=False)
    bad = subprocess.run([FORGE, "test", "--no-such-option"], cwd=CONTRACTS, capture_output=True, check=False)
    assert good.returncode == 0
    assert bad.returncode != 0


def copy_sources(target: Path) -> None:
    """Copy the contracts and the libraries they import, without a compiler."""
    for name in ("foundry.toml", "src", "script"):
        origin = CONTRACTS / name
        if origin.is_dir():
            shutil.copytree(origin, target / name)
        else:
            shutil.copy(origin, target / name)
    (target / "node_modules").mkdir()
    (target / "node_modules" / "@openzeppelin").symlink_to(CONTRACTS / "node_modules" / "@openzeppelin")
