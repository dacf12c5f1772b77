"""Flows that repeat one that was read before are counted, and not read again.

Most lines of a trace log are packets in mid-connection or replies. They differ from one that
was read in full in time and source port alone, and so can tell nothing new of the edge but
that, or could not if they tried: an edge once answered stays answered. The outcome is that
of reading every line in full; a test holds that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Raw

from recommender.traffic.edges import Edge
from recommender.traffic.formats.hubble_flow import FLOW, LATEST, REPLY
from recommender.traffic.formats.hubble_wire import Packet
from recommender.traffic.tally import Tally

_Likeness = tuple[str, str, int, bool, bool, str, str, str]
"""Addresses and service port of a packet, is it a reply, is it TCP, verdict, direction, node."""
_Window = tuple[datetime, datetime]

_MOST_KNOWN: Final = 100_000
_MOST_SHARED: Final = 64 << 20
_OVERHEAD: Final = 200
"""Bytes of memory that a shared string takes besides its content, about."""
_OFTEN_VAIN: Final = 16
_SELDOM: Final = 64
_parse_time: Final = datetime.fromisoformat


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
        "vain",
    )

    def __init__(
        self, packet: Packet, flags: Raw, edge: Edge, when: datetime, window: _Window, vain: int
    ) -> None:
        self.source, self.destination = packet.source, packet.destination
        self.source_names, self.destination_names = packet.source_names, packet.destination_names
        self.event, self.flags = packet.event_type, flags
        self.answered = edge.answered
        self.edge, self.ports, self.recent = edge, edge.ports, edge.ports.recent
        self.audited = edge.audited if packet.verdict == "AUDIT" else None
        self.start, self.end = window
        self.first = self.last = when
        self.count, self.vain = 0, vain


class Repeats:
    """The packets read so far, by likeness.

    Args:
        since, until: what is outside of them is not counted here.
    """

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._known: dict[_Likeness, _Known] = {}
        self._shared: dict[bytes, Raw] = {}
        self._shared_size = 0
        self._window: _Window = (LATEST, LATEST)
        self._tally = Tally("")

    def begin(self, tally: Tally) -> None:
        """What is counted from here on belongs to this account, once it is forgotten."""
        self._tally = tally

    def count(self, packet: Packet) -> bool:
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

    def remember(self, packet: Packet, edge: Edge, when: datetime) -> None:
        """Let packets like this one, which was read in full, be counted only."""
        tcp = packet.l4.TCP
        socket = tcp or packet.l4.UDP
        if socket is None or not packet.node_name:
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
        vain = 0
        if (old := self._known.get(likeness)) is not None:
            # Where each packet differs from the one before, remembering them is wasted.
            vain = 0 if old.count else old.vain + 1
            if vain > _OFTEN_VAIN and vain % _SELDOM:
                old.vain = vain
                return
            self._fold(likeness, old)
        if len(self._known) >= _MOST_KNOWN or self._shared_size > _MOST_SHARED:
            self.forget()
        if not self._window[0] <= when < self._window[1]:
            self._window = self._hour_of(when)
        packet.source, packet.destination = self._share(packet.source), self._share(packet.destination)
        packet.source_names = self._share(packet.source_names)
        packet.destination_names = self._share(packet.destination_names)
        packet.event_type = self._share(packet.event_type)
        self._known[likeness] = _Known(packet, self._share(socket.flags), edge, when, self._window, vain)

    def _share(self, raw: Raw) -> Raw:
        """One copy of equal bytes: few and close together in memory, they are compared far faster."""
        said = bytes(raw)
        found = self._shared.get(said)
        if found is None:
            found = self._shared[said] = Raw(said)
            self._shared_size += len(said) + _OVERHEAD
        return found

    def _hour_of(self, when: datetime) -> _Window:
        """The hour around a time, as far as flows are wanted of it."""
        hour = when.replace(minute=0, second=0, microsecond=0)
        end = hour + timedelta(hours=1) if hour < LATEST - timedelta(hours=1) else hour
        return max(hour, self._since), min(end, self._until)

    def _fold(self, likeness: _Likeness, known: _Known) -> None:
        """Add what was counted to the edge and to the account."""
        if known.count:
            known.edge.flows += known.count
            known.edge.seen(known.first, known.last)
            self._tally.seen(known.first, known.last)
            self._tally.counts[REPLY if likeness[3] else FLOW] += known.count
            self._tally.nodes[likeness[-1]] += known.count
            known.count = 0

    def forget(self) -> None:
        """Add all that was counted where it belongs, and begin anew."""
        for likeness, known in self._known.items():
            self._fold(likeness, known)
        self._known.clear()
        self._shared.clear()
        self._shared_size = 0
