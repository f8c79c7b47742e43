"""Make ``.venv`` and install CoCoGen into it: what a run needs, or with ``dev`` also what tests and checks need.

``make`` calls this before everything else, so it is quick when there is nothing to do, and it starts on any Python 3,
if only to say that it is too old. What is installed is noted in the environment by a digest of whatever decides it: a
change of one of these installs again, and nothing else does. Only the standard library.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINIMUM = (3, 11)
DECISIVE = ("pyproject.toml", "constraints.txt", "tools/install.py")
ANNOUNCEMENT = {
    "run": "what a run needs, about 290 MB to download",
    "dev": "what tests and checks need too, about 540 MB to download in all",
}
# Nearly all that the main job imports. Importing it once compiles it, so that the first run is as fast as the next;
# compiling all of PyTorch, SciPy and scikit-learn would take four times as long.
MODULES = (
    "chain.audit, chain.backends.embedded, chain.twin.ledger, cli.audit, cli.main, cli.run, cocogen.evidence.local, "
    "cocogen.mechanisms, cocogen.operations.deploy, cocogen.operations.run, rich.progress, rich.table, "
    "sklearn.datasets, web3.providers.eth_tester"
)


def main(arguments=None, root=ROOT):
    """Install what is asked for unless the environment holds it already."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=sorted(ANNOUNCEMENT))
    parser.add_argument("--this-python", action="store_true", help="make .venv anew if it is of another version")
    chosen = parser.parse_args(arguments)
    environment = root / ".venv"
    here = version_text(sys.version_info)
    version = environment_version(environment)
    if version is None or (chosen.this_python and version != here):
        if sys.version_info < MINIMUM:
            sys.exit("CoCoGen needs Python >= %d.%d, this is %s; name another: make ... PYTHON=python3.12"
                     % (*MINIMUM, here))  # fmt: skip
        print("making .venv for Python %s ..." % here, file=sys.stderr)
        make_environment(environment)
        version = here
    wanted, stamp = digest(root, version), environment / ".installed.json"
    held = [what for what, noted in read_stamp(stamp).items() if noted == wanted]
    if chosen.what not in held and "dev" not in held:
        install(root, environment, chosen.what)
        write_stamp(stamp, dict.fromkeys([*held, chosen.what], wanted))


def version_text(info):
    """``"3.11"``."""
    return "%d.%d" % tuple(info[:2])


def environment_version(environment):
    """The version of the environment's Python; None where there is none that starts."""
    command = [str(environment / "bin" / "python"), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def make_environment(environment):
    """Make an empty environment of this Python, in place of whatever is there."""
    import venv

    venv.create(str(environment), clear=True, symlinks=True)
    # The pip of this Python serves the environment's too, from 22.3 on, and saves to install an old one there first.
    python = str(environment / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-compile", "--disable-pip-version-check"]
    pip += ["--constraint", str(environment.parent / "constraints.txt"), "pip", "setuptools"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(pip, **quiet).returncode:
        call([python, "-m", "ensurepip"])


def install(root, environment, what):
    """Install the project in place, pinned by the constraints, and say what it cost."""
    print("installing into .venv: %s ..." % ANNOUNCEMENT[what], file=sys.stderr)
    began, before = time.time(), os.times()
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    pip += ["--no-compile", "--constraint", str(root / "constraints.txt")]
    # The pip that comes with Python 3.11 needs three times as long to choose among the files of an index.
    call([*pip, "--upgrade", "pip", "setuptools"])
    call([*pip, "--no-build-isolation", "--editable", str(root) + {"run": "", "dev": "[dev]"}[what]])
    call([python, "-c", "import " + MODULES], cwd=str(root))
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    print("installed in %.0f s, %.0f s of them processor time" % (time.time() - began, busy), file=sys.stderr)


def call(command, cwd=None):
    """Run a step, and show on a terminal the last line that it wrote; what goes wrong is shown anyway."""
    # Editable installations are warned of, whoever asks for one.
    environment = dict(os.environ, PYTHONWARNINGS="ignore")
    terminal = sys.stderr.isatty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=cwd, env=environment, universal_newlines=True) as step:
        for line in step.stdout:
            if terminal:
                print("\r\x1b[K  " + line.strip()[:76], end="", file=sys.stderr, flush=True)
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if step.returncode:
        sys.exit("installing failed; once the cause is removed, the same command goes on")


def digest(root, version):
    """What decides what is installed."""
    content = hashlib.sha256(version.encode())
    for name in DECISIVE:
        content.update((root / name).read_bytes())
    return content.hexdigest()


def read_stamp(stamp):
    """By ``run`` and ``dev``, the digest of what was installed; nothing where that cannot be told."""
    try:
        noted = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def write_stamp(stamp, noted):
    """Note what is installed, whole or not at all."""
    passing = stamp.with_name(stamp.name + ".new")
    passing.write_text(json.dumps(noted), encoding="utf-8")
    passing.replace(stamp)


if __name__ == "__main__":
    main()
