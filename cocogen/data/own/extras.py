"""The libraries that read own data, which a plain installation has not: imported when data are read, not before."""

from __future__ import annotations

import importlib
from typing import Any

from cocogen.errors import SiteError

__all__ = ["fastexcel", "polars"]


def polars() -> Any:
    """The module polars, which reads tables; SiteError names the extra when it is not installed."""
    return _module("polars", "tables", "tables are")


def fastexcel() -> Any:
    """The module fastexcel, which reads workbooks; SiteError names the extra when it is not installed."""
    return _module("fastexcel", "excel", ".xlsx files are")


def _module(name: str, extra: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SiteError(
            f"{what} read by {name}, which is not installed",
            hint=f"install it: pip install 'cocogen[{extra}]', in a clone make install",
        ) from error
