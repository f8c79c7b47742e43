"""What strangers write is bounded before it is parsed, and what is harmless is parsed as the parser would alone."""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocogen import files
from cocogen.files import MAXIMUM_DEPTH, parse_json, parse_toml, read_bounded

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.toml"))
DEEP = MAXIMUM_DEPTH + 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_read_as_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parse_toml(text) == tomllib.loads(text)


KEY = ".".join("k" * DEEP)
SPACED = " . ".join(["k", '"k.k"', "'k'"] * 6)


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY} = 1",
        f"{SPACED} = 1",
        f"[{KEY}]",
        f"[[{KEY}]]",
        f"a = {{{KEY} = 1}}",
        f"a = {{b = 1, {KEY} = 1}}",
        "a = " + "[" * DEEP + "]" * DEEP,
        "a = " + "{a = " * DEEP + "1" + "}" * DEEP,
        f'"""\n"""\n{KEY} = 1',
        f"a = 'it'\n{KEY} = 1",
        f'a = """x""""\n{KEY} = 1',
        f'a = {{p = """x"""", {KEY} = 1, q = "y"}}',
        f"a = {{p = '''x''''', {KEY} = 1, q = 'y'}}",
        f'a = "\\\\"\n{KEY} = 1',
        f'a = {{p = "\\"", {KEY} = 1, q = "y"}}',
        f'# "\n{KEY} = 1',
        f"# '''\n{KEY} = 1",
    ],
)
def test_toml_nested_beyond_the_limit_never_reaches_the_parser(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tomllib, "loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match="nested more than 16 levels"):
        parse_toml(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY[2:]} = 1",
        "a = " + "[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH,
        f'a = "{KEY}"',
        f"a = '{KEY}'",
        f"# {KEY}",
        f'a = """\n{KEY}\n""""',
        f"a = '''\n{KEY} '' [[[[[[[[[[[[[[[[[[[[[\n'''",
        "a = [" + "1.5, " * 1000 + "]",
        "a = {" + ", ".join(f"k{n} = 0.5" for n in range(1000)) + "}",
        'a = "' + "[" * 100 + '"',
        "a = 1979-05-27T07:32:00.999999-07:00",
        "[[a]]\n" * 1000,
    ],
)
def test_what_is_long_but_not_nested_is_read(text: str) -> None:
    assert parse_toml(text) == tomllib.loads(text)


PIECES = st.sampled_from(
    ["a", ".", " ", "=", "1", "\n", "[", "]", "{", "}", ",", '"', "'", '"""', "'''", "\\", "#", "a.b = 1\n", '"x"']
)


@given(text=st.lists(PIECES, max_size=40).map("".join))
def test_whatever_the_text_the_guard_only_ever_refuses_what_is_nested(text: str) -> None:
    """Texts of 40 pieces: what the parser alone makes of them, or a refusal that a count of dots and brackets bears
    out."""

    def outcome(parse) -> object:
        try:
            return parse(text)
        except ValueError as error:
            return "nested" if "nested more" in str(error) else "no TOML"

    alone, guarded = outcome(tomllib.loads), outcome(parse_toml)
    deep = text.count(".") >= MAXIMUM_DEPTH or sum(map(text.count, "[{")) > MAXIMUM_DEPTH
    assert guarded == alone or (guarded == "nested" and deep)


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max(map(depth_of, inner), default=0)


@given(
    keys=st.lists(st.sampled_from(["a", '"b.c"', "'d'", '"\\""', "e-1"]), min_size=1, max_size=30), closed=st.booleans()
)
def test_no_dotted_key_hides_its_depth(keys: list[str], closed: bool) -> None:
    text = f"{'.'.join(keys)} = 1" if closed else f"[{' . '.join(keys)}]"
    if len(keys) > MAXIMUM_DEPTH:
        with pytest.raises(ValueError, match="nested more"):
            parse_toml(text)
    else:
        assert depth_of(parse_toml(text)) >= len(keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=JSON)
def test_json_is_read_as_the_parser_reads_it_alone(value: object) -> None:
    text = json.dumps(value)
    assert parse_json(text) == value
    assert parse_json(text.encode()) == value


@pytest.mark.parametrize(
    "text", ["[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "[" * 10**6, '["]", "\\"]",' + "[" * DEEP]
)
def test_json_nested_beyond_the_limit_never_reaches_the_parser(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match="nested more than 16 levels"):
        parse_json(text)


@pytest.mark.parametrize("text", ["", "{", "nul", '{"a": 1,}', "9" * 5000, b"\xff"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own message
        parse_json(text)


def test_files_are_read_up_to_the_limit_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "some"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ValueError, match="larger than 4 bytes"):
        read_bounded(path, 4)
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_bounded(Path("/dev/zero"), 10)


class Counting:
    """A pattern that counts the characters that were looked at."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern, self.taken, self.failed = pattern, 0, 0

    def match(self, text: str, position: int) -> re.Match[str] | None:
        found = self.pattern.match(text, position)
        self.taken, self.failed = self.taken + 1, self.failed + (found is None)
        return found


@pytest.mark.parametrize("pattern", [files._TOML, files._JSON])
def test_the_guard_uses_no_possessive_loops_which_python_3_11_2_takes_wrongly(pattern: re.Pattern[str]) -> None:
    """Found by the tests above on that version, the one of Debian 12."""
    assert not re.search(r"[*+?}]\+", pattern.pattern)


QUOTES = ('\'""" x" \\\\\'', "''' x' ", '"\\\\"', '"', "'", '"""', "'''", '""', '\\\\"""', '"x\\\\"')


@pytest.mark.parametrize("piece", [*QUOTES, "[]", ".", "\n", "\\", "= ", "{", "#", "# x\n", "a.b=1\n"])
def test_the_guard_takes_every_token_once_and_gives_up_at_a_quote_that_opens_nothing(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a matter of time: a failed look at a quote may reach to the end of the text, so there is one at most."""
    text = piece * 500
    for name, parse in (("_TOML", parse_toml), ("_JSON", parse_json)):
        for begin in ("", "x", '"', "'", "\\"):
            counting = Counting(getattr(files, name))
            with monkeypatch.context() as patched:
                patched.setattr(files, name, counting)
                with contextlib.suppress(ValueError):
                    parse(begin + text)
            assert counting.failed <= 1
            assert counting.taken <= len(text) + 2
