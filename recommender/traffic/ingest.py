"""From files to tables: sources x formats -> edges, in one process or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

import pandas as pd

from recommender.errors import OptionError
from recommender.traffic.edges import Edges
from recommender.traffic.formats import reader_of
from recommender.traffic.frame import table_of
from recommender.traffic.sources.files import expand
from recommender.traffic.tables import Reading
from recommender.traffic.tally import Tally
from recommender.traffic.work import Task, cores, read_all

Progress = Callable[[int, int | None], None]


def read_edges(
    *sources: str | Path | IO[bytes],
    format: str = "auto",  # noqa: A002
    since: datetime | None = None,
    until: datetime | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The edge table of flow logs: a row a distinct (hour, source, destination, protocol, port).

    The same lines give an equal table in any order, over any files, with any ``jobs``.

    Args:
        sources: files, globs, folders (all files in them), ``-`` for standard input, or binary
            streams. Gzip, zstd, bzip2 and xz are recognised by their content.
        format: a name in ``formats.FORMATS``, or ``auto``.
        since: flows before it are left out. Has a time zone.
        until: flows after it are left out. Has a time zone.
        jobs: processes to read with; 0 is one for each core.
        progress: called with the bytes read and the bytes there are, None where not known.

    Returns:
        A table with ``tables.EDGE_COLUMNS``; ``attrs["reading"]`` is its :class:`Reading`, whose
        ``oldest`` and ``newest`` are of all flows in the files, also those left out.

    Raises:
        InputError: a path does not exist, a glob matches nothing, or a file cannot be read.
        FormatError: a file is mostly no flows; says what it looks like.
        OptionError: the format is unknown, a time has no time zone, or ``jobs`` is negative.
    """
    return _read(sources, Task(format, since, until), jobs, progress)


def read_flows(
    *sources: str | Path | IO[bytes],
    format: str = "auto",  # noqa: A002
    since: datetime | None = None,
    until: datetime | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The flow table: a row a distinct connection (five-tuple, by hour), for small recordings.

    Takes and raises what :func:`read_edges` does.

    Returns:
        A table with ``tables.FLOW_COLUMNS``.
    """
    return _read(sources, Task(format, since, until, by_port=True), jobs, progress)


def _read(
    sources: tuple[str | Path | IO[bytes], ...], task: Task, jobs: int, progress: Progress | None
) -> pd.DataFrame:
    for name, time in (("since", task.since), ("until", task.until)):
        if time is not None and time.tzinfo is None:
            raise OptionError(f"{name} has no time zone: {time}")
    if jobs < 0:
        raise OptionError(f"jobs must be 0 or more, is {jobs}")
    reader_of(task.format, Edges())
    edges, tallies = read_all(expand(sources), task, jobs or cores(), progress)
    table = table_of(edges)
    table.attrs["reading"] = _reading(tallies, table)
    return table


def _reading(tallies: list[Tally], table: pd.DataFrame) -> Reading:
    counts: Counter[str] = sum((tally.counts for tally in tallies), Counter())
    nodes: Counter[str] = sum((tally.nodes for tally in tallies), Counter())
    return Reading(
        files=[tally.file for tally in tallies],
        lines=counts.total(),
        flows=int(table["flows"].sum()),
        connections=int(table["connections"].sum()),
        bad=sum(tally.bad for tally in tallies),
        lost_events=sum(tally.lost_events for tally in tallies),
        counts=dict(sorted(counts.items())),
        nodes=dict(sorted(nodes.items())),
        rejects=[reject for tally in tallies for reject in tally.rejects],
        oldest=min((pd.Timestamp(tally.oldest) for tally in tallies if tally.oldest), default=None),
        newest=max((pd.Timestamp(tally.newest) for tally in tallies if tally.newest), default=None),
    )
