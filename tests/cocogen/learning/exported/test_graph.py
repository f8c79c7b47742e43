"""An ONNX graph gives what our own model gives, in an evaluator that is not ours."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from torch import nn

from cocogen.data.own.rows import Rows
from cocogen.data.own.sums import Sums
from cocogen.data.own.transform import Transform
from cocogen.errors import ConfigurationError, LearningError, WorkspaceError
from cocogen.learning.exported.graph import build_graph, write_graph
from tests.cocogen.data.own import tables
from tests.cocogen.learning.exported.models import exported, raw

MODELS = [
    ("logistic", (5,)),
    ("mlp", (5,)),
    ("logistic", (1, 4, 3)),
    ("mlp", (2, 4, 3)),
    ("lenet", (1, 16, 18)),
    ("lenet", (3, 20, 16)),
    pytest.param("resnet18", (2, 8, 8), marks=pytest.mark.slow),
]


def evaluated(made: onnx.ModelProto, **inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, label = ReferenceEvaluator(made).run(["probabilities", "label"], inputs)
    return probabilities, label


@pytest.mark.parametrize(("model", "shape"), MODELS)
def test_every_model_gives_the_same_probabilities_to_a_millionth(model, shape, tmp_path):
    own, samples = exported(model, shape), raw(shape, 3 if model == "resnet18" else 12)
    write_graph(tmp_path / "model.onnx", own)
    made = onnx.load(tmp_path / "model.onnx")
    name = "images" if len(shape) == 3 else "features"
    found, label = evaluated(made, **{name: samples})
    expected = own.probabilities(own.preparation.apply(samples.reshape(len(samples), -1)))
    assert np.ptp(expected, axis=0).min() > 1e-3, "samples differ in what they get"
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(label, expected.argmax(axis=1))


def own_table(rows: int = 60):
    table = tables.table(rows)
    transform = Transform.of(table.schema, Sums.of(Rows.of(table)))
    return table, transform


@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_the_preparation_of_a_schemas_table_is_in_the_graph(model):
    table, transform = own_table()
    own = exported(model, preparation=transform, classes=table.schema.classes)
    found, _ = evaluated(build_graph(own), numbers=table.numbers, levels=table.levels.astype(np.int64))
    np.testing.assert_allclose(found, own.probabilities(transform.apply(table)), atol=1e-6)
    wild = table.numbers * 1e3
    clipped = np.clip(wild, [f.minimum for f in table.schema.numbers], [f.maximum for f in table.schema.numbers])
    both = [evaluated(build_graph(own), numbers=x, levels=table.levels.astype(np.int64))[0] for x in (wild, clipped)]
    np.testing.assert_array_equal(*both)


def test_a_schemas_images_are_bytes():
    images = tables.images()
    transform = Transform.of(images.schema, Sums.of(Rows.of(images)))
    own = exported("mlp", preparation=transform, classes=images.schema.classes)
    found, _ = evaluated(build_graph(own), images=images.pixels.reshape(-1, *images.schema.shape))
    np.testing.assert_allclose(found, own.probabilities(transform.apply(images)), atol=1e-6)


@pytest.mark.parametrize("what", ["number", "level", "unknown level"])
def test_what_the_schema_refuses_has_no_probability(what):
    table, transform = own_table()
    own = exported("mlp", preparation=transform, classes=table.schema.classes)
    numbers, levels = table.numbers.copy(), table.levels.astype(np.int64)
    if what == "number":
        numbers[3, 0] = np.nan
    else:
        levels[3, 0] = -1 if what == "level" else 2
    found, _ = evaluated(build_graph(own), numbers=numbers, levels=levels)
    assert np.isnan(found[3]).all()
    assert np.isfinite(np.delete(found, 3, axis=0)).all()


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_schema_of_numbers_or_categories_alone_has_no_other_input(kind):
    features = tuple(feature for feature in tables.FEATURES if feature["kind"] == kind)
    table = tables.table(40, of=tables.schema(features=features))
    own = exported("mlp", preparation=Transform.of(table.schema, Sums.of(Rows.of(table))), classes=table.schema.classes)
    made = build_graph(own)
    name = "numbers" if kind == "number" else "levels"
    assert [value.name for value in made.graph.input] == [name]
    given = table.numbers if kind == "number" else table.levels.astype(np.int64)
    found, _ = evaluated(made, **{name: given})
    np.testing.assert_allclose(found, own.probabilities(own.preparation.apply(table)), atol=1e-6)


def test_the_file_says_what_it_is_and_is_the_same_every_time(tmp_path):
    own = exported()
    for name in ("a.onnx", "b.onnx"):
        write_graph(tmp_path / name, own)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    made = onnx.load(tmp_path / "a.onnx")
    assert json.loads({entry.key: entry.value for entry in made.metadata_props}["cocogen"]) == own.header()
    assert made.opset_import[0].version <= 17


def test_a_layer_that_has_no_place_in_a_graph_is_named():
    own = exported()
    own.classifier.network[1] = nn.GELU()
    with pytest.raises(LearningError, match="a layer GELU has no place"):
        build_graph(own)


def test_a_missing_extra_and_a_place_where_nothing_can_be_written_are_typed_errors(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError):
        write_graph(tmp_path / "file" / "model.onnx", exported())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigurationError, match="needs onnx") as caught:
        write_graph(tmp_path / "model.onnx", exported())
    assert "cocogen[onnx]" in caught.value.hint
