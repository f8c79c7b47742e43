"""The whole job in one go: every round that is left is played, then the ledger is audited and the result kept.

The ledger says where the rounds stand, so that the same call goes on where a killed process stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from cocogen.errors import WorkspaceError
from cocogen.ledger import Deployment, LedgerProvider
from cocogen.operations.agreement import deployed_terms
from cocogen.operations.deployment import load_deployment
from cocogen.operations.leakage import inspect_run, privacy_spent
from cocogen.operations.registration import Progress
from cocogen.operations.results import RunResult, result_of
from cocogen.operations.sent import Note, once_by_state, unheard
from cocogen.operations.session import Session, data_folders, load_resolved
from cocogen.operations.sources import named
from cocogen.operations.study import StudyRun
from cocogen.operations.verdict import Auditor, audit
from cocogen.rounds.workspace import Workspace
from cocogen.systems import load_consortium
from cocogen.terms.consortium import Consortium
from cocogen.terms.metrics import metric_field, metric_words
from cocogen.terms.sections import OWN

__all__ = ["run", "take_up"]


def take_up(
    workspace: Workspace, consortium: Consortium, *, own: bool = False, note: Note = unheard
) -> Deployment | None:
    """The deployment of an unfinished run of these terms, to go on with; None where a new one has to be deployed.

    A finished run is set aside, never lost; ``note`` is told so. ``own``: the unfinished run is the caller's.

    Raises
    ------
    WorkspaceError
        The folder holds an unfinished run of other terms.
    """
    if not workspace.deployment.exists():
        return None
    finished = workspace.report.exists()
    disagreements = load_resolved(workspace).disagreements(consortium)
    if not finished and disagreements:
        raise WorkspaceError(
            f"{workspace.root} holds an unfinished run of other terms; they differ in {', '.join(disagreements)}",
            hint="finish it with its own terms file, or choose another folder with --workspace",
        )
    if finished:
        note(f"an earlier run is kept in {workspace.set_aside()}")
        return None
    if not own:
        note(f"going on with the unfinished run in {workspace.root}")
    return load_deployment(workspace.deployment)


def run(
    session: Session,
    auditor: Auditor,
    *,
    consortium: Consortium | None = None,
    study_ledger: Callable[[], LedgerProvider] | None = None,
    progress: Progress | None = None,
    note: Note = unheard,
) -> RunResult:
    """Bond, plan, train, attest and settle every round that is left, audit the ledger, and keep the result.

    Parameters
    ----------
    session : Session
        Of :func:`cocogen.open_consortium`; the keys of all organizations and roles must be at hand.
    auditor : callable
        Who recomputes the ledger, for example ``chain.audit.audit_deployment``.
    consortium : Consortium, optional
        The terms file that the ledger must be of, by default the one that was deployed.
    study_ledger : callable, optional
        Makes a fresh ledger in memory, and can be pickled: with it the rounds are also compared, over all test folds
        and in processes of their own, with training alone and without generation.
    progress : callable, optional
        Told (description, done, total) now and then.
    note : callable, optional
        Told, a line at a time, how each round went.

    Raises
    ------
    LedgerError
        The ledger refuses a step, or cannot be reached.
    LearningError
        The data are not there, or training fails.
    WorkspaceError
        A file of the workspace was altered, is missing, or cannot be written.
    """
    tell = progress or _untold
    loop, rounds = session.loop, session.resolved.consortium.rounds
    loop.progress = progress or loop.progress
    metric = session.resolved.learning.metric
    field, words = metric_field(metric), metric_words(metric)
    with contextlib.ExitStack() as stack:
        comparison = None
        if study_ledger is not None:
            terms = consortium or load_consortium(deployed_terms(session))
            data = named(data_folders(terms.folder, session.data_dir))
            source = session.sourcing() if terms.learning.dataset == OWN else data
            incentive = session.resolved.incentive
            comparison = StudyRun(terms, incentive, study_ledger, first_fold=False, source=source)
            stack.callback(comparison.cancel)
        while True:
            state = session.ledger.state()
            done = state.round if state.phase == "idle" else state.round - 1
            tell("rounds", done, rounds)
            if done >= rounds:
                break
            if state.phase == "idle":
                once_by_state(session.journal, loop.bond, note)
            report = loop.play()
            found = f", {words} {report.evaluation[field]:.4f}" if report.evaluation else ""
            note(f"round {report.round} of {rounds} {report.status}{found}")
        loop.deliver()
        reports = [loop.report(number) for number in range(1, rounds + 1)]
        tell("auditing the ledger", 0, 1)
        audited = audit(session, auditor, terms_file=None if consortium is None else consortium.file)
        tell("auditing the ledger", 1, 1)
        tell("comparing synthetic with training samples", 0, 1)
        looked_at = inspect_run(session, rounds)
        tell("comparing synthetic with training samples", 1, 1)
        settled = next((r.evaluation[field] for r in reversed(reports) if r.evaluation), None)
        compared = None
        if comparison is not None and settled is not None:
            compared = comparison.result(settled=settled, progress=progress)
    result = result_of(
        session,
        reports,
        audit=audited,
        memorization=looked_at,
        privacy=privacy_spent(session, session.resolved.names),
        study=compared,
    )
    session.workspace.write_json(session.workspace.report, result.plain())
    return result


def _untold(description: str, done: int, total: int) -> None:
    del description, done, total
