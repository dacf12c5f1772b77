"""What one Hubble flow says of a connection: who opened it, to whom, was it answered or denied.

A flow is a packet, or a policy's verdict on one. Who opened the connection is told by
``is_reply``; where that is absent by ``reply`` (1.8), by the event, by TCP flags, by the
trace reason, and only then by the ports.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import Raw

from recommender.traffic.edges import Edge, Edges, End, Ports
from recommender.traffic.formats.hubble_ends import Side, address, name_of, names_of, side_of, to_many
from recommender.traffic.formats.hubble_wire import (
    Flow,
    Json,
    Layer4,
    Message,
    Transport,
    Unusable,
    decode_any,
    pick,
    text,
)  # fmt: skip
from recommender.traffic.tally import Tally

FLOW: Final = "flow"
REPLY: Final = "reply"
L7: Final = "L7 record"
OUTSIDE: Final = "outside the window"
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)

_POLICY_REASONS: Final = {"POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED"}
_POLICY_NUMBERS: Final = {133, 181, 189}
_VERDICT_EVENT: Final = 5
_SOCKET_EVENT: Final = 7
_L7_EVENT: Final = 129
_ICMP_ERRORS: Final = {"ICMPv4": {3, 11, 12}, "ICMPv6": {1, 2, 3, 4}}
_ECHO_REPLY: Final = {"ICMPv4": 0, "ICMPv6": 129}
_NEIGHBOUR_DISCOVERY: Final = range(133, 138)
_FIRST_EPHEMERAL_PORT: Final = 32768
_CACHED: Final = 1 << 16
_CACHED_BYTES: Final = 8 << 10


class Told(NamedTuple):
    """What a flow was counted as, when it was, and the edge it told of."""

    kind: str
    when: datetime
    edge: Edge | None = None


class _Met(NamedTuple):
    """An end that was met before: its number, what was said of it, and whose DNS answers are its own."""

    number: int
    side: Side
    asker: tuple[str, str]


def time_of(value: str) -> datetime | None:
    """A time in UTC, cut to microseconds; also seconds since 1970 as text; None for what is none."""
    try:
        when = datetime.fromisoformat(value)
        if when.tzinfo is UTC:
            return when
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return _since_1970(value)
    return when


def _since_1970(value: str) -> datetime | None:
    """Seconds, or milli-, micro- or nanoseconds, as large as each is today."""
    try:
        seconds = float(value)
        for _ in range(3):
            if abs(seconds) > 1e11:
                seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class Telling:
    """Adds flows to edges. Keeps what was read of endpoints by their bytes."""

    def __init__(self, edges: Edges, since: datetime | None = None, until: datetime | None = None) -> None:
        self.edges = edges
        self.since = since or EARLIEST
        self.until = until or LATEST
        self._sides: dict[bytes, Side] = {}
        self._ends: dict[tuple[bytes, str, str], _Met] = {}

    def tell(self, flow: Flow, node: str, outer_time: str, tally: Tally) -> Told:
        """Count a flow.

        Raises:
            Unusable: it lacks what an edge needs, or contradicts itself.
        """
        when = time_of(flow.time or outer_time)
        if when is None:
            raise Unusable("time not understood" if flow.time or outer_time else "no time")
        tally.seen(when, when)
        if not self.since <= when <= self.until:
            return Told(OUTSIDE, when)
        event = flow.event_type.type if flow.event_type is not None else 0
        is_l7 = flow.Type == "L7" or (not flow.Type and (event == _L7_EVENT or bool(flow.l7)))
        denied = flow.verdict == "DROPPED" and not is_l7 and _by_policy(flow, event)
        if (aside := _set_aside(flow, event, is_l7, denied)) is not None:
            return Told(aside, when)
        protocol, layer = _layer(flow.l4)
        ips = _addresses(flow)
        if isinstance(layer, Message) and layer.type in _ICMP_ERRORS[protocol]:
            return Told("ICMP error", when)
        if to_many(ips[0]) or to_many(ips[1]):
            return Told("multicast or broadcast", when)
        if protocol == "ICMPv6" and isinstance(layer, Message) and layer.type in _NEIGHBOUR_DISCOVERY:
            return Told("neighbour discovery", when)
        l7 = decode_any(flow.l7) if is_l7 and flow.l7 else {}
        l7 = l7 if isinstance(l7, dict) else {}
        verdict_event = event == _VERDICT_EVENT or (
            not event and (flow.verdict == "AUDIT" or bool(flow.policy_match_type))
        )
        reply = _is_reply(flow, verdict_event or denied, l7, protocol, layer)
        port, src_port = _ports(layer, reply)
        sender = self._end(flow.source, ips[0], node)
        receiver = self._end(flow.destination, ips[1], node)
        sender_names = sender.side.names + _names(flow.source_names)
        receiver_names = receiver.side.names + _names(flow.destination_names)
        source, destination = (receiver, sender) if reply else (sender, receiver)
        edge = self.edges.edge(when, source.number, destination.number, protocol, port, src_port)
        if not verdict_event:
            edge.traced = True
        if flow.verdict != "DROPPED" and _proves_answer(layer, reply):
            edge.answered = True
        if denied:
            edge.denied = _add(edge.denied, src_port)
            edge.refused(when)
        elif flow.verdict == "AUDIT":
            edge.audited = _add(edge.audited, src_port)
        # The direction is that of the connection at the endpoint that reports, not of the packet.
        if flow.traffic_direction == "EGRESS":
            edge.by_source = True
        elif flow.traffic_direction == "INGRESS":
            edge.by_destination = True
        else:
            edge.by_source |= source.side.local
            edge.by_destination |= destination.side.local
        if sender_names and ips[0]:
            self.edges.named(receiver.asker, ips[0], sender_names)
        if receiver_names and ips[1]:
            self.edges.named(sender.asker, ips[1], receiver_names)
        if is_l7:
            self._say(edge, l7, source.asker)
            return Told(L7, when, edge)
        return Told(REPLY if reply else FLOW, when, edge)

    def _end(self, raw: Raw, ip: str, node: str) -> _Met:
        """An endpoint, by its bytes, its address and the cluster of the node that reports it."""
        said, node_cluster = bytes(raw), node.partition("/")[0] if "/" in node else ""
        key = (said, ip, node_cluster)
        known = self._ends.get(key)
        if known is not None:
            return known
        side = self._sides.get(said)
        if side is None:
            side = side_of(said)
        if not ip and not side.known:
            raise Unusable("neither address nor pod on one side")
        cluster = side.cluster or (node_cluster if side.local else "")
        end = End(ip, side.namespace, side.pod, side.labels, side.entity, cluster)
        met = _Met(self.edges.end(end), side, end.asker)
        if len(said) < _CACHED_BYTES:
            if len(self._ends) >= _CACHED:
                self._ends.clear()
                self._sides.clear()
            self._ends[key], self._sides[said] = met, side
        if side.workload is not None and side.pod:
            self.edges.runs(cluster, side.namespace, side.pod, side.workload)
        return met

    def _say(self, edge: Edge, l7: dict[str, Json], asker: tuple[str, str]) -> None:
        if self.edges.by_port and (said := l7_text(l7)):
            edge.say(said)
        dns = l7.get("dns")
        if not isinstance(dns, dict):
            return
        query, ips = name_of(dns.get("query")), pick(dns, "ips", "ipsList")
        for ip in ips if query and isinstance(ips, list) else ():
            if (found := address(text(ip))) is not None:
                self.edges.named(asker, found, (query,))


def _by_policy(flow: Flow, event: int) -> bool:
    """Was it a policy that dropped it; a drop without any reason is held for one."""
    if event == _VERDICT_EVENT:
        return True
    desc = flow.drop_reason_desc
    if desc and desc != "DROP_REASON_UNKNOWN":
        return desc in _POLICY_REASONS
    code = flow.drop_reason or (flow.event_type.sub_type if flow.event_type is not None and event == 1 else 0)
    return not code or code in _POLICY_NUMBERS


def _set_aside(flow: Flow, event: int, is_l7: bool, denied: bool) -> str | None:
    """What a flow is that tells of no connection, or of none that was possible."""
    if (
        flow.Type == "SOCK"
        or flow.verdict in ("TRACED", "TRANSLATED")
        or (not flow.Type and event == _SOCKET_EVENT)
    ):
        return "socket event"
    if flow.verdict == "ERROR":
        return "error verdict"
    if flow.verdict == "DROPPED" and not denied and not is_l7:
        return "dropped, not by policy"
    return None


def _layer(l4: Layer4 | None) -> tuple[str, Transport | Message | None]:
    """Protocol and what is told of it.

    Raises:
        Unusable: no protocol is told.
    """
    if l4 is not None:
        if l4.TCP is not None:
            return "TCP", l4.TCP
        if l4.UDP is not None:
            return "UDP", l4.UDP
        if l4.SCTP is not None:
            return "SCTP", l4.SCTP
        if l4.ICMPv4 is not None:
            return "ICMPv4", l4.ICMPv4
        if l4.ICMPv6 is not None:
            return "ICMPv6", l4.ICMPv6
        if l4.VRRP:
            return "VRRP", None
        if l4.IGMP:
            return "IGMP", None
    raise Unusable("no protocol (field mask?)")


def _addresses(flow: Flow) -> tuple[str, str]:
    if flow.IP is None:
        return "", ""
    source = address(flow.IP.source) if flow.IP.source else ""
    destination = address(flow.IP.destination) if flow.IP.destination else ""
    if source is None or destination is None:
        raise Unusable("address not understood")
    return source, destination


def _is_reply(
    flow: Flow, opening: bool, l7: dict[str, Json], protocol: str, layer: Transport | Message | None
) -> bool:
    if flow.is_reply is not None:
        return flow.is_reply
    if flow.reply:
        return True
    if opening:
        return False
    kind = l7.get("type")
    if kind in ("REQUEST", 1, "RESPONSE", 2):
        return kind in ("RESPONSE", 2)
    if isinstance(layer, Message):
        return layer.type == _ECHO_REPLY[protocol]
    if layer is None:
        return False
    if layer.flags is not None and layer.flags.SYN:
        return layer.flags.ACK
    if flow.trace_reason in ("REPLY", "NEW", "ESTABLISHED"):
        return flow.trace_reason == "REPLY"
    return 0 < layer.source_port < _FIRST_EPHEMERAL_PORT <= layer.destination_port


def _ports(layer: Transport | Message | None, reply: bool) -> tuple[int | None, int | None]:
    """The port on the destination of the connection, and on its source; None where not told."""
    if not isinstance(layer, Transport):
        return None, None
    port, src_port = layer.destination_port, layer.source_port
    if reply:
        port, src_port = src_port, port
    if not port:
        raise Unusable("no destination port (field mask?)")
    return port, src_port or None


def _names(raw: Raw) -> tuple[str, ...]:
    return names_of(decode_any(raw)) if raw else ()


def _proves_answer(layer: Transport | Message | None, reply: bool) -> bool:
    flags = layer.flags if isinstance(layer, Transport) else None
    if reply:
        return flags is None or not flags.RST
    return flags is not None and flags.ACK and not flags.SYN and not flags.RST


def _add(ports: Ports | None, port: int | None) -> Ports:
    ports = Ports() if ports is None else ports
    if port is not None:
        ports.add(port)
    return ports


def l7_text(l7: dict[str, Json]) -> str:
    """What an L7 record said, without what may be secret: no query strings, no headers."""
    dns, http, kafka = l7.get("dns"), l7.get("http"), l7.get("kafka")
    if isinstance(dns, dict):
        return f"dns {name_of(dns.get('query'))}".rstrip()
    if isinstance(http, dict):
        try:
            path = urlsplit(text(http.get("url"))).path
        except ValueError:  # such as an unclosed bracket in the host
            path = ""
        return f"{text(http.get('method'))} {path or '/'}".strip()
    if isinstance(kafka, dict):
        return " ".join(word for word in ("kafka", text(kafka.get("topic"))) if word)
    return ""
