"""Cilium Hubble: lines of the exporter or of ``hubble observe -o jsonpb``, and what ships them.

Most lines of a trace log are packets in mid-connection or replies, which differ from one
read before only in time and source port. Those are counted and nothing more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Raw

from recommender.traffic.edges import Edge, Edges
from recommender.traffic.formats.hubble_flow import Telling, Told
from recommender.traffic.formats.hubble_forms import (
    UNREADABLE,
    Record,
    body_of,
    depth_of,
    is_agent_log,
    partial_of,
    records,
    rest_of,
    says_agent_log,
    typed,
    values_in,
)
from recommender.traffic.formats.hubble_wire import Flow, Unusable, decode, decode_any
from recommender.traffic.tally import BLANK, CONTINUED, MAX_LINE, Tally

TRUNCATED: Final = "truncated last line"
_MOST_LINES: Final = 100_000
_NOT_JSON: Final = "not JSON"
_AGENT_LOG: Final = "agent log"
_BOM: Final = b"\xef\xbb\xbf"


class _Held:
    """Lines that are not yet a whole value: a document over several lines, or a line cut off."""

    __slots__ = ("depth", "document", "lines", "numbers", "size")

    def __init__(self, number: int, text: bytes) -> None:
        self.lines, self.numbers, self.size = [text], [number], len(text)
        self.depth = depth_of(text)[0]
        self.document = text[-1:] in (b"{", b"[", b",")

    def takes(self, text: bytes) -> bool:
        """Can this line go on with the document?"""
        fits = self.size + len(text) <= MAX_LINE and len(self.lines) < _MOST_LINES
        return self.document and fits and not _stands_alone(text)

    def add(self, number: int, text: bytes) -> bool:
        """Add a line; says whether the document is closed by it."""
        depth, lowest = depth_of(text)
        closed = self.depth + lowest <= 0
        self.depth += depth
        self.size += len(text)
        self.lines.append(text)
        self.numbers.append(number)
        return closed


class _Known:
    """A flow read in full, so that the next one that differs in time and source port only is counted."""

    __slots__ = (
        "count", "destination", "destination_names", "edge", "end", "first", "last", "node", "reply", "source",
        "source_names", "start", "verdict",
    )  # fmt: skip

    def __init__(self, flow: Flow, told: Told, edge: Edge, start: datetime, end: datetime) -> None:
        self.source, self.destination = Raw(bytes(flow.source)), Raw(bytes(flow.destination))
        self.source_names = Raw(bytes(flow.source_names))
        self.destination_names = Raw(bytes(flow.destination_names))
        self.verdict, self.node, self.reply, self.edge = flow.verdict, flow.node_name, told.reply, edge
        self.start, self.end = start, end
        self.count = 0
        self.first, self.last = end, start


class Reader:
    """Reads the lines of one file after another into edges.

    Args:
        edges: where flows are added.
        since, until: flows before and from these times on are counted and left out.
        shortcut: count repetitions without reading them in full; the outcome is the same.
    """

    def __init__(
        self,
        edges: Edges,
        since: datetime | None = None,
        until: datetime | None = None,
        shortcut: bool = True,
    ) -> None:
        self._telling = Telling(edges, since, until)
        self._shortcut = shortcut and not edges.by_port
        self._known: dict[tuple[str, str, int, bool | None, bool, str, str], _Known] = {}
        self._held: _Held | None = None
        self._partial: bytes | None = None
        self._tally = Tally("")

    def begin(self, tally: Tally) -> None:
        """The lines that follow belong to this account."""
        self._tally = tally

    def lines(self, lines: list[bytes]) -> None:
        """Read whole lines, without their line ends."""
        tally = self._tally
        for line in lines:
            tally.number += 1
            if self._held is not None and self._resume(line):
                continue
            try:
                response = decode(line)
            except UNREADABLE:
                self._odd(line)
                continue
            flow = response.flow
            if flow is None:
                self._odd(line)
                continue
            node = flow.node_name or response.node_name
            self._record(Record("flow", flow, node, response.time), line, tally.number)

    def end(self, last: bool = True) -> bool:
        """The file has ended, or (``last=False``) the range of it. Says whether something was left open."""
        held, self._held = self._held, None
        partial, self._partial = self._partial, None
        counts = self._tally.counts
        if last and held is not None:
            counts[TRUNCATED] += 1
            counts[CONTINUED] += len(held.lines) - 1
        elif last and partial is not None:
            counts[TRUNCATED] += 1
            counts[CONTINUED] -= 1
        return held is not None or partial is not None

    def _record(self, record: Record, line: bytes, number: int) -> None:
        """Count one record."""
        tally = self._tally
        if record.kind != "flow":
            tally.counts[record.kind] += 1
            tally.lost_events += record.lost
            return
        if record.flow is None:
            tally.reject(number, record.fault, line)
            return
        if record.node:
            tally.nodes[record.node] += 1
        try:
            told = self._telling.tell(record.flow, record.node, record.time, tally)
        except Unusable as fault:
            tally.reject(number, str(fault), line)
        except UNREADABLE:
            tally.reject(number, _NOT_JSON, line)
        else:
            tally.counts[told.kind] += 1

    def _odd(self, line: bytes) -> None:
        """A line that is no flow in the exporter's own form."""
        tally = self._tally
        if len(line) > MAX_LINE:
            tally.reject(tally.number, f"line longer than {MAX_LINE >> 20} MiB", line)
            return
        text = line.strip()
        if text.startswith(_BOM):
            text = text[3:].lstrip()
        if not text:
            tally.counts[BLANK] += 1
        elif (content := partial_of(line)) is not None:
            self._partial = ((self._partial or b"") + content)[: MAX_LINE + 1]
            tally.counts[CONTINUED] += 1
        else:
            if self._partial is not None:
                text, self._partial = self._partial + rest_of(text), None
            self._value(body_of(text), text, tally.number)

    def _value(self, body: bytes, line: bytes, number: int) -> None:
        """A line or document that should be one value."""
        if (record := typed(body)) is not None:
            self._record(record, line, number)
            return
        try:
            value = decode_any(body)
            found = list(records(value))
        except UNREADABLE:
            self._broken(body, line, number)
            return
        for record in found:
            self._record(record, line, number)
        if found:
            return
        if value == []:
            self._tally.counts[BLANK] += 1
        elif says_agent_log(value):
            self._tally.counts[_AGENT_LOG] += 1
        else:
            self._tally.reject(number, "not a flow", line)

    def _broken(self, body: bytes, line: bytes, number: int) -> None:
        """A line that is no value: part of an array, of a document, cut off, or no JSON at all."""
        tally = self._tally
        values, rest = values_in(body) if body[:1] in (b"{", b"[", b"]", b",") else ([], body)
        if rest and rest[:1] != b"{":
            kind = is_agent_log(line)
            if kind:
                tally.counts[_AGENT_LOG] += 1
            else:
                tally.reject(number, _NOT_JSON, line)
            return
        if values == [body]:
            tally.reject(number, _NOT_JSON, line)
            return
        for value in values:
            self._value(value, value, number)
        if rest:
            self._held = _Held(number, rest)
        elif not values:
            tally.counts[CONTINUED] += 1

    def _resume(self, line: bytes) -> bool:
        """Go on with what is held; says whether the line was used for it."""
        held, tally, text = self._held, self._tally, line.strip()
        if held is None or not text:
            tally.counts[BLANK] += 1
            return True
        if held.takes(text):
            if held.add(tally.number, text):
                self._held = None
                tally.counts[CONTINUED] += len(held.lines) - 1
                self._broken(b"\n".join(held.lines), held.lines[0], held.numbers[0])
            return True
        self._held = None
        for number, kept in zip(held.numbers, held.lines, strict=True):
            tally.reject(number, _NOT_JSON, kept)
        return False


def _stands_alone(text: bytes) -> bool:
    """A line that is a record by itself, and so no part of a document around it."""
    body = body_of(text)
    if body[:1] != b"{" or body[-1:] != b"}":
        return False
    if typed(body) is not None:
        return True
    try:
        return next(records(decode_any(body)), None) is not None
    except UNREADABLE:
        return False
