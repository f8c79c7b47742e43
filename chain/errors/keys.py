"""What can be wrong with keystores and their passwords: errors of use, with the exit code of configuration (2).

Left out: a key that a signature needs and nobody here has (:class:`chain.errors.chain.MissingKey`, exit code 3).
"""

from __future__ import annotations

from cocogen.errors import CoCoGenError

__all__ = [
    "DevelopmentKeyRefused",
    "ExposedSecret",
    "KeystoreError",
    "KeystoreExists",
    "MalformedKey",
    "MalformedKeystore",
    "PasswordMissing",
    "UnknownKeystore",
    "WrongPassword",
]


class KeystoreError(CoCoGenError):
    """A key folder, a keystore or a password cannot be used as asked. No message ever holds a key or a password."""

    exit_code = 2


class ExposedSecret(KeystoreError):
    """A file that holds a password or a key can be reached by others than its owner."""


class KeystoreExists(KeystoreError):
    """A keystore of this name is there already; keystores are never overwritten."""


class UnknownKeystore(KeystoreError):
    """The key folder holds no keystore of this name."""


class MalformedKeystore(KeystoreError):
    """The file is no encrypted keystore (version 3), or does not hold the key of the address that it names."""


class MalformedKey(KeystoreError):
    """What was given as a private key is none."""


class PasswordMissing(KeystoreError):
    """A keystore's password is needed, and there is neither a file, a variable nor a person to ask."""


class WrongPassword(KeystoreError):
    """The password does not open the keystore."""


class DevelopmentKeyRefused(KeystoreError):
    """A development account, whose key everybody can derive, was about to be used on a chain that is not local."""
