"""A Hubble flow as a typed value, and the two ways to it from JSON.

The exporter writes protojson with proto names; :data:`decode` reads that form at once and
refuses every other spelling of a field it knows. :func:`flow_of` then reads what tools make
of it: camelCase, lower-case protocols, enums as numbers, numbers as text, nulls.

Source: github.com/cilium/cilium, api/v1/flow/flow.proto and api/v1/observer/observer.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

Json = Any
"""A decoded JSON value: whatever a hostile line holds."""

_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Never = Literal["\0"]
"""A field of this type refuses any value: another spelling of a field that is read."""
_NEVER: Final[_Never] = "\0"
_NOTHING: Final = Raw(b"")


class Unusable(ValueError):
    """A flow that cannot be used; the message is the kind it is counted as."""


class Addresses(Struct, gc=False):
    source: str = ""
    destination: str = ""


class Flags(Struct, gc=False):
    SYN: bool = False
    RST: bool = False
    ACK: bool = False


class Transport(Struct, gc=False):
    """TCP, UDP or SCTP. The destination port has no default: without it the other reading is tried."""

    destination_port: _Port
    source_port: _Port = 0
    flags: Flags | None = None
    sourcePort: _Never = _NEVER


class Message(Struct, gc=False):
    """ICMP. Type 0, an echo reply of version 4, is omitted by protojson."""

    type: int = 0


class Layer4(Struct, gc=False):
    TCP: Transport | None = None
    UDP: Transport | None = None
    SCTP: Transport | None = None
    ICMPv4: Message | None = None
    ICMPv6: Message | None = None
    VRRP: Raw = _NOTHING
    IGMP: Raw = _NOTHING
    tcp: _Never = _NEVER
    udp: _Never = _NEVER
    sctp: _Never = _NEVER
    icmpv4: _Never = _NEVER
    icmpv6: _Never = _NEVER
    vrrp: _Never = _NEVER
    igmp: _Never = _NEVER


class Event(Struct, gc=False):
    type: int = 0
    sub_type: int = 0
    subType: _Never = _NEVER


class Flow(Struct, gc=False):
    """The fields of a flow that are used; what is absent has its zero value."""

    time: str = ""
    verdict: str = ""
    drop_reason: int = 0
    IP: Addresses | None = None
    l4: Layer4 | None = None
    source: Raw = _NOTHING
    destination: Raw = _NOTHING
    Type: str = ""
    node_name: str = ""
    source_names: Raw = _NOTHING
    destination_names: Raw = _NOTHING
    l7: Raw = _NOTHING
    reply: bool = False
    event_type: Event | None = None
    traffic_direction: str = ""
    policy_match_type: int = 0
    drop_reason_desc: str = ""
    is_reply: bool | None = None
    trace_reason: str = ""

    ip: _Never = _NEVER
    type: _Never = _NEVER
    nodeName: _Never = _NEVER
    sourceNames: _Never = _NEVER
    destinationNames: _Never = _NEVER
    sourceNamesList: _Never = _NEVER
    destinationNamesList: _Never = _NEVER
    eventType: _Never = _NEVER
    trafficDirection: _Never = _NEVER
    policyMatchType: _Never = _NEVER
    dropReason: _Never = _NEVER
    dropReasonDesc: _Never = _NEVER
    isReply: _Never = _NEVER
    traceReason: _Never = _NEVER


class Response(Struct, gc=False):
    """One line of the exporter, or of ``hubble observe -o jsonpb``."""

    flow: Flow | None = None
    node_name: str = ""
    time: str = ""
    nodeName: _Never = _NEVER


class Socket(Struct, gc=False):
    source_port: _Port
    destination_port: _Port
    flags: Raw = _NOTHING


class Sockets(Struct, gc=False):
    TCP: Socket | None = None
    UDP: Socket | None = None


class Packet(Struct, gc=False):
    """The fewest fields of a flow that tell whether it repeats one that was read before.

    What has not all of them, or was dropped, does not decode: it is to be read in full.
    """

    time: str
    verdict: Literal["FORWARDED", "AUDIT", "REDIRECTED"]
    IP: Addresses
    l4: Sockets
    source: Raw
    destination: Raw
    Type: Literal["L3_L4"]
    node_name: str
    event_type: Raw
    traffic_direction: Literal["EGRESS", "INGRESS"]
    is_reply: bool
    source_names: Raw = _NOTHING
    destination_names: Raw = _NOTHING
    sourceNames: _Never = _NEVER
    destinationNames: _Never = _NEVER


class Line(Struct, gc=False):
    flow: Packet


class Envelope(Struct, gc=False):
    """What log drivers make of a line, and nothing beside it that could be a record itself."""

    log: str = ""
    message: str = ""
    msg: _Never = _NEVER
    flow: _Never = _NEVER
    verdict: _Never = _NEVER
    IP: _Never = _NEVER
    ip: _Never = _NEVER
    l4: _Never = _NEVER
    lost_events: _Never = _NEVER
    lostEvents: _Never = _NEVER
    node_status: _Never = _NEVER
    nodeStatus: _Never = _NEVER
    agent_event: _Never = _NEVER
    agentEvent: _Never = _NEVER
    debug_event: _Never = _NEVER
    debugEvent: _Never = _NEVER


open_envelope: Final = msgspec.json.Decoder(Envelope).decode
skim: Final = msgspec.json.Decoder(Line).decode
decode: Final = msgspec.json.Decoder(Response).decode
decode_bare: Final = msgspec.json.Decoder(Flow).decode
decode_any: Final = msgspec.json.Decoder().decode
encode: Final = msgspec.json.Encoder().encode

_VERDICTS: Final = (
    "VERDICT_UNKNOWN", "FORWARDED", "DROPPED", "ERROR", "AUDIT", "REDIRECTED", "TRACED", "TRANSLATED",
)  # fmt: skip
_TYPES: Final = ("UNKNOWN_TYPE", "L3_L4", "L7", "SOCK")
_DIRECTIONS: Final = ("TRAFFIC_DIRECTION_UNKNOWN", "INGRESS", "EGRESS")
_TRACE_REASONS: Final = ("TRACE_REASON_UNKNOWN", "NEW", "ESTABLISHED", "REPLY", "RELATED")


def pick(of: Mapping[str, Json], *names: str) -> Json:
    """The first of the spellings that is there and not null."""
    for name in names:
        if (found := of.get(name)) is not None:
            return found
    return None


def text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def number(value: Json) -> int | None:
    """A whole number, also as text, as protojson writes 64-bit ones; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    if isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal():
        try:
            return int(value)
        except ValueError:  # "1-2", "--1"
            return None
    return value if isinstance(value, int) else None


def truth(value: Json) -> bool | None:
    """A BoolValue: true, false, or absent; also as text and as ``{"value": true}``."""
    if isinstance(value, Mapping):
        return truth(value.get("value", False))
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _enum(value: Json, names: tuple[str, ...]) -> str:
    if isinstance(value, str) and not value.isdecimal():
        return value.upper()
    index = number(value)
    return names[index] if index is not None and 0 <= index < len(names) else ""


def _raw(value: Json) -> Raw:
    return _NOTHING if value is None else Raw(encode(value))


def _port(value: Json) -> int:
    if value is None:
        return 0
    port = number(value)
    if port is None or not 0 <= port <= 65535:
        raise Unusable("port out of range")
    return port


def _flags(value: Json) -> Flags | None:
    if isinstance(value, Mapping):
        found = {str(name).upper() for name, is_set in value.items() if truth(is_set)}
    elif isinstance(value, list):
        found = {name.upper() for name in value if isinstance(name, str)}
    elif isinstance(value, str):
        found = set(value.upper().replace("|", ",").replace(" ", ",").split(","))
    else:
        return None
    return Flags("SYN" in found, "RST" in found, "ACK" in found)


def _layer4(value: Json) -> Layer4 | None:
    if not isinstance(value, Mapping):
        return None
    inside = {str(name).upper(): inner for name, inner in value.items() if inner is not None}
    return Layer4(
        TCP=_transport(inside.get("TCP")),
        UDP=_transport(inside.get("UDP")),
        SCTP=_transport(inside.get("SCTP")),
        ICMPv4=_message(inside.get("ICMPV4")),
        ICMPv6=_message(inside.get("ICMPV6")),
        VRRP=_raw(inside.get("VRRP")),
        IGMP=_raw(inside.get("IGMP")),
    )


def _transport(value: Json) -> Transport | None:
    if not isinstance(value, Mapping):
        return None
    destination = _port(pick(value, "destination_port", "destinationPort"))
    source = _port(pick(value, "source_port", "sourcePort"))
    return Transport(destination, source, _flags(value.get("flags")))


def _message(value: Json) -> Message | None:
    return Message(number(value.get("type")) or 0) if isinstance(value, Mapping) else None


def _event(value: Json) -> Event | None:
    if isinstance(value, Mapping):
        return Event(number(value.get("type")) or 0, number(pick(value, "sub_type", "subType")) or 0)
    kind = number(value)
    return None if kind is None else Event(kind)


def when(value: Json) -> str:
    """A timestamp as text; also seconds since 1970, and protobuf's {seconds, nanos}."""
    if isinstance(value, Mapping):
        seconds, nanos = number(value.get("seconds")), number(value.get("nanos")) or 0
        return "" if seconds is None else f"{seconds}.{max(0, nanos):09d}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return text(value)


def flow_of(of: Mapping[str, Json]) -> Flow:
    """A flow in any spelling.

    Raises:
        Unusable: a port is no port.
    """
    addresses = pick(of, "IP", "ip")
    if not isinstance(addresses, Mapping):
        addresses = {}
    desc = pick(of, "drop_reason_desc", "dropReasonDesc")
    reason = number(pick(of, "drop_reason", "dropReason")) or 0
    return Flow(
        time=when(of.get("time")),
        verdict=_enum(of.get("verdict"), _VERDICTS),
        drop_reason=reason or number(desc) or 0,
        IP=Addresses(text(addresses.get("source")), text(addresses.get("destination"))),
        l4=_layer4(of.get("l4")),
        source=_raw(of.get("source")),
        destination=_raw(of.get("destination")),
        Type=_enum(pick(of, "Type", "type"), _TYPES),
        node_name=text(pick(of, "node_name", "nodeName")),
        source_names=_raw(pick(of, "source_names", "sourceNames", "sourceNamesList")),
        destination_names=_raw(pick(of, "destination_names", "destinationNames", "destinationNamesList")),
        l7=_raw(of.get("l7")),
        reply=bool(truth(of.get("reply"))),
        event_type=_event(pick(of, "event_type", "eventType")),
        traffic_direction=_enum(pick(of, "traffic_direction", "trafficDirection"), _DIRECTIONS),
        policy_match_type=number(pick(of, "policy_match_type", "policyMatchType")) or 0,
        drop_reason_desc="" if number(desc) is not None else text(desc).upper().replace(" ", "_"),
        is_reply=truth(pick(of, "is_reply", "isReply")),
        trace_reason=_enum(pick(of, "trace_reason", "traceReason"), _TRACE_REASONS),
    )
