"""What the tests of all packages share: what happens where a node's program is missing."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def needs_node() -> Callable[[str], None]:
    """Skips, loudly, where the program of the named node is missing; with CI=true that is a failure."""

    def check(kind: str) -> None:
        from chain.backends.process import find_node
        from chain.errors.chain import NodeNotInstalled

        try:
            find_node(kind)
        except NodeNotInstalled as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"tests on {kind} must run with CI=true: {error}")
            pytest.skip(f"SKIPPED on {kind}: {error}")

    return check
