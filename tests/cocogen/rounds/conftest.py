"""The scene of the evidence's tests, whose rounds are recorded here."""

from tests.cocogen.evidence.conftest import build, scene, signer

__all__ = ["build", "scene", "signer"]
