"""A small consortium of own data in a folder: three organizations and the attester, each with a table of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["NAMES", "SITES", "write_consortium", "write_site"]

NAMES = ("north", "harbor", "riverside")
SITES = (*NAMES, "attester")
_TERMS = """
[consortium]
name = "own"
rounds = {rounds}
seed = 7

[learning]
dataset = "own"
model = "logistic"
local_epochs = 2
batch_size = 32
learning_rate = 0.05

[learning.schema]
kind = "table"
label = "outcome"
classes = ["lived", "died"]
minimum_cell = 0

[[learning.schema.feature]]
name = "age"
kind = "number"
minimum = 0
maximum = 100
missing = "mean"

[[learning.schema.feature]]
name = "dose"
kind = "number"
minimum = -4
maximum = 4

[[learning.schema.feature]]
name = "sex"
kind = "category"
levels = ["f", "m"]
missing = "level"

[generation]
generator = "mixture"
maximum = {maximum}
pretraining_rounds = 1
panel = 20

[attestation]
openings = {openings}

[market]
accuracy = {{ kind = "power-law", ceiling = 1.0, scale = 4.0, exponent = 0.5 }}
competition = 0.02

[settlement]
submit_window = "1 day"
dispute_window = "1 day"
quorum = 0.6
minimum_members = 2

[[organization]]
name = "north"
profitability = 900.0
generation_cost = {{ linear = 0.02, quadratic = 0.004 }}

[[organization]]
name = "harbor"
profitability = 700.0
generation_cost = {{ linear = 0.02, quadratic = 0.005 }}

[[organization]]
name = "riverside"
profitability = 500.0
generation_cost = {{ linear = 0.03, quadratic = 0.003 }}
"""


def write_consortium(folder: Path, *, rounds: int = 1, maximum: int = 0, openings: int = 0) -> Path:
    """Terms file and four sites, in folders of their own; the path of the terms file."""
    for number, (name, rows) in enumerate(zip(SITES, (60, 45, 30, 80), strict=True)):
        write_site(folder / name, name, rows, np.random.default_rng([3, number]))
    terms = folder / "terms.toml"
    terms.write_text(_TERMS.format(rounds=rounds, maximum=maximum, openings=openings))
    return terms


def write_site(folder: Path, name: str, rows: int, rng: np.random.Generator) -> None:
    """A table with two numbers and a category on which the outcome depends, and its site file."""
    folder.mkdir(parents=True)
    age, dose, male = rng.uniform(20, 90, rows).round(1), rng.normal(size=rows), rng.random(rows) < 0.5
    died = (age - 55) / 15 + dose + 0.5 * male + rng.normal(size=rows) * 0.5 > 0
    missing = rng.random(rows) < 0.1
    lines = ["age;dose;sex;outcome"]
    lines += [
        f"{'' if gone else a};{d!r};{'m' if m else 'f'};{'died' if end else 'lived'}"
        for a, d, m, end, gone in zip(age.tolist(), dose.tolist(), male, died, missing, strict=True)
    ]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    share = 0.5 if name == "attester" else 0.2
    (folder / "site.toml").write_text(
        f'organization = "{name}"\ndata = "data.csv"\n[csv]\nseparator = ";"\n[split]\nvalidation = {share}\n'
    )
