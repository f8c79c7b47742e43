"""Where the settlement contract runs: each module yields a connected :class:`~chain.backends.base.Backend`."""

from __future__ import annotations

from chain.backends.base import Backend, open_backend

__all__ = ["Backend", "open_backend"]
