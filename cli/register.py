"""``cocogen register``: show what a site discloses, ask, sign it and write it; and ``cocogen backup`` of its state."""

from __future__ import annotations

import functools
import math
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from cli.options import format_option, key_options
from cli.output import announced, emit, note, progress, say, table, wrapped
from cli.signer import site_signer
from cocogen.data.own.rows import SCALE
from cocogen.data.own.site import Site, load_site
from cocogen.data.own.sums import NumberSums
from cocogen.errors import ConfigurationError, NotAgreed
from cocogen.operations.register import Prepared, prepare, register, schema_of
from cocogen.operations.site_backup import back_up, restore
from cocogen.operations.site_state import SiteState
from cocogen.terms.consortium import load_consortium
from cocogen.terms.schema import NumberFeature, TableSchema

__all__ = ["backup", "register_"]

_FILE = functools.partial(click.Path, dir_okay=False, path_type=Path)


@click.command("register", short_help="Sign the sums of your own data, and show what leaves.")
@click.argument("site_file", metavar="SITE", type=_FILE(exists=True))
@click.option("--terms", "terms_file", metavar="FILE", type=_FILE(exists=True), required=True, help="The terms file.")
@click.option("-o", "--output", metavar="FILE", type=_FILE(), help="Where it goes.  [default: NAME.registration]")
@click.option("--signature", metavar="0x…", help="What the owners of a contract wallet signed the shown digest with.")
@click.option("--yes", is_flag=True, help="Do not ask; without it a person at a terminal is asked.")
@key_options
@announced("reading the site file and the terms")
def register_(
    site_file: Path,
    terms_file: Path,
    output: Path | None,
    signature: str | None,
    yes: bool,
    keys: str | None,
    password_file: str | None,
    format_: str,
) -> None:
    """Register the data of the site file SITE for a consortium: counts and exact sums of its training rows, and the
    root over salted hashes of all rows, signed with the organization's key. Nothing else is in the file.

    What leaves is shown, and asked for, before it is signed. NAME.registration goes to whoever deploys, NAME.leaves to
    the attester alone. The folder NAME.state beside the site file keeps the site's secret: nobody else may see it, and
    `cocogen backup` makes a copy. Registering the same rows again changes nothing; rows that differ by fewer than
    minimum_cell are refused, since the difference of both registrations would show them.
    """
    as_json = format_ == "json"
    site, terms = load_site(site_file), load_consortium(terms_file)
    schema_of(terms)
    signer = site_signer(site.organization, terms, keys, password_file)
    state = SiteState.beside(site_file, site.organization)
    path = output or Path(f"{site.organization}.registration")
    leaves = None if site.is_attester else path.with_suffix(".leaves")
    with progress() as bars:
        prepared = prepare(site, terms, state, signer.address, bars)
    if not as_json:
        _show(prepared, site, path, leaves)
    if signer.development:
        note(f"warning: {signer.address} is a development account: good for local chains, where money is worthless")
    person = not yes and not as_json and sys.stdin is not None and sys.stdin.isatty()
    if person and not click.confirm("Sign and write this?", default=False, err=True):
        raise NotAgreed("nothing was registered: you did not agree", hint="nothing has left this machine")
    digest = prepared.document.digest()
    made = signer.sign(digest) if signature is None else _signature(signature)
    if made is None and prepared.before is not None and prepared.made_before:
        made = prepared.before.registration.signature or None
    register(prepared, made or b"", state, path, leaves)
    before = prepared.before
    replaced = None if before is None or prepared.made_before else before.registration.document.digest().hex()
    data = {
        "organization": site.organization,
        "consortium": terms.consortium.name,
        "address": signer.address,
        "digest": f"0x{digest.hex()}",
        "signed": made is not None,
        "again": prepared.made_before,
        "replaces": replaced,
        "document": prepared.document.model_dump(mode="json"),
        "registration": str(path),
        "leaves": None if leaves is None else str(leaves),
        "state": str(state.root),
    }
    emit(data, lambda: say(*_lines(data)), as_json=as_json)


@click.command(short_help="Copy a site's secret and memory to a file, or back.")
@click.argument("site_file", metavar="SITE", type=_FILE(exists=True))
@click.option("-o", "--output", metavar="FILE", type=_FILE(), help="Write the backup to this file.")
@click.option("--restore", "source", metavar="FILE", type=_FILE(exists=True), help="Make the state folder of this one.")
@format_option
def backup(site_file: Path, output: Path | None, source: Path | None, format_: str) -> None:
    """Copy the state folder of the site file SITE (NAME.state beside it) to one file, or make it of one.

    In it are the site's secret, what it registered, and the list of what has left it; neither data nor keys. Keep it as
    you keep a key: with the secret, rows can be guessed from their leaves. Without it the registered rows cannot be
    used any more. A backup replaces no folder that is there.
    """
    if (output is None) == (source is None):
        raise ConfigurationError("name one of -o FILE and --restore FILE")
    state = SiteState.beside(site_file, load_site(site_file).organization)
    files = back_up(state, output) if output is not None else restore(source or Path(), state)
    data = {"state": str(state.root), "backup": str(output or source), "restored": source is not None, "files": files}
    done = f"{state.root} is in {output}" if output is not None else f"{state.root} is restored from {source}"
    emit(data, f"{done}: {len(files)} files", as_json=format_ == "json")


def _signature(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise ConfigurationError(f"{text[:80]!r} is no signature", hint="0x and hexadecimal digits") from None


def _lines(data: dict[str, Any]) -> list[str]:
    found = [f"wrote {data['registration']}: it goes to whoever deploys {data['consortium']}"]
    if data["leaves"] is not None:
        found.append(f"wrote {data['leaves']}: it goes to the attester, and to nobody else")
    if not data["signed"]:
        found.append(f"not signed: the key of {data['address']} is not here. Its owners sign the digest")
        found.append(f"  {data['digest']}, then: --signature 0x…")
    if data["replaces"] is not None:
        found.append(f"it takes the place of the registration {data['replaces']}: tell whoever deploys")
    found.append(f"keep {data['state']} to yourself, and a copy of it: cocogen backup SITE -o FILE")
    return [line for text in found for line in wrapped(text)]


def _show(prepared: Prepared, site: Site, path: Path, leaves: Path | None) -> None:
    """Everything that is about to leave the site."""
    document, sums, schema = prepared.document, prepared.sums, prepared.kept.schema
    say(*wrapped(f"What leaves {site.organization} for the consortium {document.consortium}, once it is signed:"), "")
    rows: list[list[str]] = [
        [name, f"{training:,}", f"{validation:,}"]
        for name, training, validation in zip(schema.classes, sums.classes, sums.validation, strict=True)
    ]
    first = "holdout" if site.is_attester else "training rows"
    table("counts of each class", ["class", first, "validation rows"], rows)
    if isinstance(schema, TableSchema) and not site.is_attester:
        _show_features(prepared, schema)
    for n, channel in enumerate(sums.channels if not site.is_attester else ()):
        say(f"channel {n}: sum of bytes {channel.total:,}, sum of their squares {channel.squares:,}")
    size = len(prepared.kept.leaves)
    say(*wrapped(f"root over {size:,} salted hashes, one for each row: {document.root}"))
    say(*wrapped(f"key {document.address}; digests of terms {document.terms_digest} and schema"))
    everybody = "everybody in the consortium reads them: " if leaves is None else "everybody reads them: "
    say("", *wrapped(f"{everybody}{path}"))
    if leaves is not None:
        say(*wrapped(f"the attester alone gets the {size:,} hashes, {size * 32:,} bytes: {leaves}"))
    if prepared.made_before:
        say(*wrapped("all of this was registered before: it is the same registration"))
    say("")


def _show_features(prepared: Prepared, schema: TableSchema) -> None:
    sums = prepared.sums
    if sums.numbers:
        rows = [
            [feature.name, f"{own.count:,}", f"{own.missing:,}", f"{own.clipped:,}", *_moments(feature, own)]
            for feature, own in zip(schema.numbers, sums.numbers, strict=True)
        ]
        table(
            "numbers of the training rows",
            ["number", "values", "missing", "clipped", "mean", "deviation"],
            rows,
            caption="mean and deviation leave as two exact sums; clipped counts validation rows, too",
        )
    for category, levels in zip(schema.categories, sums.categories, strict=True):
        counts = [f"{name} {count:,}" for name, count in zip(category.levels, levels.counts, strict=True)]
        say(*wrapped(f"{category.name}: {', '.join(counts)}, missing {levels.missing:,}"))


def _moments(feature: NumberFeature, own: NumberSums) -> tuple[str, str]:
    """Mean and deviation in the schema's unit: what the two sums tell."""
    if not own.count:
        return "-", "-"
    width = feature.maximum - feature.minimum
    variance = Fraction(own.count * own.squares - own.total**2, own.count**2 * SCALE**2)
    return (
        f"{feature.minimum + float(Fraction(own.total, own.count * SCALE)) * width:.6g}",
        f"{math.sqrt(variance) * width:.6g}",
    )
