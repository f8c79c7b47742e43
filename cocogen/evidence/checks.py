"""Is this bundle what it claims to be? The checks that need nothing but the bundle and the terms of the round.

Every function returns silently or raises :class:`~cocogen.errors.EvidenceRejected` with the claim and what was found
instead. Left out: comparisons between members, and everything measured on data (:mod:`cocogen.evidence.attester`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cocogen.data.samples import Samples
from cocogen.errors import EvidenceRejected
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.leaves import check_leaves
from cocogen.evidence.privacy import UpdatePrivacy
from cocogen.learning.generators.quality import panel_labels
from cocogen.learning.models.states import SharedModel
from cocogen.learning.training.local import Schedule
from cocogen.learning.training.scaffold import Variate

__all__ = ["FEATURE_LIMIT", "Expectation", "check_arrays", "check_identity", "check_log", "check_update"]

FEATURE_LIMIT = 50.0
_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the attester knows of one organization and round before it opens the bundle.

    ``registered``: real samples of the terms. ``maximum``: synthetic samples it may generate. ``base``: the shared
    model that it was given. ``inputs``, ``classes``, ``panel``: shape of a sample, number of classes, panel samples
    of each class. ``schedule``: local training of the classifier. ``privacy``: of its update, None when not agreed.
    ``variate``: what SCAFFOLD keeps of the organization, None when not agreed. ``leaves``: training rows that it
    registered of its own data, None where one data set was shared out. ``challenge``: what the attester committed to,
    None where no rows are opened.
    """

    organization: str
    address: str
    round: int
    terms_hash: bytes
    registered: int
    maximum: int
    base: SharedModel
    inputs: int
    classes: int
    panel: int
    schedule: Schedule
    privacy: UpdatePrivacy | None = None
    variate: Variate | None = None
    leaves: int | None = None
    challenge: str | None = None


def check_identity(bundle: Bundle, expected: Expectation, verify: Callable[[str, bytes, bytes], bool]) -> None:
    """Signed by the organization's registered address, for this round, these terms and this shared model.

    ``verify`` tells whether a signature over a digest is that of an address: (address, digest, signature).
    """
    name, manifest = expected.organization, bundle.manifest
    if not verify(expected.address, bundle.digest(), bundle.signature):
        raise EvidenceRejected(
            name,
            f"not signed by the registered address {expected.address}, or altered after signing",
            hint="sign again with the organization's registered key",
        )
    claims: tuple[tuple[str, object, object], ...] = (
        ("organization", manifest.organization, name),
        ("round", manifest.round, expected.round),
        ("terms", manifest.terms_hash, expected.terms_hash.hex()),
        ("base model", manifest.base, expected.base.digest()),
        ("challenge", manifest.challenge, expected.challenge),
        ("control variate", manifest.control_variate, expected.variate and expected.variate.state.digest()),
    )
    for what, claimed, wanted in claims:
        if claimed != wanted:
            raise EvidenceRejected(
                name, f"its {what} is {claimed}, not {wanted}", hint="train again on this round's terms and model"
            )


def check_arrays(bundle: Bundle, expected: Expectation) -> None:
    """The arrays are those that were signed, of the right shapes, finite, and within the range of real features."""
    name, manifest = expected.organization, bundle.manifest
    for part, state, base, signed in (
        ("classifier", bundle.classifier, expected.base.classifier, manifest.classifier),
        ("generator", bundle.generator, expected.base.generator, manifest.generator),
    ):
        if state.digest() != signed:
            raise EvidenceRejected(name, f"its {part} is not the one that was signed", hint="ask for a new bundle")
        if state.layout != base.layout:
            raise EvidenceRejected(
                name, f"its {part} has the parameters {state!r}, not {base!r}", hint="train the agreed model"
            )
        if not state.is_finite():
            raise EvidenceRejected(name, f"its {part} holds NaN or infinity", hint="lower the learning rate")
    for part, samples, signed in (
        ("synthetic", bundle.synthetic, manifest.synthetic),
        ("panel", bundle.panel, manifest.panel),
    ):
        _check_samples(part, samples, signed, expected)
    if not np.array_equal(bundle.panel.labels, panel_labels(expected.classes, expected.panel)):
        raise EvidenceRejected(
            name, f"its panel does not hold {expected.panel} samples of each class in order", hint="train again"
        )


def check_log(bundle: Bundle, expected: Expectation) -> None:
    """Counts re-derived: distinct real samples and synthetic rows are what the logged batches went through.

    Every epoch visits each sample once, in full batches but for the last, so steps, batch sizes and epochs follow
    from the two counts.
    """
    name, manifest, schedule = expected.organization, bundle.manifest, expected.schedule
    log = manifest.training
    real, raw = _count_real(bundle, expected), len(bundle.synthetic.labels)
    if real > expected.registered:
        raise EvidenceRejected(
            name, f"it claims {real} real samples, but registered {expected.registered}", hint="use registered samples"
        )
    if manifest.raw != raw:
        raise EvidenceRejected(name, f"it claims {manifest.raw} synthetic samples, but hands in {raw}", hint="recount")
    if raw > expected.maximum:
        raise EvidenceRejected(
            name, f"it generated {raw} samples, more than the agreed {expected.maximum}", hint="generate fewer"
        )
    per_epoch = -(-(real + raw) // schedule.batch_size)
    if log.epoch_steps != (per_epoch,) * schedule.epochs:
        raise EvidenceRejected(
            name,
            f"its log has {log.epoch_steps} steps an epoch, but {real + raw} samples in batches of "
            f"{schedule.batch_size} make {per_epoch} in each of {schedule.epochs} epochs",
            hint="train as the terms say",
        )
    steps = per_epoch * schedule.epochs
    columns = (log.real, log.synthetic, log.losses, log.gradient_norms)
    if any(len(column) != steps for column in columns):
        raise EvidenceRejected(
            name,
            f"its log has columns of {[len(column) for column in columns]} entries, not {steps}",
            hint="log it all",
        )
    for epoch in range(schedule.epochs):
        part = slice(epoch * per_epoch, (epoch + 1) * per_epoch)
        batches = [r + s for r, s in zip(log.real[part], log.synthetic[part], strict=True)]
        if (sum(log.real[part]), sum(log.synthetic[part])) != (real, raw) or any(
            size != schedule.batch_size for size in batches[:-1]
        ):
            raise EvidenceRejected(
                name,
                f"epoch {epoch + 1} of its log goes through {sum(log.real[part])} real and "
                f"{sum(log.synthetic[part])} synthetic samples in batches {batches}, but {real} and {raw} are claimed",
                hint="visit every sample once an epoch",
            )


def _count_real(bundle: Bundle, expected: Expectation) -> int:
    """Distinct real samples: commitments, or registered leaves where the data are the members' own."""
    name, manifest = expected.organization, bundle.manifest
    if expected.leaves is not None:
        if manifest.leaves is None or manifest.commitments:
            raise EvidenceRejected(
                name,
                f"it names {len(manifest.commitments)} commitments, and {'no' if manifest.leaves is None else 'also'} "
                "registered rows",
                hint="registered rows alone count where organizations bring their own data",
            )
        check_leaves(name, manifest.leaves, expected.leaves)
        return manifest.real
    if manifest.leaves is not None:
        raise EvidenceRejected(
            name, "it names registered rows, but no data were registered", hint="commit to each sample"
        )
    real = len(set(manifest.commitments))
    if real != len(manifest.commitments):
        raise EvidenceRejected(
            name,
            f"it counts {len(manifest.commitments)} real samples, but only {real} are distinct",
            hint="commit to each sample once",
        )
    return real


def check_update(bundle: Bundle, expected: Expectation) -> None:
    """The classifier moved as far as it says, no further than its logged gradients carry, and not nowhere.

    SGD with momentum μ and learning rate η moves at most η/(1 − μ) Σ_t ‖g_t‖. The generator's distance is checked
    against the manifest only: Adam's steps do not follow gradient norms.

    Under differential privacy gradient norms are withheld and noise moves the classifier: then it is only known to move
    no further than the clipped update and the noise can.
    """
    name, manifest, schedule = expected.organization, bundle.manifest, expected.schedule
    for part, state, base, claimed in (
        ("classifier", bundle.classifier, expected.base.classifier, manifest.update_norm),
        ("generator", bundle.generator, expected.base.generator, manifest.generator_update_norm),
    ):
        moved = state.distance(base)
        if not math.isclose(moved, claimed, rel_tol=_NORM_TOLERANCE, abs_tol=1e-6):
            raise EvidenceRejected(
                name,
                f"its {part} moved by {moved:.6g}, not by {claimed:.6g} as it says",
                hint="report what was trained",
            )
    norms = manifest.training.gradient_norms
    if expected.privacy is not None:
        _check_protected(bundle, expected, expected.privacy)
        return
    reach = schedule.learning_rate / (1.0 - schedule.momentum) * sum(norms)
    if manifest.update_norm > reach * (1.0 + _NORM_TOLERANCE) + 1e-6:
        raise EvidenceRejected(
            name,
            f"its classifier moved by {manifest.update_norm:.6g}, but its logged gradients carry at most {reach:.6g}",
            hint="submit the update that was trained",
        )
    if norms and bundle.classifier.digest() == expected.base.classifier.digest():
        raise EvidenceRejected(name, f"it logs {len(norms)} steps, but its classifier did not move", hint="train")


def _check_protected(bundle: Bundle, expected: Expectation, privacy: UpdatePrivacy) -> None:
    name, manifest = expected.organization, bundle.manifest
    if any(manifest.training.gradient_norms) or any(manifest.training.losses):
        raise EvidenceRejected(
            name,
            "its log tells losses and gradient norms, which the privacy of the terms withholds",
            hint="train as the terms say",
        )
    reach = privacy.reach(sum(array.size for array in bundle.classifier.values()))
    if manifest.update_norm > reach:
        raise EvidenceRejected(
            name,
            f"its classifier moved by {manifest.update_norm:.6g}, but an update clipped to {privacy.clip:g} with the "
            f"agreed noise moves at most {reach:.6g}",
            hint="clip the update, and add the noise that the terms say",
        )


def _check_samples(part: str, samples: Samples, signed: str, expected: Expectation) -> None:
    name, features, labels = expected.organization, samples.features, samples.labels
    if samples.digest() != signed:
        raise EvidenceRejected(name, f"its {part} samples are not those that were signed", hint="ask for a new bundle")
    if labels.ndim != 1 or features.shape != (len(labels), expected.inputs):
        raise EvidenceRejected(
            name,
            f"its {part} samples have shapes {features.shape} and {labels.shape}, not (m, {expected.inputs}) and (m,)",
            hint="generate samples of the agreed data set",
        )
    if not np.isfinite(features).all() or np.abs(features).max(initial=0.0) > FEATURE_LIMIT:
        raise EvidenceRejected(
            name,
            f"its {part} samples hold NaN, infinity or features beyond {FEATURE_LIMIT:g} standard deviations",
            hint="retrain the generator",
        )
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < expected.classes:
        raise EvidenceRejected(
            name, f"its {part} labels reach beyond the {expected.classes} classes", hint="use the agreed classes"
        )
