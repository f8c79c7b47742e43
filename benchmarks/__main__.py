"""``make bench``: every benchmark with its default sizes."""

from __future__ import annotations

import subprocess
import sys

for name in ("equilibrium", "settlement", "learning", "data"):
    print(f"{name}:", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
