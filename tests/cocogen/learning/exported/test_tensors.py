"""A .safetensors file is read by its own library and applied by torch alone; one that was altered is refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import nn

from cocogen.data.own.rows import Rows
from cocogen.data.own.sums import Sums
from cocogen.data.own.transform import Transform
from cocogen.errors import ConfigurationError, LearningError, WorkspaceError
from cocogen.learning.exported.tensors import read_tensors, write_tensors
from tests.cocogen.data.own import tables
from tests.cocogen.learning.exported.models import CLASSES, exported, raw

PLAIN = {
    "logistic": lambda: nn.Sequential(nn.Linear(5, 3)),
    "mlp": lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)),
    "lenet": lambda: nn.Sequential(
        nn.Identity(), nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(16, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", PLAIN)
def test_torch_alone_gives_the_same_probabilities_to_a_millionth(model, tmp_path):
    shape = (1, 16, 16) if model == "lenet" else (5,)
    own, samples = exported(model, shape), raw(shape)
    write_tensors(tmp_path / "model.safetensors", own)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        header = json.loads(file.metadata()["cocogen"])
    network = PLAIN[model]()
    network.load_state_dict(load_file(tmp_path / "model.safetensors"))
    prepared = header["preparation"]
    sides = (-1, 1, 1) if model == "lenet" else (-1,)
    mean, deviation = (np.array(prepared[name]).reshape(sides) for name in ("mean", "deviation"))
    with torch.no_grad():
        found = network(torch.from_numpy(((samples - mean) / deviation).astype(np.float32))).softmax(dim=1)
    expected = own.probabilities(own.preparation.apply(samples.reshape(len(samples), -1)))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert header["classes"] == list(CLASSES)
    assert header["card"]["metrics"]["balanced_accuracy"] == {"value": 0.9, "low": 0.8, "high": 0.95}


def test_scikit_learns_pipeline_and_torch_alone_apply_a_schemas_file(tmp_path):
    """The preparation, from the header, by nothing of ours."""
    table = tables.table(80)
    own = exported("mlp", preparation=Transform.of(table.schema, Sums.of(Rows.of(table))), classes=table.schema.classes)
    write_tensors(tmp_path / "model.safetensors", own)
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        header = json.loads(file.metadata()["cocogen"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    columns, number, category = [], 0, 0
    for feature in header["preparation"]["schema"]["feature"]:
        if feature["kind"] == "number":
            x = table.numbers[:, number]
            share = (np.clip(x, feature["minimum"], feature["maximum"]) - feature["minimum"]) / (
                feature["maximum"] - feature["minimum"]
            )
            mean, deviation = (header["preparation"][name][number] for name in ("mean", "deviation"))
            columns.append(np.where(np.isnan(x), 0, (share - mean) / deviation))
            if feature["missing"] == "indicator":
                columns.append(np.isnan(x))
            number += 1
        else:
            level = table.levels[:, category]
            columns += [level == k for k in range(len(feature["levels"]))]
            if feature["missing"] == "level":
                columns.append(level < 0)
            category += 1
    samples = np.stack(columns, axis=1)
    hidden = np.maximum(samples @ state["0.weight"].T + state["0.bias"], 0)
    logits = hidden @ state["2.weight"].T + state["2.bias"]
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, own.probabilities(own.preparation.apply(table)), atol=1e-6)


def test_a_file_survives_exactly_and_is_the_same_every_time(tmp_path):
    table = tables.table(80)
    by_schema = exported(preparation=Transform.of(table.schema, Sums.of(Rows.of(table))), classes=table.schema.classes)
    for own in (exported("lenet", (1, 16, 16)), exported(), by_schema):
        write_tensors(tmp_path / "a.safetensors", own)
        found = read_tensors(tmp_path / "a.safetensors")
        assert found.header() == own.header()
        assert found.state.digest() == own.state.digest()
        write_tensors(tmp_path / "b.safetensors", found)
        assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def altered(tmp_path, **changes):
    """The file of a model, with its header's fields or its tensors changed."""
    own = exported()
    header, tensors = own.header(), dict(own.state)
    for name, value in changes.items():
        if name in ("drop", "cast"):
            tensors = (
                {k: v for k, v in tensors.items() if k != value}
                if name == "drop"
                else {k: v.astype(value) for k, v in tensors.items()}
            )
        elif name == "tensor":
            tensors["0.bias"] = tensors["0.bias"] + value
        else:
            header[name] = value(header[name]) if callable(value) else value
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, {"cocogen": json.dumps(header)})
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tensor": np.float32(1e-3)}, "was altered: its parameters are not those whose digest"),
        ({"drop": "2.bias"}, "parameters are not those of a mlp model"),
        ({"cast": np.float64}, "not float32"),
        ({"hidden": 8}, "parameters are not those of a mlp model"),
        ({"hidden": 10**9}, "hidden"),
        ({"model": "tree"}, "model"),
        ({"version": 2}, "version"),
        ({"classes": ["one"]}, "classes"),
        ({"more": 1}, "more"),
        ({"card": lambda card: {**card, "round": 0}}, "round"),
        ({"card": lambda card: {**card, "digests": {**card["digests"], "terms": "00"}}}, "terms"),
        ({"preparation": {"kind": "features", "shape": [5]}}, "standardization is malformed"),
        ({"preparation": lambda p: {**p, "deviation": [0.0] * 5}}, "no mean and deviation of each"),
        ({"preparation": lambda p: {**p, "shape": [2**30]}}, "no mean and deviation of each"),
        ({"preparation": lambda p: {**p, "kind": "schema"}}, "malformed"),
        ({"preparation": lambda p: {**p, "shape": [5, 2**20, 2**20]}}, "samples are too large"),
    ],
)  # fmt: skip
def test_a_file_that_says_otherwise_than_it_holds_is_refused(tmp_path, changes, reason):
    with pytest.raises(LearningError, match=reason) as caught:
        read_tensors(altered(tmp_path, **changes))
    assert caught.value.hint


def test_classes_are_those_of_the_schema(tmp_path):
    table = tables.table(80)
    own = exported(preparation=Transform.of(table.schema, Sums.of(Rows.of(table))), classes=table.schema.classes)
    path = tmp_path / "model.safetensors"
    save_file(dict(own.state), path, {"cocogen": json.dumps({**own.header(), "classes": ["a", "b"]})})
    with pytest.raises(LearningError, match="its classes are not those of its schema"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]", b"\x10\0\0\0\0\0\0\0" + b"[" * 16]
)
def test_what_is_no_such_file_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(LearningError, match="is no model that CoCoGen exported"):
        read_tensors(path)


def test_another_programs_tensors_are_refused(tmp_path):
    save_file({"weight": np.zeros(3, dtype=np.float32)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(LearningError, match="no model that CoCoGen exported: KeyError: 'cocogen'"):
        read_tensors(tmp_path / "model.safetensors")


def test_what_is_not_there_or_cannot_be_written_is_a_typed_error(tmp_path, monkeypatch):
    with pytest.raises(LearningError, match="cannot be read: No such file"):
        read_tensors(tmp_path / "model.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError):
        write_tensors(tmp_path / "file" / "model.safetensors", exported())
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ConfigurationError, match="needs safetensors"):
        write_tensors(tmp_path / "model.safetensors", exported())
