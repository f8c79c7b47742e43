"""An exported model as an ONNX graph in plain operators, the preparation of samples within it.

The graph takes what a site has, in the units of the schema, and gives the chances of the classes: whoever runs it needs
nothing else of ours. Inputs are

=========== ======================== =======================================================================
a schema's  ``numbers`` (N, A)       float64, the schema's numbers in its order and units; NaN where missing
table       ``levels`` (N, K)        int64, the categories in its order as indices of their levels; -1 where missing
images      ``images`` (N, c, h, w)  uint8
other table ``features`` (N, d)      float32, in the units of the data set
=========== ======================== =======================================================================

(a schema without numbers has no ``numbers``, one without categories no ``levels``), outputs ``probabilities`` (N, C)
float32 and ``label`` (N,) int64, the most likely class. A missing value that the schema refuses, and a level that it
does not have, give probabilities that are no numbers. The metadata field ``cocogen`` holds the same header as a
``.safetensors`` file.

Built node by node from the network's modules: torch's own exporter needs further packages, and writes what version of
them it likes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cocogen.data.own.transform import Transform
from cocogen.errors import ConfigurationError, LearningError
from cocogen.files import canonical_json, write_atomically
from cocogen.learning.exported.model import ExportedModel
from cocogen.learning.exported.standardization import Standardization
from cocogen.learning.models.networks import Image, ResidualBlock
from cocogen.terms.schema import NumberFeature, TableSchema

__all__ = ["build_graph", "write_graph"]

_OPSET = 17
_IR = 8
"""What a runtime of 2022 reads."""


def write_graph(path: Path, model: ExportedModel) -> None:
    """Write the file atomically; equal models give equal bytes.

    Raises
    ------
    ConfigurationError
        The extra ``onnx`` is not installed.
    LearningError
        The network has a layer that has no place in the graph.
    WorkspaceError
        It cannot be written.
    """
    write_atomically(path, build_graph(model).SerializeToString(deterministic=True))


def build_graph(model: ExportedModel) -> Any:
    """The ``onnx.ModelProto`` of a model, checked; errors as :func:`write_graph`."""
    onnx = _library()
    graph = _Graph(onnx)
    samples = _prepared(graph, model.preparation)
    logits = _network(graph, model, samples)
    graph.add("Softmax", [logits], "probabilities", axis=1)
    graph.add("ArgMax", [logits], "label", axis=1, keepdims=0)
    helper, tensor = onnx.helper, onnx.TensorProto
    outputs = [
        helper.make_tensor_value_info("probabilities", tensor.FLOAT, ["N", len(model.classes)]),
        helper.make_tensor_value_info("label", tensor.INT64, ["N"]),
    ]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "cocogen", graph.inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        producer_name="cocogen",
        ir_version=_IR,
    )
    helper.set_model_props(made, {"cocogen": canonical_json(model.header()).decode()})
    onnx.checker.check_model(made, full_check=True)
    return made


class _Graph:
    """Nodes, constants and inputs, with names for what flows between them."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """A node; the name of its one output."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def input(self, name: str, dtype: type, sides: list[int]) -> str:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(self.onnx.helper.make_tensor_value_info(name, kind, ["N", *sides]))
        return name

    def cast(self, value: str, dtype: type) -> str:
        return self.add("Cast", [value], to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _prepared(graph: _Graph, preparation: Transform | Standardization) -> str:
    """Samples (N, d) float32, as both ``apply`` make them: in float64 until the end."""
    mean, deviation = preparation.mean, preparation.deviation
    if isinstance(preparation, Transform):
        if isinstance(preparation.schema, TableSchema):
            return _table(graph, preparation.schema, mean, deviation)
        shape: tuple[int, ...] = preparation.schema.shape
    else:
        shape = preparation.shape
    images = len(shape) == 3
    features = graph.input("images", np.uint8, list(shape)) if images else graph.input("features", np.float32, [*shape])
    sides = (1, -1, 1, 1) if images else (1, -1)
    centred = graph.add("Sub", [graph.cast(features, np.float64), graph.constant(mean.reshape(sides))])
    scaled = graph.cast(graph.add("Div", [centred, graph.constant(deviation.reshape(sides))]), np.float32)
    return graph.add("Flatten", [scaled], axis=1) if images else scaled


def _table(graph: _Graph, schema: TableSchema, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> str:
    numbers, categories = schema.numbers, schema.categories
    parts: dict[str, tuple[str, str]] = {}
    if numbers:
        values = graph.input("numbers", np.float64, [len(numbers)])
        minimum, maximum = (np.array([getattr(own, end) for own in numbers]) for end in ("minimum", "maximum"))
        missing = graph.add("IsNaN", [values])
        clipped = graph.add("Min", [graph.add("Max", [values, graph.constant(minimum)]), graph.constant(maximum)])
        above = graph.add("Sub", [clipped, graph.constant(minimum)])
        share = graph.add("Div", [above, graph.constant(maximum - minimum)])
        scaled = graph.add("Div", [graph.add("Sub", [share, graph.constant(mean)]), graph.constant(deviation)])
        fill = np.array([math.nan if own.missing == "refuse" else 0.0 for own in numbers])
        filled = graph.cast(graph.add("Where", [missing, graph.constant(fill), scaled]), np.float32)
        absent = graph.cast(missing, np.float32)
        for number, own in enumerate(numbers):
            parts[own.name] = _column(graph, filled, number), _column(graph, absent, number)
    if categories:
        levels = graph.input("levels", np.int64, [len(categories)])
        for index, category in enumerate(categories):
            level = _column(graph, levels, index)
            parts[category.name] = _one_hot(graph, level, len(category.levels), category.missing), ""
    columns: list[str] = []
    for feature in schema.feature:
        value, indicator = parts[feature.name]
        columns.append(value)
        if isinstance(feature, NumberFeature) and feature.missing == "indicator":
            columns.append(indicator)
    return graph.add("Concat", columns, axis=1)


def _column(graph: _Graph, table: str, index: int) -> str:
    """(N, 1) of (N, m)."""
    return graph.add("Gather", [table, graph.constant(np.array([index], dtype=np.int64))], axis=1)


def _one_hot(graph: _Graph, level: str, count: int, missing: str) -> str:
    """(N, ``count``) of levels (N, 1), one column more where a missing one has a level of its own."""
    if missing == "level":
        absent = graph.add("Less", [level, graph.constant(np.zeros(1, dtype=np.int64))])
        level = graph.add("Where", [absent, graph.constant(np.array([count], dtype=np.int64)), level])
        count += 1
    hot = graph.cast(graph.add("Equal", [level, graph.constant(np.arange(count, dtype=np.int64))]), np.float32)
    known = graph.cast(graph.add("ReduceMax", [hot], axes=[1], keepdims=1), np.bool_)
    return graph.add("Where", [known, hot, graph.constant(np.array([np.nan], dtype=np.float32))])


def _network(graph: _Graph, model: ExportedModel, samples: str) -> str:
    """Logits (N, C) of samples (N, d)."""
    for name, array in model.state.items():
        graph.constant(array, name)
    return _layer(graph, model.classifier.network, "", samples)


def _layer(graph: _Graph, layer: nn.Module, name: str, value: str) -> str:
    """What becomes of ``value`` in a layer whose parameters begin with ``name``."""
    weight, bias = f"{name}weight", f"{name}bias"
    match layer:
        case nn.Sequential():
            for child, part in layer.named_children():
                value = _layer(graph, part, f"{name}{child}.", value)
            return value
        case ResidualBlock():
            body = _layer(graph, layer.body, f"{name}body.", value)
            shortcut = _layer(graph, layer.shortcut, f"{name}shortcut.", value)
            return graph.add("Relu", [graph.add("Add", [body, shortcut])])
        case nn.Linear():
            return graph.add("Gemm", [value, weight, bias], transB=1)
        case nn.Conv2d():
            parameters = [weight] if layer.bias is None else [weight, bias]
            sides = [int(side) for side in layer.padding]
            strides = [int(stride) for stride in layer.stride]
            kernel = [int(side) for side in layer.kernel_size]
            return graph.add("Conv", [value, *parameters], kernel_shape=kernel, strides=strides, pads=sides * 2)
        case nn.GroupNorm():
            return _group_norm(graph, layer, weight, bias, value)
        case nn.MaxPool2d():
            side = [int(layer.kernel_size)] * 2  # type: ignore[arg-type]  # one number for both in our networks
            return graph.add("MaxPool", [value], kernel_shape=side, strides=side)
        case nn.AdaptiveAvgPool2d():
            return graph.add("GlobalAveragePool", [value])
        case nn.Flatten():
            return graph.add("Flatten", [value], axis=1)
        case nn.ReLU():
            return graph.add("Relu", [value])
        case nn.Identity():
            return value
        case Image():
            return _reshaped(graph, value, layer.shape)
        case nn.Unflatten():
            return _reshaped(graph, value, tuple(layer.unflattened_size))
    raise LearningError(
        f"a layer {type(layer).__name__} has no place in an ONNX graph", hint="write a .safetensors file instead"
    )


def _reshaped(graph: _Graph, value: str, shape: tuple[int, ...]) -> str:
    return graph.add("Reshape", [value, graph.constant(np.array([-1, *shape], dtype=np.int64))])


def _group_norm(graph: _Graph, layer: nn.GroupNorm, weight: str, bias: str, value: str) -> str:
    """Groups as the channels of an instance normalization: group normalization itself is younger."""
    groups = layer.num_groups
    shape = graph.add("Shape", [value])
    grouped = graph.add("Reshape", [value, graph.constant(np.array([0, groups, -1], dtype=np.int64))])
    ones, zeros = (graph.constant(fill(groups, dtype=np.float32)) for fill in (np.ones, np.zeros))
    normed = graph.add("InstanceNormalization", [grouped, ones, zeros], epsilon=float(layer.eps))
    restored = graph.add("Reshape", [normed, shape])
    axes = graph.constant(np.array([1, 2], dtype=np.int64))
    scaled = graph.add("Mul", [restored, graph.add("Unsqueeze", [weight, axes])])
    return graph.add("Add", [scaled, graph.add("Unsqueeze", [bias, axes])])


def _library() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ConfigurationError(
            "an .onnx file needs onnx, which is not installed",
            hint="install it: pip install 'cocogen[onnx]', in a clone make install",
        ) from error
    return onnx
