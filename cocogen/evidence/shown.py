"""The attester's holdout, opened whole in a dispute: is it the one that was registered?

Left out: the leaves that the attester is given (``cocogen.operations.site_rows``), and single rows (:mod:`.challenge`).
"""

from __future__ import annotations

import hmac

from cocogen.data.own.leaves import leaf_digests, root
from cocogen.data.own.rows import Rows
from cocogen.errors import RegistrationRefused
from cocogen.evidence.registered import Registration

__all__ = ["check_holdout"]


def check_holdout(registration: Registration, rows: Rows, secret: bytes) -> None:
    """That ``rows`` under the ``secret`` of 32 bytes, as the arbiter is shown them, are those registered.

    Raises
    ------
    RegistrationRefused
        They are not: a row, a label, their order or number, or the secret differs.
    """
    said = registration.document
    found = root(leaf_digests(secret, rows)).hex() if len(rows) else ""
    if len(rows) != said.leaves or not hmac.compare_digest(found, said.root):
        raise RegistrationRefused(
            said.organization,
            f"the {len(rows)} rows shown have the root {found}, not {said.root} of {said.leaves}, which was registered",
            hint="show the rows that were registered, under the secret of that time",
        )
