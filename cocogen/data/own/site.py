"""The site file: how one organization's own file becomes rows of the agreed schema. Private, and never sent.

Nothing is guessed: a name, a unit, a separator or a value that differs from the schema's is said here, or it is an
error. Left out: reading the data (``reading``), and applying what is said here (``conform``).
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.terms.reading import read_terms, validate_terms
from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = ["ATTESTER", "CLASS", "CsvSettings", "Site", "check_site", "load_site", "near"]

ATTESTER = "attester"
"""What ``organization`` is called in the site file of the attester, who brings the holdout."""
CLASS = "class"
"""What the label of images is called in ``[values.class]``: their schema names none."""

_LONGEST = 200
_HINT = 'correct these fields; the section "The site file" of docs/own-data.md has each of them'


def _text(value: object) -> object:
    """The text of a value that TOML lets one write without quotes, as a file has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


Own = Annotated[str, Field(min_length=1, max_length=_LONGEST, strict=True)]
Value = Annotated[str, BeforeValidator(_text), Field(max_length=_LONGEST, strict=True)]
Character = Annotated[str, Field(pattern=r"^[\x00-\x7f]$", strict=True)]
_Number = Annotated[float, Field(ge=-1e15, le=1e15)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CsvSettings(_Section):
    """``[csv]``: how a text file writes its cells.

    ``separator``: a comma, or a tab where the file's name ends in .tsv or .tab. ``thousands``: the sign between groups
    of three digits, none by default. ``encoding``: a name that Python knows. ``missing``: what stands for no value, in
    cells of text of any kind of file; an empty cell always does. ``quote``: "" where the file has none.
    """

    separator: Character | None = None
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'", "\u00a0", "\u202f", "\u2019"] | None = None
    encoding: Annotated[str, Field(max_length=40, strict=True)] = "utf-8"
    missing: Annotated[tuple[Value, ...], Field(max_length=100)] = ()
    quote: Annotated[str, Field(pattern=r"^[\x21-\x7e]?$", strict=True)] = '"'

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            "\u0020".encode(value).decode(value)
            return codecs.lookup(value).name
        except (LookupError, UnicodeError, ValueError, TypeError):
            raise ValueError('an encoding of text, such as "utf-8", "cp1252", "latin-1" or "utf-16"') from None

    @field_validator("separator")
    @classmethod
    def _separates(cls, value: str | None) -> str | None:
        if value is not None and (value in "\r\n\"'.+-" or value.isalnum()):
            raise ValueError('one character, such as ";", ",", "|" or a tab ("\\t")')
        return value

    @model_validator(mode="after")
    def _has_a_sign_for_each(self) -> CsvSettings:
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both {self.decimal!r}, but must differ")
        if self.quote and self.quote == self.separator:
            raise ValueError(f"separator and quote are both {self.quote!r}, but must differ")
        return self


class ExcelSettings(_Section):
    """``[excel]``: the sheet that holds the data; needed where there are several."""

    sheet: Own | None = None


class SplitSettings(_Section):
    """``[split]``: the share of rows that are never trained on, and the own column whose rows stay together."""

    validation: Annotated[float, Field(ge=0.0, le=0.9)] = 0.2
    group: Own | None = None


class Site(_Section):
    """One organization's site file.

    ``data``: a path, relative to the site file. ``columns``: schema name to own name, where they differ. ``values``:
    schema name of a category or of the label, to a level or class, to the own values of it; what is listed replaces
    the level's own name. ``factors``, ``offsets``: own number times factor plus offset is in the schema's unit.
    ``identifiers``: own columns that tell rows apart for the people at the site; they are never learned from.
    """

    organization: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    data: Annotated[str, Field(min_length=1, max_length=4096, strict=True)]
    csv: CsvSettings = CsvSettings()
    excel: ExcelSettings = ExcelSettings()
    columns: dict[str, Own] = Field(default_factory=dict)
    values: dict[str, dict[str, Annotated[tuple[Value, ...], Field(min_length=1, max_length=10_000)]]] = Field(
        default_factory=dict
    )
    factors: dict[str, _Number] = Field(default_factory=dict)
    offsets: dict[str, _Number] = Field(default_factory=dict)
    split: SplitSettings = SplitSettings()
    identifiers: tuple[Own, ...] = ()
    _file: str = PrivateAttr(default="")

    @field_validator("factors")
    @classmethod
    def _scales(cls, values: dict[str, float]) -> dict[str, float]:
        if any(not abs(factor) >= 1e-15 for factor in values.values()):
            raise ValueError("factors other than 0")
        return values

    @model_validator(mode="after")
    def _says_everything_once(self) -> Site:
        owned = list(self.columns.values())
        if twice := sorted({name for name in owned if owned.count(name) > 1}):
            raise ValueError(f"columns: own column {twice[0]!r} stands for two of the schema")
        for name, levels in self.values.items():
            listed = [value for own in levels.values() for value in own]
            if doubled := sorted({value for value in listed if listed.count(value) > 1}):
                raise ValueError(f"values.{name}: own value {doubled[0]!r} stands twice")
        return self

    @property
    def file(self) -> str:
        """The site file that was read, for messages."""
        return self._file or "site.toml"

    @property
    def path(self) -> Path:
        """The file or folder of data."""
        return Path(self._file).parent / Path(self.data).expanduser()

    @property
    def is_attester(self) -> bool:
        """Whether this is the attester's, whose rows are all registered as its holdout; its split says which of them
        judge models, and which measure generators and updates."""
        return self.organization == ATTESTER

    def own_name(self, name: str) -> str:
        """What the column ``name`` of the schema is called in the own file."""
        return self.columns.get(name, name)

    def own_values(self, name: str, levels: Iterable[str]) -> dict[str, int]:
        """Index of the level for each own value of the category or label ``name``."""
        said = self.values.get(name, {})
        return {own: index for index, level in enumerate(levels) for own in said.get(level, (level,))}


def load_site(path: str | Path) -> Site:
    """Read and validate a site file.

    Raises
    ------
    ConfigurationError
        Naming the file and every field at fault, its value and what is allowed.
    """
    _, document = read_terms(path, hint=_HINT)
    site = validate_terms(Site, document, path, message="the site file is not valid:", hint=_HINT)
    site._file = str(path)
    return site


def check_site(site: Site, schema: TableSchema | ImageSchema) -> None:
    """Every name of the schema that a site file uses must be there; ConfigurationError names all that are not."""
    problems = list(_table_problems(site, schema) if isinstance(schema, TableSchema) else _image_problems(site, schema))
    if problems:
        raise ConfigurationError(
            "the site file does not fit the schema of the terms:", file=site.file, problems=problems, hint=_HINT
        )


def near(name: str, names: Iterable[str], count: int = 1) -> list[str]:
    """The names that ``name`` may have been meant to be, nearest first: but for case and signs, or spelt alike."""
    plain: dict[str, str] = {}
    for other in names:
        plain.setdefault(_plain(other), other)
    return [plain[found] for found in difflib.get_close_matches(_plain(name), plain, n=count, cutoff=0.75)]


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum()) or name


def _table_problems(site: Site, schema: TableSchema) -> Iterable[FieldProblem]:
    numbers = {feature.name for feature in schema.numbers}
    named = {feature.name: feature.levels for feature in schema.categories} | {schema.label: schema.classes}
    yield from _unknown("columns", site.columns, numbers | set(named))
    yield from _unknown("factors", site.factors, numbers)
    yield from _unknown("offsets", site.offsets, numbers)
    yield from _value_problems(site, named)
    owned: dict[str, str] = {}
    for name in (schema.label, *(feature.name for feature in schema.feature)):
        own = site.own_name(name)
        if own in owned:
            yield FieldProblem(f"columns.{name}", repr(own), f"the own column is that of {owned[own]!r} already")
        owned[own] = name
    if site.split.group is not None and owned.get(site.split.group) in numbers:
        yield FieldProblem("split.group", repr(site.split.group), "a column that is no number of the schema")


def _image_problems(site: Site, schema: ImageSchema) -> Iterable[FieldProblem]:
    for section in ("columns", "factors", "offsets"):
        if said := getattr(site, section):
            yield FieldProblem(section, repr(said), "none: the schema is one of images")
    yield from _value_problems(site, {CLASS: schema.classes})


def _value_problems(site: Site, named: Mapping[str, tuple[str, ...]]) -> Iterable[FieldProblem]:
    yield from _unknown("values", site.values, named)
    for name, levels in site.values.items():
        if name not in named:
            continue
        yield from _unknown(f"values.{name}", levels, named[name])
        own: dict[str, str] = {}
        for level in named[name]:
            for value in levels.get(level, (level,)):
                if value in own:
                    valid = f"stands for {own[value]!r} already; list the own values of both"
                    yield FieldProblem(f"values.{name}.{level}", repr(value), valid)
                own[value] = level


def _unknown(section: str, said: Iterable[str], names: Iterable[str]) -> Iterable[FieldProblem]:
    known = sorted(names)
    for name in said:
        if name not in known:
            meant = near(name, known)
            valid = f"did you mean {meant[0]!r}?" if meant else f"one of {', '.join(map(repr, known[:20])) or 'none'}"
            yield FieldProblem(f"{section}.{name}", "there", f"not in the schema; {valid}")
