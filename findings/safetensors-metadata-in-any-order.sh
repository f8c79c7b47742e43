#!/usr/bin/env bash
# Package    safetensors 0.8.0
# Expected   equal tensors and equal metadata give equal bytes: tensors are laid out in a fixed order, and the format has
#            no time, no padding of its own choice and no compression
# Seen       with two entries in the metadata their order in the header changes from one save to the next, within one
#            process; with one entry, or none, the bytes are always the same
# Source     https://github.com/huggingface/safetensors#format; the order is that of a hash map when it is written
# Matters    a model that is handed on is named by the digest of its file. We keep everything beside the weights in one
#            entry of canonical JSON
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.3.5
env/bin/python - << 'PYTHON'
import sys

import numpy as np
from safetensors.numpy import save

tensors = {"a": np.arange(3, dtype=np.float32), "b": np.zeros(2, dtype=np.float32)}
files = {
    count: len({save(tensors, metadata={f"key{n}": "value" for n in range(count)}) for _ in range(100)})
    for count in (1, 2)
}
print("different files of 100 saves, by entries in the metadata:", files)
sys.exit(0 if files[1] == 1 and files[2] > 1 else 1)
PYTHON
