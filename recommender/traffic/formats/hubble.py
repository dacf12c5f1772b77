"""Cilium Hubble: lines of the exporter or of ``hubble observe -o jsonpb``, and what ships them.

Most lines of a trace log are packets in mid-connection or replies, which differ from one
read before only in time and source port. Those are counted and nothing more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Raw

from recommender.traffic.edges import Edge, Edges
from recommender.traffic.formats.hubble_flow import FLOW, LATEST, REPLY, Telling, Told
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
from recommender.traffic.formats.hubble_wire import Packet, Unusable, decode_any, skim
from recommender.traffic.tally import BLANK, CONTINUED, MAX_LINE, Tally

TRUNCATED: Final = "truncated last line"
_MOST_LINES: Final = 100_000
_MOST_KNOWN: Final = 100_000
_NOT_JSON: Final = "not JSON"
_AGENT_LOG: Final = "agent log"
_parse_time: Final = datetime.fromisoformat
_BOM: Final = b"\xef\xbb\xbf"


_Likeness = tuple[str, str, int, bool, bool, str, str, str]
"""Addresses and service port of a packet, is it a reply, is it TCP, verdict, direction, node."""


_Window = tuple[datetime, datetime]


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
    """A packet that was read in full. One that differs from it in time and source port alone is counted only."""

    __slots__ = (
        "answered",
        "audited",
        "count",
        "destination",
        "destination_names",
        "edge",
        "end",
        "event",
        "first",
        "flags",
        "last",
        "ports",
        "recent",
        "source",
        "source_names",
        "start",
    )

    def __init__(self, packet: Packet, flags: Raw, edge: Edge, when: datetime, window: _Window) -> None:
        self.source, self.destination = packet.source, packet.destination
        self.source_names, self.destination_names = packet.source_names, packet.destination_names
        self.event, self.flags = packet.event_type, flags
        self.answered = edge.answered
        self.edge, self.ports, self.recent = edge, edge.ports, edge.ports.recent
        self.audited = edge.audited if packet.verdict == "AUDIT" else None
        self.start, self.end = window
        self.first = self.last = when
        self.count = 0


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
        self._shortcut = shortcut and not edges.by_port
        self._known: dict[_Likeness, _Known] = {}
        self._shared: dict[bytes, Raw] = {}
        self._window: _Window = (LATEST, LATEST)
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
                packet = skim(line).flow
            except UNREADABLE:
                self._odd(line)
                continue
            if not self._counted(packet):
                told = self._odd(line)
                if self._shortcut and told is not None and told.edge is not None:
                    self._remember(packet, told.edge, told.when)

    def _counted(self, packet: Packet) -> bool:
        """Count a packet that is like one read before; False if it is not, or could tell more."""
        addresses, is_reply = packet.IP, packet.is_reply
        tcp = packet.l4.TCP
        socket = tcp or packet.l4.UDP
        if socket is None:
            return False
        if is_reply:
            port, src_port = socket.source_port, socket.destination_port
        else:
            port, src_port = socket.destination_port, socket.source_port
        known = self._known.get(
            (
                addresses.source,
                addresses.destination,
                port,
                is_reply,
                tcp is None,
                packet.verdict,
                packet.traffic_direction,
                packet.node_name,
            )
        )
        if (
            known is None
            or known.source != packet.source
            or known.destination != packet.destination
            or known.source_names != packet.source_names
            or known.destination_names != packet.destination_names
            or not src_port
            or not (known.answered or (known.flags == socket.flags and known.event == packet.event_type))
        ):
            return False
        try:
            when = _parse_time(packet.time)
            if not known.start <= when < known.end:
                return False
        except (ValueError, TypeError):  # no time, or one without a zone
            return False
        known.count += 1
        if when > known.last:
            known.last = when
        elif when < known.first:
            known.first = when
        recent = known.recent
        recent.append(src_port)
        if len(recent) >= known.ports.limit:
            known.ports.settle()
        if known.audited is not None:
            known.audited.add(src_port)
        return True

    def _remember(self, packet: Packet, edge: Edge, when: datetime) -> None:
        """Let packets like this one, which was read in full, be counted only."""
        tcp = packet.l4.TCP
        socket = tcp or packet.l4.UDP
        if socket is None:
            return
        likeness = (
            packet.IP.source,
            packet.IP.destination,
            socket.source_port if packet.is_reply else socket.destination_port,
            packet.is_reply,
            tcp is None,
            packet.verdict,
            packet.traffic_direction,
            packet.node_name,
        )
        if (old := self._known.get(likeness)) is not None:
            self._fold(likeness, old)
        elif len(self._known) >= _MOST_KNOWN:
            self._forget()
        if not self._window[0] <= when < self._window[1]:
            self._window = self._hour_of(when)
        packet.source, packet.destination = self._share(packet.source), self._share(packet.destination)
        packet.source_names = self._share(packet.source_names)
        packet.destination_names = self._share(packet.destination_names)
        packet.event_type = self._share(packet.event_type)
        self._known[likeness] = _Known(packet, self._share(socket.flags), edge, when, self._window)

    def _share(self, raw: Raw) -> Raw:
        """One copy of equal bytes: few and close together in memory, they are compared far faster."""
        said = bytes(raw)
        found = self._shared.get(said)
        if found is None:
            found = self._shared[said] = Raw(said)
        return found

    def _hour_of(self, when: datetime) -> _Window:
        """The hour around a time, as far as flows are wanted of it."""
        hour = when.replace(minute=0, second=0, microsecond=0)
        end = hour + timedelta(hours=1) if hour < LATEST - timedelta(hours=1) else hour
        return max(hour, self._telling.since), min(end, self._telling.until)

    def _share(self, raw: Raw) -> Raw:
        """One copy of equal bytes: few and close together in memory, they are compared far faster."""
        said = bytes(raw)
        found = self._shared.get(said)
        if found is None:
            found = self._shared[said] = Raw(said)
        return found

    def _fold(self, likeness: _Likeness, known: _Known) -> None:
        """Add what was counted to the edge and to the account."""
        if known.count:
            known.edge.flows += known.count
            known.edge.seen(known.first, known.last)
            self._tally.seen(known.first, known.last)
            self._tally.counts[REPLY if likeness[3] else FLOW] += known.count
            self._tally.nodes[likeness[-1]] += known.count
            known.count = 0

    def _forget(self) -> None:
        for likeness, known in self._known.items():
            self._fold(likeness, known)
        self._known.clear()
        self._shared.clear()

    def end(self, last: bool = True) -> bool:
        """The file has ended, or (``last=False``) the range of it. Says whether something was left open."""
        self._forget()
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
            self._value(body_of(text), text, tally.number)
        return None

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
