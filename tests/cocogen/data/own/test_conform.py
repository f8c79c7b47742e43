from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own import reading
from cocogen.data.own.conform import conform, file_digest, read_table, read_unlabelled
from cocogen.errors import SiteError
from tests.cocogen.data.own.sites import CSV, SCHEMA, rows_of, schema_of, site_of, write

NUMBERS = np.array([[40, 5.5], [70, np.nan], [120, 7.25], [55, 6]])


def fails(tmp_path: Path, content: str | bytes, config: str = "", schema: Any = SCHEMA, **options: Any) -> SiteError:
    with pytest.raises(SiteError) as caught:
        read_table(write(tmp_path, content, config), schema, **options)
    error = caught.value
    assert str(tmp_path) in error.file
    assert error.hint
    return error


def test_a_table_is_conformed_to_the_schema_in_the_order_of_its_file(tmp_path: Path) -> None:
    table = rows_of(write(tmp_path, config := CSV))
    assert np.array_equal(table.numbers, NUMBERS, equal_nan=True)
    assert table.numbers.dtype == np.float64
    assert (table.levels.tolist(), table.levels.dtype) == ([[0], [1], [0], [1]], np.int32)
    assert (table.labels.tolist(), table.labels.dtype) == ([0, 1, 0, 1], np.int64)
    assert table.clipped.tolist() == [1, 0]
    assert table.groups is None
    assert len(config.splitlines()) == len(table) + 1


GERMAN = """\
Patient;Alter;Zucker;m/w;Ausgang
a1;40;99,099099;w;"lebend"
a2;1.070,0;k.A.; m;verstorben
a3;130;-;w ;0
a4;55;;m;verstorben
"""
GERMAN_SITE = """
    [csv]
    separator = ";"
    decimal = ","
    thousands = "."
    missing = ["k.A.", "-"]
    [columns]
    age = "Alter"
    glucose = "Zucker"
    sex = "m/w"
    outcome = "Ausgang"
    [values.outcome]
    survived = ["lebend", 0]
    died = ["verstorben"]
    [values.sex]
    f = ["w"]
    [factors]
    glucose = 0.0555
    [offsets]
    age = -30
"""


def test_own_names_units_values_and_signs_are_the_sites_business(tmp_path: Path) -> None:
    table = rows_of(write(tmp_path, GERMAN, GERMAN_SITE))
    assert table.numbers[:, 0].tolist() == [10, 120, 100, 25]
    assert table.numbers[0, 1] == pytest.approx(5.5)
    assert np.isnan(table.numbers[1:, 1]).all()
    assert table.levels.ravel().tolist() == [0, 1, 0, 1]
    assert table.labels.tolist() == [0, 1, 0, 1]
    assert table.clipped.tolist() == [1, 0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_every_encoding_reads_alike(tmp_path: Path, encoding: str) -> None:
    text = CSV.replace("sex", "Größe").replace(",f,", ",weiß,")
    config = f'[csv]\nencoding = "{encoding}"\n[columns]\nsex = "Größe"\n[values.sex]\nf = ["weiß"]\n'
    assert rows_of(write(tmp_path, text.encode(encoding), config)).levels.ravel().tolist() == [0, 1, 0, 1]


def frame() -> pl.DataFrame:
    return pl.read_csv(io.StringIO(CSV))


def save_npz(path: Path) -> None:
    arrays = {name: frame()[name].to_numpy() for name in ("age", "glucose", "sex", "outcome", "patient")}
    np.savez(
        path, **{name: values.astype(str) if values.dtype == object else values for name, values in arrays.items()}
    )


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("t.parquet", lambda path: frame().write_parquet(path)),
        ("t.arrow", lambda path: frame().write_ipc(path)),
        ("t.feather", lambda path: frame().with_columns(pl.col("sex").cast(pl.Categorical)).write_ipc(path)),
        ("t.xlsx", lambda path: frame().write_excel(path)),
        ("t.tsv", lambda path: frame().write_csv(path, separator="\t")),
        ("t.npz", save_npz),
    ],
)
def test_every_kind_of_file_reads_alike(tmp_path: Path, name: str, save: Any) -> None:
    save(tmp_path / name)
    table = rows_of(site_of(tmp_path, name, '[split]\ngroup = "patient"'))
    assert np.array_equal(table.numbers, NUMBERS, equal_nan=True)
    assert table.levels.ravel().tolist() == [0, 1, 0, 1]
    assert table.labels.tolist() == [0, 1, 0, 1]
    assert table.groups is not None
    assert table.groups.tolist() == [0, 1, 2, 3]


def test_typed_columns_become_levels_as_they_would_be_written(tmp_path: Path) -> None:
    values = {"flag": [True, False, True], "code": [1.0, 2.0, None], "y": [0, 1, 0], "x": [1, 2, 3]}
    pl.DataFrame(values).write_parquet(tmp_path / "t.parquet")
    schema = schema_of(
        {"name": "flag", "kind": "category", "levels": ["false", "true"]},
        {"name": "code", "kind": "category", "levels": ["1", "2"], "missing": "level"},
        {"name": "x", "kind": "number", "minimum": 0, "maximum": 9},
        label="y",
        classes=["0", "1"],
    )
    table = rows_of(site_of(tmp_path, "t.parquet"), schema)
    assert table.levels.tolist() == [[1, 0], [0, 1], [1, -1]]
    assert table.labels.tolist() == [0, 1, 0]


def test_features_and_labels_of_an_npz_are_the_columns_of_the_schema(tmp_path: Path) -> None:
    features = np.array([[40, 5.5, 0], [70, np.nan, 1], [130, 7.25, 0]])
    np.savez(tmp_path / "t.npz", features=features, labels=np.array(["survived", "died", "died"]))
    table = rows_of(site_of(tmp_path, "t.npz", '[values.sex]\nf = ["0"]\nm = ["1"]'))
    assert np.array_equal(table.numbers, [[40, 5.5], [70, np.nan], [120, 7.25]], equal_nan=True)
    assert table.levels.ravel().tolist() == [0, 1, 0]


@given(
    values=st.lists(st.floats(-1e15, 1e15, allow_nan=False), min_size=2, max_size=20),
    decimal=st.sampled_from([".", ","]),
    separator=st.sampled_from([";", "\t", "|"]),
    thousands=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_numbers_survive_every_dialect_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], decimal: str, separator: str, thousands: bool
) -> None:
    folder = tmp_path_factory.mktemp("dialect")
    sign = "'"

    def cell(value: float) -> str:
        text = repr(value)
        if thousands and "e" not in text:
            whole, rest = text.split(".")
            text = f"{int(whole):,}".replace(",", sign) + "." + rest
            text = "-" + text if value < 0 and not text.startswith("-") else text
        return text.replace(".", decimal)

    lines = [separator.join((cell(value), "yn"[row % 2])) for row, value in enumerate(values)]
    content = "\n".join([separator.join(("x", "y")), *lines])
    toml = separator.replace("\t", "\\t")
    config = f'[csv]\nseparator = "{toml}"\ndecimal = "{decimal}"\n'
    config += f'thousands = "{sign}"\n' if thousands else ""
    feature = {"name": "x", "kind": "number", "minimum": -1e15, "maximum": 1e15}
    schema = schema_of(feature, label="y", classes=["y", "n"])
    table = rows_of(write(folder, content, config), schema)
    assert table.numbers.ravel().tolist() == values


def test_rows_beyond_a_batch_keep_their_order_and_their_numbers(tmp_path: Path) -> None:
    count = 120_001
    lines = "".join(
        f"{row % 100},{row / 1024},{'fm'[row % 2]},{['survived', 'died'][row % 3 == 0]}\n" for row in range(count)
    )
    head = "age,glucose,sex,outcome\n"
    schema = schema_of(
        {"name": "age", "kind": "number", "minimum": 0, "maximum": 120},
        {"name": "glucose", "kind": "number", "minimum": 0, "maximum": 200},
        {"name": "sex", "kind": "category", "levels": ["f", "m"]},
    )
    table = rows_of(write(tmp_path, head + lines), schema)
    assert np.array_equal(table.numbers[:, 1], np.arange(count) / 1024)
    assert np.array_equal(table.levels.ravel(), np.arange(count) % 2)
    wrong = lines.replace(f"{100_000 / 1024},", "97.65 mg,", 1)
    error = fails(tmp_path, head + wrong, schema=schema)
    assert (error.row, error.column, error.value) == (100_001, "glucose", "97.65 mg")


CELLS = [
    ("12.03.2021", "", "is a date", "[columns]"),
    ("2021-03-12", "", "is a date", "[columns]"),
    ("2021-03-12 10:15:00", "", "is a date", "[columns]"),
    ('"1,234"', "", "thousands", 'thousands = ","'),
    ('"1,234.5"', "", "thousands", 'thousands = "," and decimal = "."'),
    ("1.234.567", "", "thousands", 'thousands = "."'),
    ("1 234", "", "thousands", 'thousands = " "'),
    ("1'234.5", "", "thousands", 'thousands = "\'" and decimal'),
    ('"5,5"', "", "decimal comma", 'decimal = ","'),
    ('"0,873"', "", "decimal comma", 'decimal = ","'),
    ("5.5", '[csv]\ndecimal = ","', "decimal point", "decimal"),
    ("1.234", '[csv]\ndecimal = ","', "thousands", 'thousands = "."'),
    ("NA", "", "no number", 'missing = ["NA"]'),
    ("NaN", "", "no number", 'missing = ["NaN"]'),
    ("#N/A", "", "no number", 'missing = ["#N/A"]'),
    ("inf", "", "infinite", "correct the cell"),
    ("-Infinity", "", "infinite", "correct the cell"),
    ("<5", "", "more than a number", "without '<'"),
    ("5.5 mg/dl", "", "more than a number", "[factors]"),
    ("true", "", "no number", "correct the cell"),
    ("1_000", "", "more than a number", "without"),
    ("0x1F", "", "more than a number", "without"),
    ("١٢", "", "no number", "correct the cell"),
]


@pytest.mark.parametrize(("cell", "config", "said", "hint"), CELLS)
def test_a_cell_that_is_no_number_is_named_with_what_would_help(
    tmp_path: Path, cell: str, config: str, said: str, hint: str
) -> None:
    error = fails(tmp_path, CSV.replace("5.5", "5").replace("7.25", cell), config)
    assert (error.row, error.column, error.value) == (3, "glucose", cell.strip('"'))
    assert said in error.message
    assert hint in error.hint


def test_a_number_beyond_floats_is_infinite(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace("7.25", "1e999"))
    assert (error.row, error.column) == (3, "glucose")
    assert "infinite" in error.message


def test_infinities_of_typed_files_are_refused_and_not_clipped(tmp_path: Path) -> None:
    frame().with_columns(glucose=pl.lit(np.inf)).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(SiteError, match="is infinite; so 4 of 4 cells"):
        rows_of(site_of(tmp_path, "t.parquet"))


def test_cells_of_a_number_that_factors_carry_beyond_floats_are_infinite(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace("7.25", "1e300"), "[factors]\nglucose = 1e15")
    assert (error.row, error.column) == (3, "glucose")


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx"])
def test_dates_in_typed_files_are_no_numbers(tmp_path: Path, name: str) -> None:
    dated = frame().with_columns(glucose=pl.date(2021, 3, 12))
    dated.write_excel(tmp_path / name) if name == "t.xlsx" else dated.write_parquet(tmp_path / name)
    with pytest.raises(SiteError, match="is a date") as caught:
        rows_of(site_of(tmp_path, name))
    assert caught.value.column == "glucose"


def test_words_among_the_numbers_of_a_workbook_are_not_lost(tmp_path: Path) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(tmp_path / "t.xlsx")
    sheet = book.add_worksheet()
    rows = [["age", "glucose", "sex", "outcome"], [40, 1 / 3, "f", "survived"], [50, "n/a", "m", "died"]]
    for place, row in enumerate(rows):
        sheet.write_row(place, 0, row)
    book.close()
    with pytest.raises(SiteError, match="'n/a' is no number") as caught:
        rows_of(site_of(tmp_path, "t.xlsx"))
    assert (caught.value.row, caught.value.column) == (2, "glucose")
    table = rows_of(site_of(tmp_path, "t.xlsx", '[csv]\nmissing = ["n/a"]'))
    assert table.numbers[0, 1] == pytest.approx(1 / 3, rel=1e-14)
    assert np.isnan(table.numbers[1, 1])


def test_an_unknown_level_is_listed_with_how_often_it_stands(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace(",f,", ",w,"))
    assert "'w' (2 times)" in error.message
    assert "allowed: 'f', 'm'" in error.message
    assert (error.row, error.column, error.value) == (1, "sex", "w")
    assert '[values."sex"]' in error.hint


def test_an_unknown_class_is_listed_with_the_class_that_may_be_meant(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace("died", "Died"))
    assert "'Died' (2 times)" in error.message
    assert '"died" = ["Died"]' in error.hint


def test_text_read_in_a_wrong_encoding_is_recognized(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace(",f,", ",weiß,"), '[csv]\nencoding = "cp1252"')
    assert "looks like 'weiß' read wrongly: set [csv] encoding = \"utf-8\"" in error.hint


def test_missing_values_are_refused_where_the_schema_says_so(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace(",40,", ",,"))
    assert (error.row, error.column) == (1, "age")
    assert "refuses missing values; so 1 of 4 rows" in error.message
    assert 'missing = "mean"' in error.hint
    assert 'missing = "level"' in fails(tmp_path, CSV.replace(",f,", ",,")).hint
    assert "missing =" not in fails(tmp_path, CSV.replace(",died", ",")).hint


def test_a_missing_category_is_its_own_level_where_the_schema_says_so(tmp_path: Path) -> None:
    schema = schema_of({"name": "sex", "kind": "category", "levels": ["f", "m"], "missing": "level"})
    table = rows_of(write(tmp_path, CSV.replace(",f,", ",? ,"), '[csv]\nmissing = ["?"]'), schema)
    assert table.levels.ravel().tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize(
    ("content", "config", "said", "hint"),
    [
        ("", "", "is empty", "export"),
        ("age,glucose,sex,outcome\n", "", "has no rows for 2 classes", "more"),
        ("age,glucose,sex,outcome\n1,2,f,died\n", "", "has 1 rows for 2 classes", "more"),
        ("\n", "", "has no names", "names"),
        (CSV.replace("sex", "age"), "", "2 columns of the name 'age'", "name of its own"),
        (CSV.replace(",died", ",survived"), "", "every row is of the class 'survived'", "constant"),
        (CSV.replace("glucose", "Glucose"), "", "has no column 'glucose', which the schema", '"glucose" = "Glucose"'),
        (CSV.replace("glucose", "zucker"), "", "has no column 'glucose'", "'zucker'"),
        (CSV, '[columns]\nage = "alter"', "has no column 'alter', which [columns] says is 'age'", '"age" = "age"'),
        (CSV, '[split]\ngroup = "Patient"', "no column 'Patient', which [split] group", "did you mean 'patient'?"),
        (CSV.replace(",", ";"), "", "has one column only, by the separator ','", 'separator = ";"'),
        (CSV.replace(",", "\t"), "", "has one column only", 'separator = "\\t"'),
        ("sep=,\n" + CSV, "", "begins with the line 'sep=,'", "remove"),
        (CSV.replace("\n", "\r"), "", "carriage returns alone", "line feed"),
        (CSV.encode("utf-16"), "", "is UTF-16", 'encoding = "utf-16"'),
        (b"\x00\x01\x02\x00" + CSV.encode(), "", "zero bytes", "Parquet"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(
    tmp_path: Path, content: str | bytes, config: str, said: str, hint: str
) -> None:
    error = fails(tmp_path, content, config)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("old", "new", "row", "said"),
    [
        ("a2,70,,m,died", "a2,70,,m", 2, "has 4 fields"),
        ("a2,70,,m,died", "a2,70,,m,died,", 2, "has 6 fields"),
        ("a3,130", "\na3,130", 3, "is a blank line"),
        ("a3,", '"a3,', 3, "fields"),
    ],
)
def test_a_row_of_another_length_is_named(tmp_path: Path, old: str, new: str, row: int, said: str) -> None:
    error = fails(tmp_path, CSV.replace(old, new))
    assert error.row == row
    assert said in error.message


def test_separators_and_lines_within_quotes_are_no_rows(tmp_path: Path) -> None:
    table = rows_of(write(tmp_path, CSV.replace("a2,", '"a,2\nand ""more""",')))
    assert table.numbers[:, 0].tolist() == [40, 70, 120, 55]


@pytest.mark.parametrize("config", ["", '[csv]\nencoding = "utf-8"', '[csv]\ndecimal = ","'])
def test_mixed_encodings_are_named_by_row_and_column(tmp_path: Path, config: str) -> None:
    content = CSV.replace(",f,", ",weiß,").encode()
    broken = content.replace(b"a3,130,7.25,wei\xc3\x9f", b"a3,130,7,wei\xdf").replace(b"5.5", b"5")
    config += '\n[values.sex]\nf = ["weiß"]'
    error = fails(tmp_path, broken, config)
    assert "is not utf-8 throughout" in error.message
    assert (error.row, error.column) == (3, "sex")
    assert "\\udcdf" in str(error.value)
    assert 'encoding, such as "cp1252"' in error.hint


def test_bytes_that_an_encoding_has_not_are_named_by_row(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.encode().replace(b"a3,", b"\x81,"), '[csv]\nencoding = "cp1252"')
    assert "is not cp1252 throughout" in error.message
    assert error.row == 3


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write(tmp_path)
    opened = reading.Delimited.batches

    def changing(self: Any, *arguments: Any, **options: Any) -> Any:
        yield from opened(self, *arguments, **options)
        with site.path.open("a") as stream:
            stream.write("a5,41,5,f,died\n")

    monkeypatch.setattr(reading.Delimited, "batches", changing)
    with pytest.raises(SiteError, match="changed while it was read"):
        rows_of(site)


def test_a_group_is_numbered_and_must_be_told_for_every_row(tmp_path: Path) -> None:
    config = '[split]\ngroup = "patient"'
    groups = rows_of(write(tmp_path, CSV.replace("a3", "a1"), config)).groups
    assert groups is not None
    assert (groups[0] == groups[2], len(set(groups.tolist()))) == (True, 3)
    error = fails(tmp_path, CSV.replace("a3", ""), config)
    assert (error.row, error.column) == (3, "patient")


def test_hostile_text_is_cut_and_kept_from_the_message_raw(tmp_path: Path) -> None:
    error = fails(tmp_path, CSV.replace(",f,", ",\x1b[31m" + "x" * 5000 + ","))
    assert "\x1b" not in error.message
    assert len(str(error)) < 1000


def test_nothing_is_there_or_of_no_known_kind(tmp_path: Path) -> None:
    for name, said in (("none.csv", "is not there"), ("data.sav", "of no kind"), ("folder", "is a folder")):
        (tmp_path / "data.sav").write_text("x")
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(SiteError, match=said):
            rows_of(site_of(tmp_path, name))
    for name in ("t.parquet", "t.arrow", "t.xlsx", "t.npz"):
        (tmp_path / name).write_text(CSV)
        with pytest.raises(SiteError, match=name):
            rows_of(site_of(tmp_path, name))


def test_a_workbook_of_several_sheets_asks_which(tmp_path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        for name in ("notes", "data"):
            frame().write_excel(book, worksheet=name)
    with pytest.raises(SiteError, match="has 2 sheets: 'notes', 'data'"):
        rows_of(site_of(tmp_path, "t.xlsx"))
    with pytest.raises(SiteError, match="has no sheet 'x'"):
        rows_of(site_of(tmp_path, "t.xlsx", '[excel]\nsheet = "x"'))
    assert len(rows_of(site_of(tmp_path, "t.xlsx", '[excel]\nsheet = "data"'))) == 4


def test_all_problems_of_a_file_are_found_in_one_reading(tmp_path: Path) -> None:
    content = CSV.replace("7.25", "high").replace(",m,", ",x,").replace(",40,", ",,")
    problems = conform(write(tmp_path, content), SCHEMA).problems
    assert [problem.column for problem in problems] == ["age", "glucose", "sex"]


def test_rows_without_a_label_keep_what_stands_beside_them(tmp_path: Path) -> None:
    site = write(tmp_path, CSV, '[split]\ngroup = "patient"')
    (tmp_path / "new.csv").write_text("age,patient,glucose,sex,note\n40,007,5,f,\n50,008,,m,ok\n")
    table, beside = read_unlabelled(site, tmp_path / "new.csv", SCHEMA)
    assert np.array_equal(table.numbers, [[40, 5], [50, np.nan]], equal_nan=True)
    assert table.labels.tolist() == [-1, -1]
    assert beside.rows() == [("007", None), ("008", "ok")]
    assert beside.columns == ["patient", "note"]


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    import hashlib

    assert file_digest(write(tmp_path)) == hashlib.sha256(CSV.encode()).hexdigest()
    with pytest.raises(SiteError, match="is not there"):
        file_digest(site_of(tmp_path, "none.csv"))


def test_a_file_of_more_rows_than_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = reading.Delimited.__init__

    def endless(self: Any, *arguments: Any) -> None:
        opened(self, *arguments)
        self.bound = 2**58

    monkeypatch.setattr(reading.Delimited, "__init__", endless)
    assert "do not fit in memory" in fails(tmp_path, CSV).message
