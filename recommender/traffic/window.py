"""The span of an edge table that is learned from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from recommender.errors import EvidenceError
from recommender.traffic.tables import reading_of


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
        EvidenceError: nothing was seen in it; names the newest flow there is.
    """
    newest = max((t for t in (reading_of(edges).newest, edges["last"].max()) if not pd.isna(t)), default=None)
    if newest is None:
        raise EvidenceError("no flows: the recording holds no connection at all")
    end = newest if until is None or edges.empty else min(edges["last"].max(), pd.Timestamp(until))
    if isinstance(since, timedelta):
        start = pd.Timestamp(until or end) - since
    else:
        start = pd.Timestamp(since) if since is not None else edges["first"].min()
    chosen = edges[(edges["last"] >= start) & (edges["first"] <= end)]
    if chosen.empty:
        span = "" if edges.empty else f" between {_iso(start)} and {_iso(until or end)}"
        raise EvidenceError(
            f"no flows in the window{span}; the newest flow is of {_iso(newest)}: "
            f"give --until {_iso(newest)} or later, or a longer --since"
        )
    return chosen, Window(max(start, chosen["first"].min()).to_pydatetime(), end.to_pydatetime())


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
