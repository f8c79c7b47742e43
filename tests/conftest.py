"""What the tests of all packages share: what each of them costs, what the quick ones do without, a node's programs, and
folders that are made once.

A test of more than ``LIMIT`` seconds of processor time carries ``slow`` or ``deep``: every run names those that carry
neither, and with CI=true one of ``MARGIN`` times as much fails the session. Processor time counts work and not waiting,
so a loaded machine changes little; the margin is for a slower one.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock

LIMIT = float(os.environ.get("TEST_LIMIT", "5"))
"""Processor seconds of a test that need not say that it is slow, its fixtures apart."""
MARGIN = 4
HEAVY = ("torch", "web3", "eth", "eth_tester")
"""What quick tests do without: they compute, and neither train nor run a chain."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="refuse torch, web3, the EVM and other processes")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(), "costs")
    if config.pluginmanager.hasplugin("hypothesispytest"):
        from hypothesis import settings

        # The same examples every time, and no limit by the clock; deep runs draw more where no number is named.
        settings.register_profile("everyday", derandomize=True, deadline=None, database=None)
        settings.register_profile("deep", max_examples=1_000, derandomize=True, deadline=None, database=None)
        settings.load_profile("everyday")
    if config.getoption("--quick"):
        sys.meta_path.insert(0, Absent())


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("--quick"):
        sys.addaudithook(refuse_processes)  # only where tests run, and not before: workers are processes too


class Absent:
    """An importer that refuses the heavy packages."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"quick tests do without {name}")


def refuse_processes(event: str, _arguments: object) -> None:
    if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"):
        raise RuntimeError("quick tests start no process")


def processor_time() -> float:
    """Of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    begin = processor_time()
    try:
        return (yield)
    finally:
        item.user_properties.append(("processor_time", processor_time() - begin))


class Costs:
    """The tests that took more than they say."""

    def __init__(self) -> None:
        self.unmarked: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = dict(report.user_properties).get("processor_time", 0.0)
        if report.when == "call" and spent > LIMIT and not {"slow", "deep"} & report.keywords.keys():
            self.unmarked[report.nodeid] = spent

    @property
    def too_slow(self) -> bool:
        return os.environ.get("CI") == "true" and any(spent > MARGIN * LIMIT for spent in self.unmarked.values())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.too_slow and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unmarked:
            terminalreporter.section(f"tests above {LIMIT:g} processor seconds that are not marked slow")
            for test, spent in sorted(self.unmarked.items(), key=lambda pair: -pair[1]):
                terminalreporter.line(f"{spent:.1f} s {test}")
        if self.too_slow:
            terminalreporter.line(f"ERROR: more than {MARGIN * LIMIT:g} s: mark them slow, or make them faster")


class Once:
    """Folders that one worker fills for all of a session: they are copied, and never changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)

    def __call__(self, name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = self.root / name, self.root / f"{name}.done"
        with FileLock(self.root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that was killed
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    @staticmethod
    def copy(kept: Path, folder: Path) -> Path:
        """Copy ``kept`` into ``folder``, which may be there; deployment records name absolute paths, which follow."""
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        for record in folder.rglob("deployment.json"):
            record.write_text(record.read_text().replace(str(kept), str(folder)))
        return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    base = tmp_path_factory.getbasetemp()
    return Once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once")


@pytest.fixture(scope="session")
def needs_node() -> Callable[[str], None]:
    """Skips, loudly, where the program of the named node is missing; with CI=true that is a failure."""

    def check(kind: str) -> None:
        from chain.backends.process import find_node
        from chain.errors.chain import NodeNotInstalled

        try:
            find_node(kind)
        except NodeNotInstalled as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"tests on {kind} must run with CI=true: {error}")
            pytest.skip(f"SKIPPED on {kind}: {error}")

    return check
