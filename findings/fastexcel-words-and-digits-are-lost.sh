#!/usr/bin/env bash
# Package    fastexcel 0.21.0, with workbooks of xlsxwriter 3.3.1
# Expected   a column that is asked for as floats and holds a word is an error, or says so; one that is asked for as text
#            has all digits of its numbers
# Seen       asked for as "float" the word "NA" is null, without an error or a warning; asked for as "string" one third is
#            "0.333333333", nine of its sixteen digits
# Source     https://fastexcel.toucantoco.dev/fastexcel.html (ExcelReader.load_sheet: dtypes, dtype_coercion)
# Matters    a value that nobody declared missing would be imputed, and a number that went through text is another one.
#            We read a sheet both ways: numbers as floats, and as text what the floats left out
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check fastexcel==0.21.0 xlsxwriter==3.3.1 polars==2.1.0
env/bin/python - << 'PYTHON'
import sys

import fastexcel
import xlsxwriter

book = xlsxwriter.Workbook("book.xlsx")
sheet = book.add_worksheet("cases")
for row, value in enumerate(["x", 1 / 3, "NA", 2.5]):
    sheet.write(row, 0, value)
book.close()
reader = fastexcel.read_excel("book.xlsx")
floats = reader.load_sheet("cases", dtypes={"x": "float"}).to_polars()["x"].to_list()
texts = reader.load_sheet("cases", dtypes={"x": "string"}).to_polars()["x"].to_list()
print("as floats:", floats)
print("as text:", texts)
sys.exit(0 if floats == [1 / 3, None, 2.5] and float(texts[0]) != 1 / 3 and texts[1] == "NA" else 1)
PYTHON
