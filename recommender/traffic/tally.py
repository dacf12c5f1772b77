"""What became of the lines of one file: each is counted under exactly one kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from recommender.text import printable
from recommender.traffic.tables import Reject

MAX_LINE: Final = 16 << 20
"""A longer line is counted as one that could not be read."""

CONTINUED: Final = "continued document"
BLANK: Final = "blank"
AGENT_LOG: Final = "agent log"
TRUNCATED: Final = "truncated last line"
_KEPT: Final = 5
_EXCERPT: Final = 120


@dataclass(slots=True)
class Tally:
    """The account of a file, or of a range of its lines.

    ``number`` is the line being read, from 1. ``lines`` is the sum of the counts: a line that
    holds several records counts as several.
    """

    file: str
    number: int = 0
    bad: int = 0
    lost_events: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    oldest: datetime | None = None
    newest: datetime | None = None

    @property
    def lines(self) -> int:
        return self.counts.total()

    def count(self, kind: str, times: int = 1) -> None:
        self.counts[kind] += times
        if not self.counts[kind]:
            del self.counts[kind]

    def reject(self, line: int, reason: str, text: bytes) -> None:
        self.bad += 1
        self.counts[reason] += 1
        if self.counts[reason] <= _KEPT:
            begins = text[: 4 * _EXCERPT].decode("utf-8", "replace")
            self.rejects.append(Reject(self.file, line, reason, printable(begins, _EXCERPT - 1)[:_EXCERPT]))

    def seen(self, first: datetime, last: datetime) -> None:
        if self.oldest is None or first < self.oldest:
            self.oldest = first
        if self.newest is None or last > self.newest:
            self.newest = last

    def update(self, later: Tally) -> None:
        """Take in the account of the lines that follow in the same file."""
        for reject in later.rejects:
            if sum(kept.reason == reject.reason for kept in self.rejects) < _KEPT:
                line = reject.line + self.number
                self.rejects.append(Reject(self.file, line, reject.reason, reject.excerpt))
        self.number += later.number
        self.bad += later.bad
        self.lost_events += later.lost_events
        self.counts.update(later.counts)
        self.nodes.update(later.nodes)
        if later.oldest is not None and later.newest is not None:
            self.seen(later.oldest, later.newest)

    @property
    def records(self) -> int:
        """Lines, less the blank ones and those that go on with another."""
        return self.lines - self.counts[BLANK] - self.counts[CONTINUED]

    @property
    def mostly_bad(self) -> bool:
        return self.bad > 0 and 2 * self.bad > self.records

    @property
    def foreign(self) -> bool:
        """There is something in it, but not one record of Hubble's."""
        others = self.bad + self.counts[AGENT_LOG] + self.counts[TRUNCATED]
        return 0 < self.records == others
