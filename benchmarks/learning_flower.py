"""The run of Flower's simulation that ``benchmarks/learning.py`` compares with.

The client is what Flower's own documentation shows: a PyTorch module, an optimizer and a loop; its resources are one
core a client, so all cores work at once.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from numpy.typing import NDArray

from benchmarks.harness import resident_peak_mb
from benchmarks.learning_settings import SETTINGS, Samples, Setting, local_epochs


@functools.cache
def _setting(name: str, organizations: int) -> Setting:
    return SETTINGS[name](organizations)


@functools.cache
def _samples(name: str, organizations: int, n: int) -> Samples:
    return _setting(name, organizations).samples(n)


def flower(name: str, organizations: int, rounds: int) -> dict[str, Any]:
    """Seconds, final weights and the driver's peak memory of one whole run (Ray's workers have theirs on top)."""
    root = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    client, server = ClientApp(), ServerApp()

    @client.train()
    def local(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        n, number = int(context.node_config["partition-id"]), int(message.content["config"]["server-round"])
        setting = _setting(name, organizations)
        network = setting.network()
        network.load_state_dict(message.content["arrays"].to_torch_state_dict())
        features, labels = map(torch.from_numpy, _samples(name, organizations, n))
        local_epochs(network, features, labels, setting.schedule, setting.order(number, n))
        metrics = MetricRecord({"num-examples": len(labels)})
        return Message(RecordDict({"arrays": ArrayRecord(network.state_dict()), "metrics": metrics}), reply_to=message)

    found: dict[str, NDArray[np.float32]] = {}

    @server.main()
    def run(grid: Grid, context: Context) -> None:  # noqa: ARG001  # Flower's signature
        initial = _setting(name, organizations).initial
        arrays = ArrayRecord({key: torch.from_numpy(value.copy()) for key, value in initial.items()})
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=organizations, min_available_nodes=organizations)
        result = strategy.start(grid, arrays, num_rounds=rounds)
        found.update((key, value.numpy()) for key, value in result.arrays.to_torch_state_dict().items())

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    begin = time.perf_counter()
    run_simulation(server, client, num_supernodes=organizations, backend_config=resources)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "weights": found, "peak_mb": resident_peak_mb()}
