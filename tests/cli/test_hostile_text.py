"""Every text that a stranger can supply, through every command that shows it.

Whatever comes in (names, keys and values of files, cells, entries of archives, names of files, what a node answers)
reaches the terminal as printable characters in lines of our own, and not without end.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cocogen.data.archive import write_arrays
from cocogen.evidence.bundle import Bundle
from tests.examples import typed

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
WORKSPACE = Path(".cocogen/clinics")
ROUND = WORKSPACE / "rounds" / "0001"

FALSE_LINE = "north: accepted"
EVIL = f"\x1b[2J\x1b]0;owned\x07\u202e\r\n{FALSE_LINE}\u2028[bold red]x[/]"
SEEN = r"\x1b[2J"
"""How the beginning of EVIL is shown."""
LONG = EVIL + "y" * 5_000_000
FILE_NAME = EVIL.replace("/", "") + "\udcff"
"""With a byte that is none of UTF-8, as file names can have."""
LIMIT = 120_000
"""Characters of one answer."""


def also(*commands):
    """Commands that show the same texts as another one does, left to the slow tests."""
    return [pytest.param(command, marks=pytest.mark.slow) for command in commands]


def beside(first, others, kinds, sample):
    """Every kind with the first command; with others, which show what they read the same way, a sample when slow tests
    run, and the rest with ``make deep``."""
    return [
        *((first, kind) for kind in kinds),
        *(
            pytest.param(command, kind, marks=pytest.mark.slow if kind in sample else pytest.mark.deep)
            for command in others
            for kind in kinds
        ),
    ]


def harmless(shown: str) -> None:
    """Nothing that a terminal obeys, no line that is not ours, and an end."""
    assert len(shown) < LIMIT
    for line in shown.split("\n"):
        assert line.isprintable(), line[:200]
        assert not line.strip(" │").startswith(FALSE_LINE), line[:200]


def feed(*arguments: str, code: int, hidden: bool = False) -> None:
    """One command as text and as JSON; ``hidden``: the text does not appear, the command must not fail of it."""
    found, out, err = typed(*arguments)
    assert found == code, (out + err)[:4_000]
    harmless(out)
    harmless(err)
    assert (SEEN in out + err) is not hidden, (out + err)[:4_000]
    found, out, err = typed(*arguments, "--format", "json")
    assert found == code, (out + err)[:4_000]
    assert len(out) < LIMIT
    assert out.isascii()
    json.loads(out)
    harmless(out)
    harmless(err)


def altered(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="session")
def begun(opened, once) -> Path:
    """A consortium with an open round whose organizations have handed in evidence of little training."""

    def fill(folder: Path) -> None:
        once.copy(opened, folder)
        with contextlib.chdir(folder):
            for command in ("train", "export -o ledger.jsonl"):
                code, out, err = typed(*command.split())
                assert code == 0, out + err

    return once("begun", fill)


@pytest.fixture
def here(begun, once, tmp_path, monkeypatch) -> Path:
    """A copy of it, to work in."""
    once.copy(begun, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Terms files, and the files that they name ---------------------------------------------------------------------------

QUOTED = json.dumps(EVIL)
WIDE = json.dumps(EVIL + "y" * 900_000)
TERMS: dict[str, Callable[[str], str]] = {
    "a key": lambda text: f"{QUOTED} = 1\n{text}",
    "a long key": lambda text: f"{WIDE} = 1\n{text}",
    "many keys": lambda text: "".join(f'{QUOTED[:-1]}{n}" = 1\n' for n in range(5_000)) + text,
    "a table": lambda text: f"{text}\n[{QUOTED}]\nx = 1\n",
    "a value": lambda text: text.replace('mechanism = "cocogen+"', f"mechanism = {QUOTED}"),
    "a long value": lambda text: text.replace('mechanism = "cocogen+"', f"mechanism = {WIDE}"),
    "the consortium's name": lambda text: text.replace('name = "clinics"', f"name = {QUOTED}"),
    "an organization's name": lambda text: text.replace('name = "north"', f"name = {QUOTED}"),
    "an address": lambda text: text.replace('name = "north"', f'name = "north"\naddress = {QUOTED}'),
    "a data set": lambda text: field(text, "dataset", QUOTED),
    "a competition table": lambda text: competing(text, f"{{ {QUOTED} = {{ north = 0.1 }} }}"),
    "a competitor": lambda text: competing(text, f"{{ north = {{ {QUOTED} = 0.1 }} }}"),
    "a competition file": lambda text: competing(text, QUOTED),
    "a calibration file": lambda text: accuracy(text, f'{{ kind = "calibrated", file = {QUOTED} }}'),
    "beside a calibration file": lambda text: accuracy(text, f'{{ kind = "calibrated", file = "x", {QUOTED} = 1 }}'),
    "a kind of accuracy": lambda text: accuracy(text, f"{{ kind = {QUOTED} }}"),
}


def field(text: str, name: str, value: str) -> str:
    lines = text.splitlines()
    (place,) = (n for n, line in enumerate(lines) if line.split("=")[0].strip() == name)
    lines[place] = f"{name} = {value}"
    return "\n".join(lines) + "\n"


def competing(text: str, value: str) -> str:
    before, _, rest = text.partition("[market.competition]")
    return f"{before}competition = {value}\n{rest[rest.index('[incentive]') :]}"


def accuracy(text: str, value: str) -> str:
    return field(text, "accuracy", value)


OTHERS = ("deploy", "run", "compare", "calibrate")


@pytest.mark.parametrize(
    ("command", "kind"), beside("solve", OTHERS, TERMS, ("a long key", "a value", "a data set", "a competitor"))
)
def test_terms(kind, command, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "clinics.toml").read_text()
    changed = TERMS[kind](text)
    assert changed != text
    Path("bad.toml").write_text(changed)
    if command == "calibrate" and kind in ("a calibration file", "beside a calibration file", "a kind of accuracy"):
        pytest.skip("calibrate asks for no accuracy")
    feed(command, "bad.toml", code=4 if kind == "a data set" else 2)


@pytest.mark.parametrize("command", ["deploy", "run", "solve", "compare", "calibrate", "status", "audit"])
def test_a_terms_files_name(command, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{FILE_NAME}.toml").write_text("north = \n")
    arguments = ("--config", f"{FILE_NAME}.toml") if command == "status" else (f"{FILE_NAME}.toml",)
    hidden = command in ("status", "audit")  # nothing is deployed
    feed(command, *arguments, code=2, hidden=hidden)


@pytest.mark.parametrize("kind", ["a key", "a long key", "an organization's name"])
@pytest.mark.parametrize("command", [("audit",), ("deposit", "-o", "north", "--config")])
def test_terms_beside_a_deployment(kind, command, here) -> None:
    Path("bad.toml").write_text(TERMS[kind]((EXAMPLES / "clinics.toml").read_text()))
    feed(*command, "bad.toml", code=1 if command == ("audit",) else 2)


CELLS = {
    "a corner": lambda rows: [[EVIL, *rows[0][1:]], *rows[1:]],
    "a column": lambda rows: [["", EVIL, *rows[0][2:]], *rows[1:]],
    "a row": lambda rows: [rows[0], [EVIL, *rows[1][1:]], *rows[2:]],
    "a cell": lambda rows: [rows[0], [rows[1][0], EVIL, *rows[1][2:]], *rows[2:]],
    "a long cell": lambda rows: [rows[0], [rows[1][0], EVIL + "y" * 100_000, *rows[1][2:]], *rows[2:]],
    "many rows": lambda rows: [*rows, *([EVIL] * 7 for _ in range(2_000))],
}


@pytest.mark.parametrize("kind", CELLS)
def test_competition_as_a_table(kind, tmp_path, monkeypatch) -> None:
    import csv

    monkeypatch.chdir(tmp_path)
    rows = [["", *NAMES], *([name, *("0" if name == other else "0.04" for other in NAMES)] for name in NAMES)]
    with Path("competition.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(CELLS[kind](rows))
    Path("bad.toml").write_text(competing((EXAMPLES / "clinics.toml").read_text(), '"competition.csv"'))
    if kind == "a corner":
        _, out, err = typed("solve", "bad.toml")
        harmless(out + err)
    else:
        feed("solve", "bad.toml", code=2)


# The workspace ---------------------------------------------------------------------------------------------------


def in_json(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("key", [EVIL, EVIL + "y" * 500_000])
@pytest.mark.parametrize("command", ["status", "plan", "audit", "export", "attest", "round record"])
@pytest.mark.parametrize("file", ["resolved.json", "deployment.json"])
def test_keys_of_the_workspaces_records(file, command, key, here) -> None:
    in_json(WORKSPACE / file, lambda content: content.update({key: EVIL}))
    feed(*command.split(), code=2)


def test_values_of_the_deployment_record(here) -> None:
    in_json(WORKSPACE / "deployment.json", lambda record: record.update(backend=EVIL))
    feed("status", code=0)
    in_json(WORKSPACE / "deployment.json", lambda record: record["details"].update(ledger=LONG))
    for command in ("status", "plan"):
        found, out, err = typed(command)
        assert found in (2, 3)
        harmless(out + err)


@pytest.mark.parametrize("text", [EVIL, LONG])
def test_what_others_say_of_absent_organizations(text, here) -> None:
    (ROUND / "north.bundle").unlink()
    (ROUND / "absent.json").write_text(json.dumps({"north": text, EVIL: EVIL}))
    feed("attest", code=0)
    assert (ROUND / "attested.json").stat().st_size < 100_000
    feed("submit", "-o", "north", code=4)


@pytest.mark.slow
def test_a_reason_stays_harmless_to_the_end_of_the_round(here) -> None:
    (ROUND / "north.bundle").unlink()
    (ROUND / "absent.json").write_text(json.dumps({"north": EVIL}))
    showing = []
    for command in (
        "attest", *(f"submit -o {name}" for name in NAMES[1:]), "status", "round record --advance", "status",
        "round settle --advance", "status", "contributions", "audit", "export", "run clinics.toml --no-study",
        "run clinics.toml --no-study --format json",
    ):  # fmt: skip
        code, out, err = typed(*command.split())
        assert code == 0, f"{command}: {out}{err}"
        harmless(out)
        harmless(err)
        if SEEN in out + err:
            showing.append(command.split()[0])
    assert {"attest", "contributions", "run"} <= set(showing), showing


@pytest.mark.slow
def test_an_attestation_of_somebody_else(here) -> None:
    assert typed("attest")[0] == 0
    in_json(ROUND / "attested.json", lambda content: content["rejected"].update({"north": LONG, EVIL: EVIL}))
    for command in ("attest", "submit -o north"):
        feed(*command.split(), code=2)
    in_json(ROUND / "attested.json", lambda content: content["rejected"].pop("north"))
    in_json(ROUND / "attested.json", lambda content: content["contributions"].__setitem__(1, {"data": LONG}))
    for command in ("attest", "status", "submit -o north"):
        feed(*command.split(), code=2)


@pytest.mark.parametrize("file", ["plan.json", "absent.json"])
def test_files_of_a_round_that_are_none(file, here) -> None:
    (ROUND / file).write_text(json.dumps([LONG]))
    for command in ("attest", "train"):
        found, out, err = typed(command)
        assert found in (0, 2), out + err
        harmless(out + err)


# Evidence --------------------------------------------------------------------------------------------------------


def with_manifest(path: Path, change: Callable[[dict], object]) -> None:
    """The bundle with another manifest, whoever signed it."""
    with np.load(path) as stored:
        arrays = dict(stored)
    manifest = json.loads(arrays["manifest"].tobytes())
    change(manifest)
    content = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    write_arrays(path, {**arrays, "manifest": np.frombuffer(content, dtype=np.uint8)})


def with_entry(path: Path, name: str) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    write_arrays(path, {**arrays, name: np.zeros(3, dtype=np.float32)})


def signed_by_nobody(path: Path, name: str) -> None:
    bundle = Bundle.load(path)
    replace(bundle, manifest=bundle.manifest.model_copy(update={"organization": name})).save(path)


def not_an_array(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x04\x00none")


EVIDENCE: dict[str, Callable[[Path], object]] = {
    "a key of the manifest": lambda path: with_manifest(path, lambda manifest: manifest.update({EVIL: 1})),
    "a long key": lambda path: with_manifest(path, lambda manifest: manifest.update({LONG: 1})),
    "a key of the log": lambda path: with_manifest(path, lambda manifest: manifest["training"].update({LONG: 1})),
    "a value": lambda path: with_manifest(path, lambda manifest: manifest.update(base=LONG)),
    "a name": lambda path: signed_by_nobody(path, EVIL[:64]),
    "an entry": lambda path: not_an_array(path, EVIL),
    "a long entry": lambda path: not_an_array(path, EVIL + "y" * 60_000),
    "a parameter": lambda path: with_entry(path, f"classifier/{EVIL}"),
    "a long parameter": lambda path: with_entry(path, f"classifier/{EVIL}{'y' * 60_000}"),
    "no archive": lambda path: path.write_text(LONG),
}


SAME_WAY = ("a name", "a key of the log", "a long entry", "a long parameter")
"""Evidence that is read and shown the way of another kind."""


@pytest.mark.parametrize("kind", [kind for kind in EVIDENCE if kind not in SAME_WAY] + also(*SAME_WAY))
def test_evidence(kind, here) -> None:
    EVIDENCE[kind](ROUND / "north.bundle")
    hidden = kind in ("a value", "no archive")  # what is wrong with these is said without them
    if kind in ("a parameter", "a long parameter"):
        # A stranger who is a member signs what it sends; here the signature is what fails, so the reason is made.
        from cocogen.errors import EvidenceRejected

        state = Bundle.load(ROUND / "north.bundle").classifier
        assert len(EvidenceRejected("north", f"its classifier has the parameters {state!r}").reason) < 1_000
        hidden = True
    feed("train", "-o", "north", code=4 if not hidden or kind == "no archive" else 4 if kind == "a value" else 0,
         hidden=hidden)  # fmt: skip
    feed("attest", code=0, hidden=hidden)
    assert (ROUND / "attested.json").stat().st_size < 100_000


def test_evidence_under_a_files_name(here) -> None:
    shutil.copy(ROUND / "north.bundle", f"{FILE_NAME}.bundle")
    signed_by_nobody(Path(f"{FILE_NAME}.bundle"), EVIL[:64])
    shutil.copy("ledger.jsonl", "none\n" + FALSE_LINE)
    feed("attest", f"{FILE_NAME}.bundle", "none\n" + FALSE_LINE, code=0)


def test_signatures_of_owners(here) -> None:
    Path("signatures.json").write_text(json.dumps({EVIL: "0x11", LONG: EVIL}))
    found, out, err = typed("attest", "--signatures", "signatures.json")
    assert found == 2
    harmless(out + err)
    feed("train", "-o", "north", "--signature", EVIL, code=2, hidden=True)


def test_models(here) -> None:
    with_entry(WORKSPACE / "models" / "initial.npz", EVIL)
    for command in ("attest",):
        found, out, err = typed(command)
        assert found in (2, 4), out + err
        harmless(out + err)
    not_an_array(WORKSPACE / "models" / "initial.npz", EVIL)
    feed("attest", code=4)


# Exported ledgers, keys, arguments -------------------------------------------------------------------------------

LEDGER: dict[str, Callable[[list[dict]], object]] = {
    "a kind": lambda lines: lines[1].update(kind=EVIL),
    "a format": lambda lines: lines[0].update(format=EVIL),
    "an artifact": lambda lines: lines[0].update(artifact=LONG),
    "a key": lambda lines: lines[1].update({EVIL: 1}),
    "a long key": lambda lines: lines[1].update({LONG: 1}),
    "an event's name": lambda lines: lines[1].update(name=LONG),
    "an argument": lambda lines: lines[1]["args"].update({EVIL: EVIL}),
    "a backend": lambda lines: lines[0].update(backend=LONG),
    "an address": lambda lines: lines[0].update(address=LONG),
    "a transaction": lambda lines: lines[1].update(transaction=LONG),
    "a sender": lambda lines: lines[1].update(sender=EVIL),
    "storage": lambda lines: lines[-2].update(name=LONG),
}


@pytest.mark.parametrize("kind", LEDGER)
def test_an_exported_ledger(kind, here) -> None:
    lines = [json.loads(line) for line in Path("ledger.jsonl").read_text().splitlines()]
    LEDGER[kind](lines)
    Path("bad.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    for arguments in ((), ("--format", "json")):
        found, out, err = typed("audit", "--offline", "bad.jsonl", *arguments)
        assert found in (1, 5)
        harmless(out)
        harmless(err)


def test_names_of_files_in_arguments(here, monkeypatch) -> None:
    monkeypatch.setenv("COCOGEN_PASSWORD", "secret")
    shutil.copy("ledger.jsonl", FILE_NAME)
    feed("export", "-o", FILE_NAME, code=0)
    feed("audit", "--offline", "none" + FILE_NAME, code=2)
    Path(FILE_NAME).write_text(EVIL)
    feed("audit", "--offline", FILE_NAME, code=5)
    feed("audit", "--offline", "ledger.jsonl", "--terms", FILE_NAME, code=2)
    feed("keys", "new", "north", "--keys", "k", "--password-file", f"none{FILE_NAME}", code=2)
    feed("keys", "import", "north", "--keys", "k", "--private-key-file", f"none{FILE_NAME}", code=2)
    for argument in ("-o", "--sender"):
        feed("submit", "-o", "north", argument, EVIL, code=2)
    feed("withdraw", "-o", "north", "--to", EVIL, code=2)
    feed("status", "--ledger", EVIL, code=2)
    feed("status", "--workspace", FILE_NAME, code=2)
    feed("status", "--workspace", f"none{FILE_NAME}", code=2)
    feed("dispute", "raise", "-o", "north", "--reason-file", f"none{FILE_NAME}", code=2)
    feed("experiment", "tradefl", "--only", EVIL, code=2)
    feed("compare", "clinics.toml", "--figure", f"x.{FILE_NAME}", code=2)
    feed("chain", "advance", EVIL, code=2)
    feed(EVIL, code=2)


def test_a_workspace_under_a_strangers_name(here) -> None:
    shutil.copytree(WORKSPACE, FILE_NAME)
    for command in ("status", "plan", "export", "train", "attest"):
        found, out, err = typed(command, "--workspace", FILE_NAME)
        assert found == 0, out + err
        harmless(out)
        harmless(err)
    feed("deploy", "clinics.toml", "--workspace", FILE_NAME, code=2)


def test_keystores(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COCOGEN_PASSWORD", "secret")
    folder = Path(FILE_NAME)
    monkeypatch.setattr("chain.keys.keystores.SCRYPT_COST", 2)
    code, out, err = typed("keys", "new", "north", "--keys", str(folder))
    assert (code, SEEN in out) == (0, True)
    harmless(out + err)
    feed("keys", "list", "--keys", str(folder), code=0)
    shutil.copy(folder / "north.json", folder / f"{FILE_NAME}.json")
    feed("keys", "list", "--keys", str(folder), code=0)
    feed("keys", "show", EVIL, "--keys", str(folder), code=2)
    in_json(folder / "north.json", lambda content: content.update({"address": LONG}))
    for command in ("keys list", "keys show north"):
        found, out, err = typed(*command.split(), "--keys", str(folder))
        assert found in (0, 2, 3)
        harmless(out + err)


# Nodes -----------------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """An HTTP server that answers every request alike."""

    status: int
    body: bytes
    url: str = ""


@pytest.fixture
def node() -> Iterator[Node]:
    answer = Node(200, b"")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(answer.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer.url = f"http://127.0.0.1:{server.server_port}"
        yield answer
        server.shutdown()


ANSWERS = {
    "an error": {"error": {"code": -32000, "message": EVIL}},
    "a long error": {"error": {"code": -32000, "message": LONG}},
    "an error that is text": {"error": EVIL},
    "a number": {"result": LONG},
    "a list": {"result": [EVIL]},
    "a revert": {"error": {"code": 3, "message": EVIL, "data": EVIL}},
}


KINDS = (*ANSWERS, "no JSON", "a refusal", "a long refusal")
ASKING = (("deposit", "-o", "north"), ("audit",), ("audit", "--second-node"))


@pytest.mark.parametrize(
    ("command", "kind"), beside(("status",), ASKING, KINDS, ("a long error", "a revert", "a refusal"))
)
def test_what_a_node_answers(kind, command, node, here, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    if kind in ANSWERS:
        node.body = json.dumps({"jsonrpc": "2.0", "id": 0, **ANSWERS[kind]}).encode()
    else:
        node.status = 200 if kind == "no JSON" else 403
        node.body = (LONG if kind == "a long refusal" else EVIL).encode()
    arguments = (*command, node.url) if command[-1] == "--second-node" else (*command, "--ledger", node.url)
    for extra in ((), ("--format", "json")):
        found, out, err = typed(*arguments, *extra)
        assert found in (0, 1, 2, 3, 5), out + err
        harmless(out)
        harmless(err)


# Data ------------------------------------------------------------------------------------------------------------


def test_arrays_of_data(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", **{EVIL: np.zeros(3), "y" * 5_000: np.zeros(3)})
    Path("bad.toml").write_text(field((EXAMPLES / "clinics.toml").read_text(), "dataset", '"data.npz"'))
    feed("solve", "bad.toml", code=4)


def test_folders_of_images(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for label in (FILE_NAME, "other"):
        Path("photos", label).mkdir(parents=True)
        Path("photos", label, f"{FILE_NAME}.png").write_text(EVIL)
    Path("bad.toml").write_text(field((EXAMPLES / "clinics.toml").read_text(), "dataset", '"./photos/"'))
    feed("solve", "bad.toml", code=4)


def test_a_calibration(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fit.json").write_text(json.dumps({LONG: EVIL, "task": EVIL}))
    terms = accuracy((EXAMPLES / "clinics.toml").read_text(), '{ kind = "calibrated", file = "fit.json" }')
    Path("bad.toml").write_text(terms)
    feed("solve", "bad.toml", code=2)
    feed("calibrate", "bad.toml", "-o", "fit.json", code=2)
