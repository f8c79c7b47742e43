"""What ``make run`` and ``make test`` install, and when: an environment is kept as long as it is the right one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPECIFICATION = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")


@pytest.fixture
def install(monkeypatch, tmp_path):
    """The script in a folder of its own, where making and filling environments is noted, not done."""
    script = importlib.util.module_from_spec(SPECIFICATION)
    SPECIFICATION.loader.exec_module(script)
    for name in script.DECISIVE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    script.done = []

    def make(environment):
        script.done.append("environment")
        (environment / "bin").mkdir(parents=True, exist_ok=True)
        (environment / ".installed.json").unlink(missing_ok=True)
        python = environment / "bin" / "python"
        python.unlink(missing_ok=True)
        python.symlink_to(sys.executable)

    monkeypatch.setattr(script, "make_environment", make)
    monkeypatch.setattr(script, "install", lambda root, environment, what: script.done.append(what))
    script.root = tmp_path
    return script


def steps(script, *arguments):
    script.done.clear()
    script.main(list(arguments), script.root)
    return list(script.done)


def test_a_run_installs_what_it_needs_once(install):
    assert steps(install, "run") == ["environment", "run"]
    assert steps(install, "run") == []


def test_tests_add_the_rest_and_a_run_after_them_adds_nothing(install):
    steps(install, "run")
    assert steps(install, "dev") == ["dev"]
    assert steps(install, "dev") == steps(install, "run") == []


def test_with_all_of_it_there_a_run_installs_nothing(install):
    assert steps(install, "dev") == ["environment", "dev"]
    assert steps(install, "run") == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "tools/install.py"])
def test_what_decides_it_installs_again_by_content_and_not_by_date(install, name):
    steps(install, "run")
    steps(install, "dev")
    file = install.root / name
    file.touch()
    assert steps(install, "run") == []
    file.write_text("something else")
    assert steps(install, "run") == ["run"]
    assert steps(install, "dev") == ["dev"]


@pytest.mark.parametrize("stamp", [None, "", "[1]", "{", '{"run": 7}'])
def test_an_environment_without_a_stamp_of_ours_is_kept_and_filled(install, stamp):
    install.make_environment(install.root / ".venv")
    (install.root / ".venv" / ".installed").touch()
    if stamp is not None:
        (install.root / ".venv" / ".installed.json").write_text(stamp)
    assert steps(install, "run") == ["run"]


def test_an_environment_whose_python_is_gone_is_made_anew(install):
    steps(install, "run")
    python = install.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert steps(install, "run") == ["environment", "run"]


def test_another_python_makes_it_anew_only_when_it_is_named(install, monkeypatch):
    steps(install, "run")
    monkeypatch.setattr(install, "environment_version", lambda _environment: "3.99")
    assert steps(install, "run") == ["run"]
    assert steps(install, "run", "--this-python") == ["environment", "run"]


def test_a_failed_installation_leaves_no_stamp(install, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(install, "install", lambda *_: sys.exit("installing failed"))
        with pytest.raises(SystemExit):
            install.main(["run"], install.root)
    assert steps(install, "run") == ["run"]


def test_a_step_that_fails_ends_with_what_to_do(install):
    install.call([sys.executable, "-c", "print('fine')"])
    with pytest.raises(SystemExit, match="the same command goes on"):
        install.call([sys.executable, "-c", "import sys; sys.exit(3)"])


def test_an_old_python_is_refused_before_anything_is_made(install, monkeypatch):
    monkeypatch.setattr(install, "sys", types.SimpleNamespace(version_info=(3, 9, 2), exit=sys.exit, stderr=sys.stderr))
    with pytest.raises(SystemExit, match=r"needs Python >= 3\.11, this is 3\.9.*PYTHON="):
        install.main(["run"], install.root)
    assert install.done == []


def test_everything_that_is_compiled_beforehand_can_be_imported(install):
    """A module that was renamed would end every installation."""
    assert [name for name in install.MODULES.split(", ") if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize(
    ("arguments", "installs"),
    [(["run"], "run"), (["test"], "dev"), (["check"], "dev"), (["run", "PYTHON=python3"], "--this-python run")],
)
def test_the_main_job_is_installed_without_what_tests_need(arguments, installs, monkeypatch):
    for name in ("PYTHON", "MAKEFLAGS", "MFLAGS"):
        monkeypatch.delenv(name, raising=False)
    shown = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    called = [line.partition("install.py ")[2].split() for line in shown.splitlines() if "install.py" in line]
    assert called == [installs.split()]
