"""`skygate query`: ADQL from the command line, to the eyes, a pipe, or a file of any format."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import pyarrow as pa

from skygate.errors import BadParameter, BadQuery, CallerError, Where

if TYPE_CHECKING:
    from skygate.client.wires import Streamed
    from skygate.domain.catalog import Column
    from skygate.domain.query import Outcome
    from skygate.formats.media import Format

_SHOWN_ROWS = 100
_CUT_STATUS = 3


@click.command()
@click.argument("adql")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file; its ending names the format (.fits .vot .csv .parquet .h5 …).",
)
@click.option(
    "-f", "--format", "format_name", help="Format: votable, csv, tsv, json, fits, parquet, hdf5, arrow."
)
@click.option("--url", envvar="SKYGATE_URL", help="Ask the service at this address ($SKYGATE_URL).")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Ask the releases in this directory, without a server ($SKYGATE_ROOT, else ./skygate-data).",
)
@click.option("--maxrec", type=click.IntRange(min=0), help="Most rows of the answer.")
def query(
    adql: str,
    output: Path | None,
    format_name: str | None,
    url: str | None,
    root: Path | None,
    maxrec: int | None,
) -> None:
    """Run ADQL and show, print or save its rows. With - the query is read from standard input.

    On a terminal the first rows are shown as a table; into a pipe goes CSV; -o writes a file, which appears
    only when it is complete.

    Exit status: 0 done, 1 the service's fault, 2 your query or option is wrong, 3 the default limit cut the
    answer off (give --maxrec to choose the limit yourself).
    """
    from skygate.connection import connect

    text = sys.stdin.read() if adql == "-" else adql
    form = _form(output, format_name)
    if url and root:
        raise BadParameter("both --url and --root are given", hint="give one of them")
    try:
        with connect(url or root) as client, client.stream(text, maxrec=maxrec) as rows:
            _deliver(rows, text, output=output, form=form)
            cut = rows.outcome is not None and rows.outcome.overflow
    except BadQuery as fault:
        click.echo(f"skygate: {fault}\n{excerpt(text, fault.where)}".rstrip(), err=True)
        raise click.exceptions.Exit(2) from None
    except BrokenPipeError:
        # the reader of our pipe has enough; Python must not complain when it closes standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None
    if cut:
        assert rows.outcome is not None
        click.echo(
            f"skygate: warning: only the first {rows.outcome.rows} rows; more exist (see --maxrec)", err=True
        )
        if maxrec is None:
            raise click.exceptions.Exit(_CUT_STATUS)


def _form(output: Path | None, format_name: str | None) -> Format | None:
    """The format to write; None for a table on the terminal."""
    from skygate.formats import media

    if format_name is not None:
        form = media.pick(format_name)
    elif output is not None:
        try:
            form = media.of_extension(output.suffix)
        except BadParameter as fault:
            raise BadParameter(fault.message, hint="name one with --format", where=Where(name="-o")) from None
    elif _on_terminal():
        return None
    else:
        form = media.pick("csv")
    if output is None and _on_terminal() and not form.content_type.startswith(("text/", "application/json")):
        raise BadParameter(
            f"{form.name} is nothing for a terminal", hint="name a file with -o, or use a pipe"
        )
    return form


def _on_terminal() -> bool:
    """Whether somebody reads what we print."""
    return sys.stdout.isatty()


def _deliver(rows: Streamed, text: str, *, output: Path | None, form: Format | None) -> None:
    if form is None:
        _show(rows)
        return
    from skygate.domain.query import About
    from skygate.formats import media

    heard = _Heard(rows)
    chunks = media.write(form, heard, About(query=text, infos=_infos(rows)))
    if output is None:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        heard.check()
        return
    with _appearing(output) as file:
        for chunk in chunks:
            file.write(chunk)
        heard.check()
    if sys.stderr.isatty() and heard.outcome is not None:
        click.echo(f"{heard.outcome.rows} rows in {output}", err=True)


class _Heard:
    """Rows that remember what broke them off: VOTable tells it in the document, we must tell it too."""

    def __init__(self, rows: Streamed) -> None:
        self.columns: tuple[Column, ...] = rows.columns
        self._rows = rows
        self._fault: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._rows
        except Exception as fault:
            self._fault = fault
            raise

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, when it has ended well."""
        return self._rows.outcome

    def close(self) -> None:
        """Read no further."""
        self._rows.close()

    def check(self) -> None:
        """Raise what broke the rows off."""
        if self._fault is not None:
            raise self._fault
        if self.outcome is None:
            raise CallerError("the answer cannot be written in this format", hint="choose another --format")


def _infos(rows: Streamed) -> tuple[tuple[str, str], ...]:
    """The remarks that came with the rows."""
    import json

    told = json.loads((rows.schema.metadata or {}).get(b"skygate.infos", b"{}"))
    return tuple(
        (name, value)
        for name, found in told.items()
        for value in ([found] if isinstance(found, str) else found)
    )


def _show(rows: Streamed) -> None:
    """The first rows as a table as wide as the terminal."""
    from skygate.client.show import box

    batches: list[pa.RecordBatch] = []
    count = 0
    ended = True
    for batch in rows:
        batches.append(batch)
        count += batch.num_rows
        if count > _SHOWN_ROWS:
            ended = False
            break
    table = pa.Table.from_batches(batches, rows.schema)
    click.echo(box(table.slice(0, _SHOWN_ROWS), rows.columns, width=shutil.get_terminal_size().columns))
    if count > _SHOWN_ROWS:
        click.echo(f"… the first {_SHOWN_ROWS} rows; -o FILE saves all of them")
    elif ended:
        click.echo(f"{count} row{'' if count == 1 else 's'}")


@contextmanager
def _appearing(path: Path) -> Generator[IO[bytes]]:
    """A file that takes its name only when it is complete, and leaves nothing otherwise."""
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as fault:
        raise BadParameter(f"{path} cannot be written: {fault.strerror}", where=Where(name="-o")) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(part).chmod(0o666 & ~mask)
        os.replace(part, path)
    except OSError as fault:
        Path(part).unlink(missing_ok=True)
        raise BadParameter(f"{path} cannot be written: {fault.strerror}", where=Where(name="-o")) from None
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def excerpt(text: str, where: Where | None) -> str:
    """The line of a fault with a caret under its token; nothing where the place is not known."""
    from skygate.client.show import wide

    lines = text.splitlines()
    if where is None or where.line is None or where.column is None or not 1 <= where.line <= len(lines):
        return ""
    line = lines[where.line - 1]
    before = line[: where.column - 1]
    length = len((where.token or "").split("\n")[0]) or 1
    marked = line[where.column - 1 : where.column - 1 + length]
    carets = "^" * max(1, sum(wide(c) for c in marked))
    return f"  {line.replace(chr(9), ' ')}\n  {' ' * sum(wide(c) for c in before)}{carets}"
