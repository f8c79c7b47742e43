"""A site's secret: 32 bytes of the system's randomness, kept by the site alone, and the keys that are made of it.

Whoever knew it could guess rows from their leaves and tell validation rows from training rows.
"""

from __future__ import annotations

import hmac
import secrets

__all__ = ["SECRET_BYTES", "derived_key", "new_secret"]

SECRET_BYTES = 32


def new_secret() -> bytes:
    """32 bytes from the system."""
    return secrets.token_bytes(SECRET_BYTES)


def derived_key(secret: bytes, purpose: str) -> bytes:
    """The site's key of 32 bytes for one purpose: HMAC-SHA256 of the secret and a text longer than 8 bytes.

    Salts are HMACs of 8 bytes under the secret itself (:mod:`.leaves`), so that no key is a salt, and none is another.
    """
    message = purpose.encode()
    if len(secret) != SECRET_BYTES or len(message) <= 8:
        raise ValueError(f"a secret of {len(secret)} bytes, not {SECRET_BYTES}, or a purpose of {len(message)} bytes")
    return hmac.digest(secret, message, "sha256")
