"""What a user installs: the dependencies are those that the code imports, and leave room for a fix."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from chain.contract import build
from cocogen.data.sets import DataFolders, load
from cocogen.errors import ConfigurationError, DatasetError
from cocogen.experiments.study import run_study
from cocogen.report.style import figure_format

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(
    line.partition(" ")[0].split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
)
OWN = {"cocogen", "chain", "cli"}
# Import names whose distribution is named in another way, or which come with one that is named.
PROVIDED = {"eth": "py-evm", "sklearn": "scikit-learn", "solcx": "py-solc-x", "PIL": "pillow", "click": "click"}
WITH_WEB3 = {"eth_abi", "eth_account", "eth_hash", "eth_keys", "eth_keyfile", "eth_typing", "eth_utils", "hexbytes",
             "requests", "rlp", "trie", "urllib3", "websockets"}  # fmt: skip


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    return normal(re.match(r"[\w.-]+", requirement).group())


CORE = {named(requirement) for requirement in PROJECT["dependencies"]}


def unconditional_imports(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports when it is imported."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found


def test_what_a_module_imports_at_once_is_a_dependency():
    """Figures, photos, compilers and Flower are extras: their imports wait until they are used."""
    needed = {}
    for package in sorted(OWN):
        for file in (ROOT / package).rglob("*.py"):
            if "flower" in file.parts:
                continue  # the extra's own rooms
            for name in unconditional_imports(ast.parse(file.read_text(encoding="utf-8"))):
                needed.setdefault(name, file)
    foreign = needed.keys() - sys.stdlib_module_names - OWN - WITH_WEB3
    distributions = packages_distributions()
    missing = {
        name: str(needed[name])
        for name in foreign
        if not {normal(found) for found in (PROVIDED.get(name, ""), *distributions.get(name, ()))} & CORE
    }
    assert missing == {}


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_dependencies_are_ranges_so_that_a_user_can_take_a_fix(requirement):
    assert "==" not in requirement
    assert ">=" in requirement


def test_every_direct_dependency_is_pinned_for_development():
    pinned = {normal(name) for name in PINS}
    extras = [r for group in PROJECT["optional-dependencies"].values() for r in group if not r.startswith("cocogen[")]
    assert {named(r) for r in (*PROJECT["dependencies"], *extras)} - pinned == set()
    assert {"pip", "setuptools"} <= pinned


def test_pygambit_is_pinned_to_the_version_that_has_wheels():
    """16.x is compiled from C++ on every machine."""
    assert PINS["pygambit"].startswith("17.")


class TestMissingExtras:
    """What an extra does ends, without it, in a typed error that names it, before any work is done."""

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch):
        for name in ("matplotlib", "PIL", "solcx"):
            monkeypatch.setitem(sys.modules, name, None)

    def test_figures(self):
        with pytest.raises(ConfigurationError, match="matplotlib, which is not installed") as caught:
            figure_format("clinics.png")
        assert "pip install 'cocogen[figures]'" in caught.value.hint

    def test_a_study_of_markets(self, tmp_path):
        with pytest.raises(ConfigurationError, match="matplotlib"):
            run_study([], tmp_path / "out", lambda *_: None, seeds=2, entropy=0, points=5, jobs=1)
        assert not (tmp_path / "out").exists()

    def test_folders_of_images(self, tmp_path):
        for name in ("cats", "dogs"):
            (tmp_path / "pets" / name).mkdir(parents=True)
            (tmp_path / "pets" / name / "1.png").write_bytes(b"\x89PNG")
        with pytest.raises(DatasetError, match="Pillow, which is not installed") as caught:
            load("./pets/", DataFolders(tmp_path))
        assert "pip install 'cocogen[images]'" in caught.value.hint

    def test_compiling_contracts(self):
        with pytest.raises(build.CompilerUnavailable, match="py-solc-x, which is not installed") as caught:
            build.compile_contract("ConsortiumNative")
        assert "make install" in caught.value.hint
