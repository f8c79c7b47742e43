"""The one module that writes: what it escapes, where it cuts, and that nobody else writes."""

from __future__ import annotations

import ast
import io
import json
import sys
from pathlib import Path

import pytest

from cli import output

CLI = Path(output.__file__).parent
HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\nnorth: accepted\u202e\u2028\ud800\U000e0041\xa0[bold red]x[/] :skull:"
SHOWN = r"\x1b[2J\x1b]0;owned\x07\r\nnorth: accepted\u202e\u2028\ud800\U000e0041\xa0[bold red]x[/] :skull:"


@pytest.mark.parametrize(
    "path", [path for path in sorted(CLI.rglob("*.py")) if path.name not in ("output.py", "streams.py")], ids=str
)
def test_nobody_else_writes(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        written = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if path.name == "guardian.py" and written == "print":  # it has nothing of the package, and says one constant
            assert isinstance(node.args[0], ast.Constant)
            continue
        assert written not in (
            "print",
            "click.echo",
            "click.secho",
            "Console",
            "sys.stdout.write",
            "sys.stderr.write",
            "click.wrap_text",
        )


def test_a_line_is_one_line_without_anything_that_a_terminal_obeys(capsys) -> None:
    output.say(HOSTILE, "second")
    output.note(HOSTILE)
    captured = capsys.readouterr()
    assert captured.out == f"{SHOWN}\nsecond\n"
    assert captured.err == f"{SHOWN}\n"


def test_tables_know_no_markup_and_no_line_breaks_but_ours(capsys) -> None:
    output.table(HOSTILE, ["name", HOSTILE], [[HOSTILE, ["one", HOSTILE]]], caption=HOSTILE)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == SHOWN
    assert lines[-2] == SHOWN
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("north") for line in lines)
    output.table("", ["name", "value"], [["[bold red]x[/] :skull:", "[/]"]])
    assert "[bold red]x[/] :skull:" in (shown := capsys.readouterr().out)
    assert "[/]" in shown.replace("x[/]", "")


def test_errors_keep_our_lines_and_no_others(capsys) -> None:
    output.fail("Wrong", [HOSTILE, "  a = b: c"], HOSTILE, as_json=False)
    assert capsys.readouterr().err.splitlines() == [f"error: {SHOWN}", "  a = b: c", f"hint: {SHOWN}"]


def test_what_is_shown_has_an_end(capsys) -> None:
    endless = "x" * 5_000_000
    output.say(endless)
    output.note(endless)
    output.table(endless, [endless], [[endless]], caption=endless)
    output.fail(endless, [endless] * 5_000, endless, as_json=False)
    output.emit({endless: [endless]}, "", as_json=True)
    captured = capsys.readouterr()
    assert max(map(len, (captured.out + captured.err).splitlines())) < 70_000
    assert len(captured.out) < 250_000
    assert len(captured.err) < 100_000
    assert "(5,000,000 characters)" in captured.err
    assert "  … and 4,960 more lines" in captured.err


def test_an_error_in_json_has_an_end(capsys) -> None:
    endless = "x" * 5_000_000
    output.fail("Wrong", [endless, HOSTILE], endless, as_json=True)
    captured = capsys.readouterr().out
    assert len(captured) < 10_000
    assert captured.isascii()
    assert json.loads(captured)["error"]["message"].endswith(HOSTILE)


def test_the_transaction_of_a_wallet_is_shown_whole(capsys) -> None:
    data = "0x" + "ab" * 9_000
    output.fail("WalletMustSend", ["send this", f"  data   {data}"], "", as_json=False, details={"data": data})
    assert f"  data   {data}\n" in capsys.readouterr().err
    output.fail("WalletMustSend", ["send this"], "", as_json=True, details={"data": data})
    assert json.loads(capsys.readouterr().out)["error"]["details"]["data"] == data


def test_a_word_stays_in_its_line_of_a_text(capsys) -> None:
    output.emit({}, f"kept in {output.word(HOSTILE)}\nnext", as_json=False)
    assert capsys.readouterr().out == f"kept in {SHOWN}\nnext\n"


def test_what_is_wrapped_was_escaped_first() -> None:
    lines = output.wrapped(f"{'word ' * 14}{HOSTILE} and more", "second")
    assert lines[-1] == "second"
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert not any(line.strip().startswith("north") for line in lines)


def test_progress_is_escaped_with_and_without_a_terminal(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with output.progress() as bars:
            bars(HOSTILE, 0, 1)
            bars(HOSTILE, 1, 1)
        shown = stream.getvalue()
        assert r"\x1b[2J\x1b]0;owned\x07" in shown
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown


class TestNarrowTerminal:
    """On 80 columns a table is drawn tighter, then value by value; an amount never loses a digit to an ellipsis."""

    @pytest.fixture(autouse=True)
    def _columns(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("TERM", "dumb")

    @pytest.mark.parametrize("columns", range(2, 12))
    @pytest.mark.parametrize("digits", [4, 9, 18, 60])
    def test_every_amount_is_whole_whatever_the_width(self, capsys, monkeypatch, columns, digits) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        amounts = [f"-{k}{'7' * digits}.123456" for k in range(columns)]
        output.table("money", ["organization", *(f"column {k}" for k in range(columns))], [["riverside", *amounts]])
        shown = capsys.readouterr().out
        assert "…" not in shown
        assert [amount for amount in amounts if amount not in shown] == []
        assert max(map(len, shown.splitlines())) <= max(80, 12 + digits + 20)

    def test_a_cell_of_several_lines_keeps_them(self, capsys, monkeypatch) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        output.table("two", ["name", "much\nmore"], [["north", ["1" * 75, "2" * 75]]])
        lines = capsys.readouterr().out.splitlines()
        assert "much more  " + "1" * 75 in lines
        assert " " * 11 + "2" * 75 in lines
