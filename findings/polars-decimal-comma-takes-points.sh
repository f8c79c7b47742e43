#!/usr/bin/env bash
# Package    polars 2.1.0
# Expected   decimal_comma=True reads floats with a comma in the place of the point: a cell "1.234", which in such a file
#            is one thousand two hundred and thirty-four, is an error, as is a cell "1,234" without the option
# Seen       "1.234" is taken as 1.234 and "2.5" as 2.5 beside "1,5", without an error or a warning
# Source     https://docs.pola.rs/api/python/stable/reference/api/polars.read_csv.html (decimal_comma)
# Matters    an export of a hospital with points between thousands would be read a thousand times too small. We read columns
#            with decimal commas as text and refuse a point that the site file does not explain
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check polars==2.1.0
env/bin/python - << 'PYTHON'
import io
import sys

import polars as pl

SCHEMA = {"x": pl.Float64}


def read(text, **options):
    try:
        return pl.read_csv(io.BytesIO(text), separator=";", schema_overrides=SCHEMA, **options)["x"].to_list()
    except pl.exceptions.PolarsError as error:
        return type(error).__name__


mixed = read(b"x;y\n1,5;a\n1.234;b\n2.5;c\n", decimal_comma=True)
other = read(b"x;y\n1.5;a\n1,234;b\n")
print("decimal_comma=True takes 1,5 and 1.234 and 2.5 as", mixed)
print("without it, 1.5 and 1,234 are", other)
sys.exit(0 if mixed == [1.5, 1.234, 2.5] and isinstance(other, str) else 1)
PYTHON
