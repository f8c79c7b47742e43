"""A development node that belongs to one backend: started when it opens, stopped when it closes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from chain.backends.development import DevelopmentBackend
from chain.backends.process import NodeProcess
from chain.backends.provider import NodeProvider

__all__ = ["PrivateBackend"]


class PrivateBackend(DevelopmentBackend):
    """A fresh chain on a node of our own; nothing is persisted. Raises what ``NodeProcess`` raises."""

    def __init__(self) -> None:
        self.process = NodeProcess(self.kind, self._arguments)
        try:
            super().__init__(NodeProvider(self.process.url), self.kind)
            self._prepare()
        except BaseException:
            self.process.stop()
            raise
        self.location = self.kind

    @staticmethod
    @abstractmethod
    def _arguments(port: int) -> Sequence[str]:
        """The program's arguments for a node on ``port`` of :data:`~chain.backends.process.HOST`."""

    def _prepare(self) -> None:
        """Settle what the command line cannot."""

    def close(self) -> None:
        """Stop the node; closing twice is harmless."""
        super().close()
        self.process.stop()
