"""New cases are scored where they are, in the site's dialect, as scikit-learn's preparation and torch would."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cocogen.data.own.conform import read_table
from cocogen.data.own.rows import Rows
from cocogen.data.own.site import Site
from cocogen.data.own.sums import Sums
from cocogen.data.own.table import Images, Table
from cocogen.data.own.transform import Transform
from cocogen.errors import ConfigurationError, SiteError, WorkspaceError
from cocogen.learning.exported.model import ExportedModel
from cocogen.learning.exported.tensors import write_tensors
from cocogen.operations import predict as module
from cocogen.operations.predict import predict
from tests.cocogen.data.own import sites, tables
from tests.cocogen.learning.exported.models import exported
from tests.examples import typed

GERMAN = """
[csv]
separator = ";"
decimal = ","
encoding = "cp1252"
missing = ["?"]
[columns]
sex = "Geschlecht"
outcome = "Ausgang"
[values.sex]
f = ["weiblich"]
m = ["männlich"]
[split]
group = "Nr"
"""
NEW = """\
Nr;Name;age;glucose;Geschlecht
7;Müller, "Jörg";40,5;5,5;männlich
8;;70;?;weiblich
9;Weiß;130;7,25;weiblich
"""


def trained(schema=sites.SCHEMA) -> ExportedModel:
    """A model over the schema, by the sums of some rows."""
    table = tables.table(60, of=schema)
    return exported("mlp", preparation=Transform.of(schema, Sums.of(Rows.of(table))), classes=schema.classes)


@pytest.fixture
def german(tmp_path) -> Site:
    (tmp_path / "new.csv").write_bytes(NEW.encode("cp1252"))
    return sites.site_of(tmp_path, "export.csv", GERMAN)


def expected(model: ExportedModel, numbers: list[list[float]], levels: list[int]) -> np.ndarray:
    """By hand: the share of the range, standardized, a missing one the mean; then one-hot levels, then the network."""
    made = model.preparation
    limits = np.array([[f.minimum, f.maximum] for f in made.schema.numbers])
    values = np.clip(np.array(numbers), limits[:, 0], limits[:, 1])
    scaled = ((values - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) - made.mean) / made.deviation
    samples = np.concatenate([np.nan_to_num(scaled), np.eye(2)[levels]], axis=1)
    hidden = np.maximum(samples @ model.state["0.weight"].T + model.state["0.bias"], 0)
    logits = hidden @ model.state["2.weight"].T + model.state["2.bias"]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_cases_are_read_and_written_in_the_sites_dialect_with_all_that_is_no_feature(german, tmp_path):
    model, scored = trained(), tmp_path / "scored.csv"
    result = predict(model, german, tmp_path / "new.csv", scored)
    lines = scored.read_bytes().decode("cp1252").splitlines()
    assert lines[0] == "Nr;Name;p_survived;p_died"
    assert lines[1].startswith('7;"Müller, ""Jörg""";0,')
    assert lines[2].startswith("8;;0,")
    found = [[float(cell.replace(",", ".")) for cell in line.split(";")[-2:]] for line in lines[1:]]
    chances = expected(model, [[40.5, 5.5], [70, np.nan], [130, 7.25]], [1, 0, 0])
    np.testing.assert_allclose(found, chances, atol=1e-6)
    assert result.rows == 3
    assert result.kept == ("Nr", "Name")
    assert result.clipped == {"age": 1}
    assert list(result.likely.values()) == np.bincount(chances.argmax(axis=1), minlength=2).tolist()
    assert stat.S_IMODE(scored.stat().st_mode) == 0o600


def test_chosen_columns_are_kept_in_the_order_in_which_they_are_named(german, tmp_path):
    predict(trained(), german, tmp_path / "new.csv", tmp_path / "scored.tsv", keep=["Name", "Nr", "Name"])
    assert (tmp_path / "scored.tsv").read_bytes().decode("cp1252").splitlines()[0] == "Name\tNr\tp_survived\tp_died"
    for name, reason in (("Mame", "did you mean 'Name'"), ("age", "beside the features it has 'Nr', 'Name'")):
        with pytest.raises(SiteError, match="has no column") as caught:
            predict(trained(), german, tmp_path / "new.csv", tmp_path / "scored.csv", keep=[name])
        assert reason in caught.value.hint


def test_a_label_that_is_there_is_kept_and_not_believed(tmp_path):
    site = sites.write(tmp_path, sites.CSV.replace("survived", "somewhere"))
    predict(trained(), site, site.path, tmp_path / "scored.csv")
    frame = pl.read_csv(tmp_path / "scored.csv")
    assert frame.columns == ["patient", "outcome", "p_survived", "p_died"]
    assert frame["outcome"].to_list() == ["somewhere", "died", "somewhere", "died"]


def test_batches_are_one_file_with_one_header_and_the_same_as_all_at_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [f"{i},{rng.integers(0, 120)},{rng.uniform(0, 50):.3f},{'fm'[i % 2]}" for i in range(50)]
    settings = '[csv]\nencoding = "utf-16"\n'
    text = "\n".join(["id,age,glucose,sex", *rows]) + "\n"
    site = sites.write(tmp_path, text.encode("utf-16"), settings)
    model, seen = trained(), []
    predict(model, site, site.path, tmp_path / "whole.csv")
    monkeypatch.setattr(module, "_BATCH", 7)
    result = predict(model, site, site.path, tmp_path / "parts.csv", progress=lambda *step: seen.append(step))
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()
    assert len((tmp_path / "parts.csv").read_text(encoding="utf-16").splitlines()) == 51
    assert sum(result.likely.values()) == result.rows == 50
    assert seen[1:] == [("scoring", min(50, 7 * k), 50) for k in range(1, 9)]


def test_the_classes_are_as_the_site_reads_and_trains_them(tmp_path):
    """The same rows, read as data to train on, get the same chances."""
    site = sites.write(tmp_path)
    model = trained()
    table = read_table(site, sites.SCHEMA)
    assert isinstance(table, Table)
    predict(model, site, site.path, tmp_path / "scored.csv")
    frame = pl.read_csv(tmp_path / "scored.csv")
    chances = model.probabilities(model.preparation.apply(table))
    np.testing.assert_allclose(frame.select("p_survived", "p_died").to_numpy(), chances, atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "row", "column"),
    [("70,,m", "seventy,,m", 2, "age"), ("70,,m", "70,,x", 2, "sex"), ("40,5.5,f", ",5.5,f", 1, "age")],
)
def test_what_the_schema_does_not_take_is_named_by_row_and_column_and_nothing_is_written(
    tmp_path, old, new, row, column
):
    site = sites.write(tmp_path, sites.CSV.replace(old, new))
    with pytest.raises(SiteError) as caught:
        predict(trained(), site, site.path, tmp_path / "scored.csv")
    assert (caught.value.row, caught.value.column) == (row, column)
    assert not (tmp_path / "scored.csv").exists()


def test_a_column_of_the_schema_that_is_not_there_is_named(tmp_path):
    site = sites.write(tmp_path, sites.CSV.replace("glucose", "sugar"))
    with pytest.raises(SiteError, match="no column 'glucose'"):
        predict(trained(), site, site.path, tmp_path / "scored.csv")


def test_a_name_that_a_chance_would_take_is_refused(tmp_path):
    site = sites.write(tmp_path, sites.CSV.replace("patient", "p_died"))
    with pytest.raises(SiteError, match="has a column 'p_died' already"):
        predict(trained(), site, site.path, tmp_path / "scored.csv")
    predict(trained(), site, site.path, tmp_path / "scored.csv", keep=["outcome"])


def test_a_model_of_a_named_data_set_has_no_schema_to_read_by(tmp_path):
    site = sites.write(tmp_path)
    with pytest.raises(ConfigurationError, match="a named data set, which has no schema") as caught:
        predict(exported(), site, site.path, tmp_path / "scored.csv")
    assert "only consortia of own data" in caught.value.hint


def test_where_and_how_it_is_written_must_make_sense(tmp_path):
    site = sites.write(tmp_path)
    with pytest.raises(ConfigurationError, match="no file of text by its name"):
        predict(trained(), site, site.path, tmp_path / "scored.xlsx")
    with pytest.raises(ConfigurationError, match="is the file of the cases itself"):
        predict(trained(), site, site.path, tmp_path / "export.csv")
    with pytest.raises(WorkspaceError, match=r"the scored cases .* cannot be written"):
        predict(trained(), site, site.path, tmp_path / "none" / "scored.csv")
    commas = sites.site_of(tmp_path, "export.csv", '[csv]\ndecimal = ","\n')
    (tmp_path / "new.tsv").write_text("age\tglucose\tsex\n40\t5,5\tf\n")
    with pytest.raises(ConfigurationError, match="commas between its columns and within its numbers"):
        predict(trained(), commas, tmp_path / "new.tsv", tmp_path / "scored.csv")
    predict(trained(), commas, tmp_path / "new.tsv", tmp_path / "scored.tsv")


def test_a_class_that_the_sites_encoding_cannot_write_is_named(german, tmp_path):
    schema = sites.schema_of(classes=["überlebt", "†"])
    with pytest.raises(SiteError, match="which the encoding") as caught:
        predict(trained(schema), sites.site_of(tmp_path, "x", GERMAN.replace("cp1252", "latin-1")),
                tmp_path / "new.csv", tmp_path / "scored.csv")  # fmt: skip
    assert "--keep" in caught.value.hint
    assert not (tmp_path / "scored.csv").exists()


def test_images_are_told_apart_by_their_names_or_numbers(tmp_path):
    image = pytest.importorskip("PIL.Image")
    trained_on = tables.images(20)
    model = exported("mlp", preparation=Transform.of(trained_on.schema, Sums.of(Rows.of(trained_on))),
                     classes=trained_on.schema.classes)  # fmt: skip
    new = tables.images(3, seed=5)
    assert isinstance(new, Images)
    folder = tmp_path / "scans"
    folder.mkdir()
    pixels = new.pixels.reshape(-1, *trained_on.schema.shape)
    for name, own in zip(("b.png", "a.png", "c.png"), pixels, strict=True):
        image.fromarray(own.transpose(1, 2, 0)).save(folder / name)
    np.savez(tmp_path / "scans.npz", features=pixels)
    site = sites.site_of(tmp_path, "scans")
    predict(model, site, folder, tmp_path / "scored.csv")
    frame = pl.read_csv(tmp_path / "scored.csv")
    assert frame["image"].to_list() == ["a.png", "b.png", "c.png"]
    chances = model.probabilities(model.preparation.apply(new))
    np.testing.assert_allclose(frame[:, 1:].to_numpy(), chances[[1, 0, 2]], atol=1e-6)
    predict(model, site, tmp_path / "scans.npz", tmp_path / "numbered.csv")
    frame = pl.read_csv(tmp_path / "numbered.csv")
    assert frame["image"].to_list() == [1, 2, 3]
    np.testing.assert_allclose(frame[:, 1:].to_numpy(), chances, atol=1e-6)


class TestCommand:
    def test_an_exported_file_scores_without_any_consortium(self, german, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_tensors(Path("model.safetensors"), trained())
        arguments = ("predict", "new.csv", "--site", "site.toml", "-o", "scored.csv", "--model", "model.safetensors")
        code, out, err = typed(*arguments)
        assert (code, err.count("scoring")) == (0, 1)
        assert "3 cases of new.csv, by the model of clinics after round 3" in out
        assert "beyond the agreed range, and taken as its end: age 1" in out
        assert "written to scored.csv, which your account alone can read" in out
        code, out, _ = typed(*arguments, "--keep", "Nr", "--format", "json")
        data = json.loads(out)["data"]
        assert (data["rows"], data["kept"], data["columns"]) == (3, ["Nr"], ["p_survived", "p_died"])
        assert "Müller" not in out

    def test_a_graph_or_no_model_is_a_typed_error(self, german, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        arguments = ("predict", "new.csv", "--site", "site.toml", "-o", "scored.csv")
        code, _, err = typed(*arguments, "--model", "model.onnx")
        assert code == 2
        assert "an .onnx file is for other programs" in err
        code, _, err = typed(*arguments)
        assert code == 2
        assert "deploy one first" in err
