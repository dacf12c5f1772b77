"""Edges as they are added up: who talked to whom, in which hour, over which source ports.

What is kept follows what talks to what, not the length of the recording: an edge holds the
source ports it was seen with exactly, in two bytes each and never more than 8 KiB. Adding
and merging commute, so that any order of lines, files and workers ends in the same edges.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

Labels = tuple[tuple[str, str], ...]
Key = tuple[int, int, int, str, int | None, int | None]
"""Hour since 1970, source, destination, protocol, destination port, source port (flows only)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ZERO: Final = _EPOCH.toordinal()
_NAMES_KEPT: Final = 32
_L7_KEPT: Final = 16


class End(NamedTuple):
    """One end of a connection as a single line tells it; see ``tables.EDGE_COLUMNS``."""

    ip: str
    namespace: str
    pod: str
    labels: Labels
    entity: str
    cluster: str

    @property
    def asker(self) -> tuple[str, str]:
        """Whom a DNS answer was given to: the pod, or the address where no pod is told."""
        return (self.namespace, self.pod) if self.pod else ("", self.ip)


class Ports:
    """A set of port numbers: two bytes each, a bitmap of 8 KiB when that is smaller."""

    __slots__ = ("limit", "recent", "settled")

    def __init__(self) -> None:
        self.recent = array("H")
        self.settled: array[int] | int = array("H")
        self.limit = 64

    def add(self, port: int) -> None:
        self.recent.append(port)
        if len(self.recent) >= self.limit:
            self.settle()

    def settle(self) -> None:
        """Fold what was added of late into the set."""
        ports = set(self.recent)
        del self.recent[:]
        if isinstance(self.settled, int):
            self.settled |= _bitmap(ports)
            return
        ports.update(self.settled)
        if len(ports) > 4096:
            self.settled, self.limit = _bitmap(ports), 4096
        else:
            self.settled, self.limit = array("H", sorted(ports)), max(64, len(ports))

    def update(self, other: Ports) -> None:
        other.settle()
        self.settle()
        if isinstance(other.settled, int):
            mine = self.settled if isinstance(self.settled, int) else _bitmap(self.settled)
            self.settled, self.limit = mine | other.settled, 4096
        else:
            self.recent.extend(other.settled)
            self.settle()

    def __len__(self) -> int:
        self.settle()
        return self.settled.bit_count() if isinstance(self.settled, int) else len(self.settled)


def _bitmap(ports: Iterable[int]) -> int:
    bits = bytearray(8192)
    for port in ports:
        bits[port >> 3] |= 1 << (port & 7)
    return int.from_bytes(bits, "little")


class Edge:
    """What was told of one (hour, source, destination, protocol, port)."""

    __slots__ = (
        "answered", "audited", "by_destination", "by_source", "denied", "first", "flows", "l7", "last", "last_denied",
        "ports", "traced",
    )  # fmt: skip

    def __init__(self, when: datetime) -> None:
        self.flows = 0
        self.ports = Ports()
        self.audited: Ports | None = None
        self.denied: Ports | None = None
        self.last_denied: datetime | None = None
        self.answered = False
        self.traced = False  # told of by more than policy verdicts
        self.first = self.last = when
        self.by_source = self.by_destination = False
        self.l7: set[str] = set()

    @property
    def connections(self) -> int:
        return max(1, len(self.ports))

    def say(self, l7: str) -> None:
        self.l7.add(l7)
        _keep_least(self.l7, _L7_KEPT)

    def refused(self, when: datetime) -> None:
        if self.last_denied is None or when > self.last_denied:
            self.last_denied = when

    def seen(self, first: datetime, last: datetime) -> None:
        if first < self.first:
            self.first = first
        if last > self.last:
            self.last = last

    def update(self, other: Edge) -> None:
        self.flows += other.flows
        self.ports.update(other.ports)
        self.audited = _union(self.audited, other.audited)
        self.denied = _union(self.denied, other.denied)
        if other.last_denied is not None:
            self.refused(other.last_denied)
        self.answered |= other.answered
        self.traced |= other.traced
        self.by_source |= other.by_source
        self.by_destination |= other.by_destination
        self.seen(other.first, other.last)
        self.l7 |= other.l7
        _keep_least(self.l7, _L7_KEPT)


def _union(mine: Ports | None, theirs: Ports | None) -> Ports | None:
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    mine.update(theirs)
    return mine


def _keep_least(texts: set[str], limit: int) -> None:
    if len(texts) > 4 * limit:
        texts.intersection_update(sorted(texts)[:limit])


def least(texts: Iterable[str], limit: int = _NAMES_KEPT) -> tuple[str, ...]:
    """The first ``limit`` in order: the same whatever came first, however many there are."""
    return tuple(sorted(texts)[:limit])


class Edges:
    """All edges, their ends, and what is known of the ends beside the edges.

    Args:
        by_port: keep source ports apart, a row a connection, as the flow table needs.
    """

    def __init__(self, by_port: bool = False) -> None:
        self.by_port = by_port
        self.ends: list[End] = []
        self.edges: dict[Key, Edge] = {}
        self.names: dict[tuple[tuple[str, str], str], set[str]] = {}
        self.workloads: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._index: dict[End, int] = {}

    def end(self, end: End) -> int:
        """The number of an end; equal ends have one number."""
        number = self._index.get(end)
        if number is None:
            number = self._index[end] = len(self.ends)
            self.ends.append(end)
        return number

    def edge(
        self,
        when: datetime,
        source: int,
        destination: int,
        protocol: str,
        port: int | None,
        src_port: int | None,
        flows: int = 1,
    ) -> Edge:
        """The edge that a line told of, counted; the caller adds what else the line said."""
        hour = (when.toordinal() - _DAY_ZERO) * 24 + when.hour
        key = (hour, source, destination, protocol, port, src_port if self.by_port else None)
        edge = self.edges.get(key)
        if edge is None:
            edge = self.edges[key] = Edge(when)
        else:
            edge.seen(when, when)
        edge.flows += flows
        if src_port is not None:
            edge.ports.add(src_port)
        return edge

    def named(self, asker: tuple[str, str], ip: str, names: Iterable[str]) -> None:
        """DNS names that ``asker`` knows ``ip`` by."""
        known = self.names.setdefault((asker, ip), set())
        known.update(names)
        _keep_least(known, _NAMES_KEPT)

    def runs(self, cluster: str, namespace: str, pod: str, workload: tuple[str, str]) -> None:
        """The workload (kind, name) of a pod; of two that are told, the first in order."""
        key = (cluster, namespace, pod)
        known = self.workloads.get(key)
        if known is None or workload < known:
            self.workloads[key] = workload

    def update(self, other: Edges) -> None:
        """Take in all of ``other``, which must not be used afterwards."""
        number = [self.end(end) for end in other.ends]
        for (hour, source, destination, protocol, port, src_port), edge in other.edges.items():
            key = (hour, number[source], number[destination], protocol, port, src_port)
            mine = self.edges.setdefault(key, edge)
            if mine is not edge:
                mine.update(edge)
        for (asker, ip), names in other.names.items():
            self.named(asker, ip, names)
        for pod, workload in other.workloads.items():
            self.runs(*pod, workload)


def hour_start(hour: int) -> datetime:
    """The hour that an edge's key names."""
    return _EPOCH + timedelta(hours=hour)
