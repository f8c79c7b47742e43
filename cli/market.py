"""The market of the terms file that the options name, agreed and on an in-memory ledger, to solve and to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.output import Progress
    from cli.request import Request
    from cocogen.operations.market import OpenMarket
    from cocogen.terms.consortium import Consortium
    from cocogen.terms.resolved import ResolvedTerms

__all__ = ["asked_market"]


def asked_market(request: Request, bars: Progress) -> OpenMarket:
    """Load the terms, measure what they leave open if they train, agree on the rule, and deploy in memory."""
    from chain.twin.ledger import MemoryProvider
    from cocogen.operations.market import measured, open_market
    from cocogen.systems import SYSTEMS

    def measure(consortium: Consortium) -> ResolvedTerms:
        workspace, folders = request.new_workspace(consortium), request.folders(consortium)
        return measured(consortium, provider, workspace, folders=folders, progress=bars)

    terms = request.terms()
    provider = MemoryProvider(terms.consortium.seed)
    return open_market(terms, provider, SYSTEMS, measure)
