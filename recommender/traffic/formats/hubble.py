"""Cilium Hubble: lines of the exporter or of ``hubble observe -o jsonpb``, and what ships them.

A line is tried as what it most often is: a repetition, a flow in the exporter's own form, a
flow in an envelope or another spelling, a part of a document, something else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from recommender.traffic.edges import Edges
from recommender.traffic.formats.hubble_flow import Telling, Told
from recommender.traffic.formats.hubble_forms import (
    UNREADABLE,
    Record,
    body_of,
    depth_of,
    inside,
    is_agent_log,
    partial_of,
    records,
    rest_of,
    says_agent_log,
    typed,
    values_in,
)
from recommender.traffic.formats.hubble_repeats import Repeats
from recommender.traffic.formats.hubble_wire import Packet, Unusable, decode_any, skim
from recommender.traffic.tally import AGENT_LOG, BLANK, CONTINUED, MAX_LINE, TRUNCATED, Tally

_MOST_LINES: Final = 100_000
_MOST_BRACKETS: Final = 8
_LONG: Final = 16 << 10
_NOT_JSON: Final = "not JSON"
_BOM: Final = b"\xef\xbb\xbf"


class _Held:
    """Lines that are not yet a whole value: a document over several lines, or a line cut off."""

    __slots__ = ("depth", "document", "indented", "lines", "numbers", "size")

    def __init__(self, number: int, text: bytes) -> None:
        self.lines, self.numbers, self.size = [text], [number], len(text)
        self.depth = depth_of(text)[0]
        self.document = text[-1:] in (b"{", b"[", b",")
        self.indented = False

    def takes(self, line: bytes) -> bool:
        """Can this line go on with the document?"""
        fits = self.size + len(line) <= MAX_LINE and len(self.lines) < _MOST_LINES
        begins_another = self.indented and line[:1] == b"{"
        return self.document and fits and not begins_another and not _stands_alone(line.strip())

    def add(self, number: int, line: bytes) -> bool:
        """Add a line; says whether the document is closed by it."""
        self.indented = self.indented or line[:1] in (b" ", b"\t")
        text = line.strip()
        depth, lowest = depth_of(text)
        closed = self.depth + lowest <= 0
        self.depth += depth
        self.size += len(text)
        self.lines.append(text)
        self.numbers.append(number)
        return closed


class Reader:
    """Reads the lines of one file after another into edges.

    Args:
        edges: where flows are added.
        since, until: flows before the one and after the other are counted and left out.
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
        self._repeats = Repeats(self._telling.since, self._telling.until)
        self._shortcut = shortcut and not edges.by_port
        self._held: _Held | None = None
        self._partial: bytes | None = None
        self._tally = Tally("")

    def begin(self, tally: Tally) -> None:
        """The lines that follow belong to this account."""
        self._tally = tally
        self._repeats.begin(tally)

    def lines(self, lines: list[bytes]) -> None:
        """Read whole lines, without their line ends."""
        tally, repeats = self._tally, self._repeats
        for line in lines:
            tally.number += 1
            if self._held is not None and self._resume(line):
                continue
            packet: Packet | None
            try:
                packet = skim(line).flow
            except UNREADABLE:
                packet = self._packed(line)
            if packet is None:
                self._odd(line)
            elif not repeats.count(packet):
                told = self._odd(line)
                if self._shortcut and told is not None and told.edge is not None and len(line) < _LONG:
                    repeats.remember(packet, told.edge, told.when)

    def _packed(self, line: bytes) -> Packet | None:
        """The packet in a log driver's envelope."""
        content = None if self._partial is not None else inside(line)
        if content is None:
            return None
        try:
            return skim(content).flow
        except UNREADABLE:
            return None

    def end(self, last: bool = True) -> bool:
        """The file has ended, or (``last=False``) the range of it. Says whether something was left open."""
        self._repeats.forget()
        held, self._held = self._held, None
        partial, self._partial = self._partial, None
        if last and held is not None:
            self._tally.count(TRUNCATED)
            self._tally.count(CONTINUED, len(held.lines) - 1)
        elif last and partial is not None:
            self._tally.count(TRUNCATED)
            self._tally.count(CONTINUED, -1)
        return held is not None or partial is not None

    def _record(self, record: Record, line: bytes, number: int) -> Told | None:
        """Count one record; what a flow told."""
        tally = self._tally
        if record.kind != "flow":
            tally.counts[record.kind] += 1
            tally.lost_events += record.lost
            return None
        if record.flow is None:
            tally.reject(number, record.fault, line)
            return None
        if record.node:
            tally.nodes[record.node] += 1
        try:
            told = self._telling.tell(record.flow, record.node, record.time, tally)
        except Unusable as fault:
            tally.reject(number, str(fault), line)
            return None
        except UNREADABLE:
            tally.reject(number, _NOT_JSON, line)
            return None
        tally.counts[told.kind] += 1
        return told

    def _odd(self, line: bytes) -> Told | None:
        """A line that does not repeat another; what it told, if it is a flow as the exporter writes it."""
        tally = self._tally
        if line[:1] == b"{" and (record := typed(line)) is not None:
            return self._record(record, line, tally.number)
        text = line.strip()
        if text.startswith(_BOM):
            text = text[3:].lstrip()
        if len(line) > MAX_LINE:
            tally.reject(tally.number, f"line longer than {MAX_LINE >> 20} MiB", line)
        elif not text:
            tally.counts[BLANK] += 1
        elif text[:1].isdigit() and (content := partial_of(line)) is not None:
            self._partial = ((self._partial or b"") + content)[: MAX_LINE + 1]
            tally.counts[CONTINUED] += 1
        else:
            if self._partial is not None:
                text, self._partial = self._partial + rest_of(text), None
            return self._value(body_of(text), text, tally.number)
        return None

    def _value(self, body: bytes, line: bytes, number: int) -> Told | None:
        """A line or document that should be one value; what it told, if it holds one flow."""
        try:
            value = decode_any(body)
            found = list(records(value))
        except UNREADABLE:
            self._broken(body, line, number)
            return None
        for record in found:
            told = self._record(record, line, number)
        if found:
            return told if len(found) == 1 else None
        if value == []:
            self._tally.counts[BLANK] += 1
        elif says_agent_log(value):
            self._tally.counts[AGENT_LOG] += 1
        else:
            self._tally.reject(number, "not a flow", line)
        return None

    def _broken(self, body: bytes, line: bytes, number: int) -> None:
        """A line that is no value: part of an array, of a document, cut off, or no JSON at all."""
        tally = self._tally
        values, rest = values_in(body) if body[:1] in (b"{", b"[", b"]", b",") else ([], body)
        if rest and rest[:1] != b"{":
            if is_agent_log(line):
                tally.counts[AGENT_LOG] += 1
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
        elif not values and len(body) > _MOST_BRACKETS:
            tally.reject(number, _NOT_JSON, line)
        elif not values:
            tally.counts[CONTINUED] += 1

    def _resume(self, line: bytes) -> bool:
        """Go on with what is held; says whether the line was used for it."""
        held, tally = self._held, self._tally
        if held is None or not line.strip():
            tally.counts[BLANK] += 1
            return True
        if held.takes(line):
            if held.add(tally.number, line):
                self._held = None
                tally.counts[CONTINUED] += len(held.lines) - 1
                self._value(b"\n".join(held.lines), held.lines[0], held.numbers[0])
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
