"""The libraries that read and write own data, which a plain installation has not: imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from cocogen.errors import SiteError

__all__ = ["fastexcel", "polars", "xlsxwriter"]


def polars() -> Any:
    """The module polars, which reads tables; SiteError names the extra when it is not installed."""
    return _module("polars", "tables", "tables are read by")


def fastexcel() -> Any:
    """The module fastexcel, which reads workbooks; SiteError names the extra when it is not installed."""
    return _module("fastexcel", "excel", ".xlsx files are read by")


def xlsxwriter() -> Any:
    """The module xlsxwriter, which writes workbooks; SiteError names the extra when it is not installed."""
    return _module("xlsxwriter", "excel", ".xlsx files are written by")


def _module(name: str, extra: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SiteError(
            f"{what} {name}, which is not installed",
            hint=f"install it: pip install 'cocogen[{extra}]', in a clone make install",
        ) from error
