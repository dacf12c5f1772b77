"""The span of an edge table that is learned from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from recommender.errors import EvidenceError
from recommender.traffic.tables import Reading, reading_of

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time (UTC), both ends included."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S} UTC"


def in_window(
    edges: pd.DataFrame, since: timedelta | datetime | None, until: datetime | None
) -> tuple[pd.DataFrame, Window]:
    """The edges seen in the window, and the window as it turned out.

    The table counts by the hour: an hour that the window cuts is taken whole.

    Args:
        edges: an edge table.
        since: how far to look back from ``until`` (or the newest flow), or a time; None for all.
        until: the end; None for the newest flow.

    Raises:
        EvidenceError: nothing was seen in it; names the newest flow there is, and what to give instead.
    """
    reading = reading_of(edges)
    newest = max((t for t in (reading.newest, edges["last"].max()) if not pd.isna(t)), default=None)
    oldest = min((t for t in (reading.oldest, edges["first"].min()) if not pd.isna(t)), default=None)
    if newest is None or oldest is None:
        raise EvidenceError(f"no flows: the recording holds no connection at all{_read(reading)}")
    end = newest if until is None or edges.empty else min(edges["last"].max(), pd.Timestamp(until))
    if isinstance(since, timedelta):
        start = pd.Timestamp(until or end) - since
    else:
        start = pd.Timestamp(since) if since is not None else edges["first"].min()
    chosen = edges[(edges["last"] >= start) & (edges["first"] <= end)]
    if chosen.empty:
        span = "" if edges.empty else f" between {_iso(start)} and {_iso(until or end)}"
        raise EvidenceError(
            f"no flows in the window{span}; the newest flow is of {_iso(newest.ceil('s'))}: "
            f"give {_instead(since, until, oldest, newest)}"
        )
    return chosen, Window(max(start, chosen["first"].min()).to_pydatetime(), end.to_pydatetime())


def _instead(
    since: timedelta | datetime | None, until: datetime | None, oldest: pd.Timestamp, newest: pd.Timestamp
) -> str:
    """Options that find flows, for somebody who gave these and found none."""
    instead = []
    if until is not None and until < oldest:
        instead.append(f"a later --until, such as {_iso(newest.ceil('s'))}")
    if isinstance(since, datetime) and since > newest:
        instead.append(f"an earlier --since, such as {_iso(oldest.floor('s'))}")
    if instead:
        return " and ".join(instead)
    if isinstance(since, datetime):
        return "an earlier --since or a later --until"
    return f"--until {_iso(newest.ceil('s'))}, or a longer --since"


def _read(reading: Reading) -> str:
    """The files that were read, the first few by name."""
    if not reading.files:
        return ""
    names = ", ".join(reading.files[:_NAMED])
    more = f" and {len(reading.files) - _NAMED} more" if len(reading.files) > _NAMED else ""
    return f"; lines read: {reading.lines}, of {names}{more}"


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
