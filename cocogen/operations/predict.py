"""Score new cases with a trained model, in the dialect of the site that holds them; nothing leaves the machine.

The file is read as the site's own data are (:mod:`cocogen.data.own.conform`), but has no label to be believed; what is
written are its other columns as they are, and the chance of each class. Left out: where the model comes from
(:mod:`.model_export`, or an exported file).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.conform import read_unlabelled
from cocogen.data.own.extras import polars
from cocogen.data.own.pictures import read_images
from cocogen.data.own.reading import unchanged
from cocogen.data.own.rows import Rows
from cocogen.data.own.site import Site, check_site, near
from cocogen.data.own.table import Images, Table
from cocogen.data.own.transform import Transform
from cocogen.data.sets.images import entries
from cocogen.errors import ConfigurationError, SiteError
from cocogen.files import whole_file
from cocogen.learning.exported.model import ExportedModel
from cocogen.operations.registration import Progress
from cocogen.terms.schema import ImageSchema

__all__ = ["PREFIX", "Scored", "predict"]

PREFIX = "p_"
"""What the columns of chances begin with; the name of the class follows."""
_TABS = (".tsv", ".tab")
_TEXT = (".csv", ".txt", *_TABS)
_BATCH = 20_000
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Scored:
    """What was written: the file, its ``kept`` columns, and how many ``rows`` are most likely of each class.

    ``clipped``: how many values of each number lie beyond the schema's bounds, by which the model was trained.
    """

    source: Path
    path: Path
    model: ExportedModel
    kept: tuple[str, ...]
    rows: int
    likely: dict[str, int]
    clipped: dict[str, int]

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        card = self.model.card
        return {
            "source": str(self.source),
            "file": str(self.path),
            "rows": self.rows,
            "kept": list(self.kept),
            "columns": [f"{PREFIX}{name}" for name in self.model.classes],
            "most_likely": self.likely,
            "clipped": self.clipped,
            "consortium": card.consortium,
            "round": card.round,
            "digests": card.digests.model_dump(mode="json", exclude_none=True),
        }


def predict(
    model: ExportedModel,
    site: Site,
    source: Path,
    output: Path,
    *,
    keep: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Write the cases of ``source`` to ``output``, each with the chance of every class, for the own account alone.

    ``source``: a file, or a folder of images, in the dialect of ``site``. ``output``: text, in the same dialect; it
    takes the place of a file of that name at the end, and not at all if anything is raised. ``keep``: columns to keep,
    by default all that are no features. Chances have 6 decimals.

    Raises
    ------
    ConfigurationError
        The model is of a named data set, which has no schema; the site file does not fit the schema; or the output is
        of no known kind, or the source itself.
    SiteError
        The source cannot be read, or is not what the schema asks for: it says where and what. Or a column to keep is
        not there, or cannot be written.
    WorkspaceError
        The output cannot be written.
    """
    if not isinstance(model.preparation, Transform):
        raise ConfigurationError(
            f"the model of {model.card.consortium} was trained on a named data set, which has no schema to read new "
            "cases by",
            hint="only consortia of own data have one; `cocogen model export` writes the model for other programs",
        )
    _check_output(source, output)
    if progress is not None:
        progress("reading the cases", 0, 1)
    data, beside = _read(site, source, model.preparation)
    kept = _kept(beside, keep, source)
    names = [f"{PREFIX}{name}" for name in model.classes]
    if clash := [name for name in kept if name in names]:
        raise SiteError(
            f"has a column {clash[0]!r} already, which the chance of a class is to be called",
            file=str(source),
            hint="name the columns to keep with --keep",
        )
    likely = np.zeros(len(names), dtype=np.int64)
    with whole_file(output, "the scored cases", private=True) as stream:
        text = _Text(stream, site, output)
        for start, chances in _scored(model, model.preparation, data):
            stop = start + len(chances)
            likely += np.bincount(chances.argmax(axis=1), minlength=len(names))
            columns = {name: beside[name][start:stop] for name in kept}
            columns |= {name: chances[:, c] for c, name in enumerate(names)}
            text.add(polars().DataFrame(columns), header=start == 0)
            if progress is not None:
                progress("scoring", stop, len(data))
    counted = dict(zip(model.classes, likely.tolist(), strict=True))
    return Scored(source, output, model, tuple(kept), len(data), counted, _clipped(data))


def _check_output(source: Path, output: Path) -> None:
    if output.suffix.lower() not in _TEXT:
        raise ConfigurationError(f"{output} is no file of text by its name", hint="end it in .csv or .tsv")
    if output.exists() and source.exists() and output.samefile(source):
        raise ConfigurationError(f"{output} is the file of the cases itself", hint="choose another name with -o")


def _read(site: Site, source: Path, preparation: Transform) -> tuple[Table | Images, Any]:
    """The cases, and what is beside their features: columns of a table, names of images, or their numbers from 1."""
    schema = preparation.schema
    if not isinstance(schema, ImageSchema):
        return read_unlabelled(site, source, schema)
    check_site(site, schema)
    with unchanged(source):
        images = read_images(site, source, schema, labelled=False)
        folder = source.is_dir()
        beside = [file.name for file in entries(source, Path.is_file)] if folder else range(1, len(images) + 1)
    return images, polars().DataFrame({"image": [str(name) for name in beside]})


def _clipped(data: Table | Images) -> dict[str, int]:
    if isinstance(data, Images):
        return {}
    counts = zip(data.schema.numbers, data.clipped.tolist(), strict=True)
    return {feature.name: count for feature, count in counts if count}


def _kept(beside: Any, keep: Sequence[str] | None, source: Path) -> Sequence[str]:
    there: list[str] = beside.columns
    if keep is None:
        return there
    for name in keep:
        if name not in there:
            meant = near(name, there)
            named = ", ".join(map(repr, there[:12])) or "none"
            raise SiteError(
                f"has no column {name!r} beside the features, to be kept",
                file=str(source),
                hint=f"did you mean {meant[0]!r}?" if meant else f"beside the features it has {named}",
            )
    return list(dict.fromkeys(keep))


def _scored(
    model: ExportedModel, preparation: Transform, data: Table | Images
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The chances (m, C) of the cases from the given one on, batch by batch."""
    rows = Rows.of(data)
    for start in range(0, len(data), _BATCH):
        cells = rows.cells(start, min(start + _BATCH, len(data)))
        yield start, model.probabilities(preparation.apply_to_cells(cells))


class _Text:
    """Frames as text of the site's dialect, one after the other."""

    def __init__(self, stream: BinaryIO, site: Site, path: Path) -> None:
        settings = site.csv
        tab = path.suffix.lower() in _TABS
        self._path, self._stream = path, stream
        self._encoder = codecs.getincrementalencoder(settings.encoding)()
        self._options = {
            "separator": "\t" if tab else settings.separator or ",",
            "decimal_comma": settings.decimal == ",",
            "float_precision": _DECIMALS,
            **({"quote_char": settings.quote} if settings.quote else {"quote_style": "never"}),
        }
        if self._options["separator"] == settings.decimal:
            raise ConfigurationError(
                f"{path} would have commas between its columns and within its numbers",
                hint="set [csv] separator in the site file, or end the name in .tsv",
            )

    def add(self, frame: Any, *, header: bool) -> None:
        text: str = frame.write_csv(include_header=header, **self._options)
        try:
            self._stream.write(self._encoder.encode(text))
        except UnicodeEncodeError as error:
            raise SiteError(
                f"holds {error.object[error.start : error.end]!r}, which the encoding {error.encoding} of the site "
                "file has no sign for",
                file=str(self._path),
                hint='keep fewer columns with --keep, or set [csv] encoding = "utf-8"',
            ) from error
