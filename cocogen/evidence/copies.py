"""Who handed in what another member handed in, too: then nobody can tell whose work it is.

Training draws its batches from streams of each organization and commitments are salted in secret, so that two honest
members share neither. Whoever copies has seen what it copies; who of the two that is, the bundles do not show, so both
are refused, and both see the name of the other. Left out: copies that were altered, if only by a bit
(docs/evidence.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from cocogen.evidence.bundle import Bundle
from cocogen.evidence.checks import Expectation

__all__ = ["copies"]

_NAMED = 3


def copies(bundles: Mapping[int, Bundle], expectations: Sequence[Expectation]) -> dict[int, str]:
    """Why whoever shares a classifier or a commitment with another of ``bundles`` is refused, by organization.

    ``bundles``: each verified alone, so that nobody is refused for what a stranger wrote. A classifier that is the
    base itself is nobody's work: whoever trains on no sample hands it back.
    """
    by_classifier, by_commitment = defaultdict(list), defaultdict(list)
    for n, bundle in bundles.items():
        if bundle.manifest.classifier != expectations[n].base.classifier.digest():
            by_classifier[bundle.manifest.classifier].append(n)
        for commitment in bundle.manifest.commitments:
            by_commitment[commitment].append(n)
    found = {}
    for n, bundle in bundles.items():
        twins = [m for m in by_classifier[bundle.manifest.classifier] if m != n]
        shared = Counter(m for c in bundle.manifest.commitments for m in by_commitment[c] if m != n)
        if twins:
            found[n] = f"a copy: its classifier is the very one that {_names(twins, expectations)} handed in, too"
        elif shared:
            count = sum(len(by_commitment[c]) > 1 for c in bundle.manifest.commitments)
            found[n] = (
                f"a copy: {count} of the real samples that it commits to are claimed by "
                f"{_names(sorted(shared), expectations)}, too"
            )
    return found


def _names(members: Sequence[int], expectations: Sequence[Expectation]) -> str:
    names = [expectations[m].organization for m in members]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
