"""Finding Hubble's records in whatever carried them: envelopes, strings in strings, arrays.

Only keys that log shippers are known to use are opened, so that a flow quoted in some other
field is not taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from recommender.traffic.formats.hubble_wire import (
    Flow,
    Json,
    Unusable,
    decode,
    decode_any,
    decode_bare,
    flow_of,
    number,
    open_envelope,
    pick,
    text,
    when,
)  # fmt: skip

UNREADABLE: Final = (ValueError, RecursionError)
"""What decoding raises: msgspec's errors and wrong UTF-8 are ValueErrors."""

_EVENTS: Final = {
    "lost_events": "lost_events", "lostEvents": "lost_events",
    "node_status": "node_status", "nodeStatus": "node_status",
    "agent_event": "agent_event", "agentEvent": "agent_event",
    "debug_event": "debug_event", "debugEvent": "debug_event",
}  # fmt: skip
_ENVELOPES: Final = (
    "message", "msg", "log", "line", "value", "payload", "body", "jsonpayload", "json_payload", "textpayload",
    "_source", "record", "event", "data", "result", "results", "content", "entry", "text", "raw", "_raw",
    "@message", "logmessage", "properties", "fields", "hits", "values", "streams", "items", "events", "logs",
    "records", "flows", "doc", "json", "hubble", "stringvalue", "resourcelogs", "scopelogs", "logrecords",
    "logevents",
)  # fmt: skip
_TIMES: Final = ("time", "timestamp", "@timestamp")
_DEEPEST: Final = 12

_PREFIX: Final = re.compile(rb'[^"{}]{1,512}(?=\{)')
_BETWEEN: Final = b"[], \t\r\n"
"""What stands before, between and after the elements of an array."""
_PARTIAL: Final = re.compile(rb"\S+ std(?:out|err) P ")
_FULL: Final = re.compile(rb"\S+ std(?:out|err) F ")
_AGENT_LOG: Final = re.compile(
    rb"\blevel=(?:trace|debug|info|warn|warning|error|fatal|panic)\b.*\bmsg=|"
    rb"(?:^|\s)[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)


class Record(NamedTuple):
    """A flow, or what stands in its place. ``fault`` says why a flow is of no use."""

    kind: str
    flow: Flow | None = None
    node: str = ""
    time: str = ""
    lost: int = 0
    fault: str = ""


def body_of(line: bytes) -> bytes:
    """The line after what a log driver put before it: a CRI, syslog or ``kubectl logs`` prefix."""
    found = None if line[:1] == b"{" else _PREFIX.match(line)
    if found is None or not found.group().strip(_BETWEEN):
        return line
    return line[found.end() :]


def partial_of(line: bytes) -> bytes | None:
    """The content of a CRI line that is not yet whole (tag P); None for any other line."""
    found = _PARTIAL.match(line)
    return line[found.end() :].rstrip(b"\r\n") if found else None


def rest_of(line: bytes) -> bytes:
    """The content of the CRI line that completes a partial one."""
    found = _FULL.match(line)
    return line[found.end() :] if found else line


def inside(line: bytes) -> str | bytes | None:
    """The one line that a log driver's envelope or prefix holds; None for any other line.

    Only what :func:`records` would take it from as well, and no other.
    """
    if line[:1] != b"{":
        return rest_of(line) if _FULL.match(line) else None
    try:
        envelope = open_envelope(line)
    except UNREADABLE:
        return None
    if bool(envelope.log) == bool(envelope.message):
        return None
    return envelope.log or envelope.message


def is_agent_log(line: bytes) -> bool:
    """A line of cilium-agent's own log, which shares stdout with the exporter."""
    return _AGENT_LOG.search(line[:4096]) is not None


def says_agent_log(value: Json) -> bool:
    """The same, where the agent logs JSON."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("level"), str)
        and isinstance(said := pick(value, "msg", "message"), str)
        and not said.startswith("Flow Info")
        and "Src IP" not in value
    )


def depth_of(line: bytes) -> tuple[int, int]:
    """By how much a line opens more objects and arrays than it closes, and the lowest point on the way.

    A string that is not closed counts as open.
    """
    depth = lowest = 0
    for token in _TOKEN.finditer(line):
        first = token.group()
        if first in (b"{", b"["):
            depth += 1
        elif first in (b"}", b"]"):
            depth -= 1
            lowest = min(lowest, depth)
        elif first == b'"':
            return max(1, depth), lowest
    return depth, lowest


def values_in(line: bytes) -> tuple[list[bytes], bytes]:
    """The objects that stand one after another, as in a line of an array; and what is left over."""
    values: list[bytes] = []
    depth = start = end = 0
    for token in _TOKEN.finditer(line):
        first = token.group()
        if first == b"{" or (first == b"[" and depth):
            if not depth:
                if line[end : token.start()].strip(_BETWEEN):
                    return values, line[end:]
                start = token.start()
            depth += 1
        elif first in (b"}", b"]") and depth:
            depth -= 1
            if not depth:
                end = token.end()
                values.append(line[start:end])
    return values, line[end:].strip(_BETWEEN)


def records(value: Json, node: str = "", time: str = "", depth: int = 0) -> Iterator[Record]:
    """The records in a decoded value, in order; none where there are none."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield from _quoted(value, node, time, depth)
    elif isinstance(value, list):
        for inner in value:
            yield from records(inner, node, time, depth + 1)
    elif isinstance(value, Mapping):
        node = text(pick(value, "node_name", "nodeName")) or node
        time = when(pick(value, *_TIMES)) or time
        flow = value.get("flow")
        if isinstance(flow, Mapping):
            yield _flow(flow, node, time)
        elif (
            kind := next((kind for key, kind in _EVENTS.items() if value.get(key) is not None), None)
        ) is not None:
            yield Record(kind, node=node, lost=_lost(pick(value, "lost_events", "lostEvents")))
        elif _is_bare(value):
            yield _flow(value, node, time)
        else:
            yield from _enveloped(value, node, time, depth)


def typed(line: bytes | str) -> Record | None:
    """The flow in a line that is written as the exporter writes it, with or without its wrapper."""
    try:
        response = decode(line)
        if response.flow is not None:
            return Record("flow", response.flow, response.flow.node_name or response.node_name, response.time)
        flow = decode_bare(line)
    except UNREADABLE:
        return None
    if flow.verdict and (flow.l4 is not None or flow.IP is not None):
        return Record("flow", flow, flow.node_name)
    return None


def _quoted(value: str, node: str, time: str, depth: int) -> Iterator[Record]:
    line = body_of(value.strip().encode("utf-8", "replace"))
    if line[:1] not in (b"{", b"[", b'"'):
        return
    if (record := typed(line)) is not None:
        yield record._replace(node=record.node or node, time=record.time or time)
        return
    try:
        inner = decode_any(line)
    except UNREADABLE:
        return
    yield from records(inner, node, time, depth + 1)


def _enveloped(value: Mapping[str, Json], node: str, time: str, depth: int) -> Iterator[Record]:
    """What the first key of an envelope that holds records holds."""
    opened = {
        str(key).lower(): inner for key, inner in value.items() if isinstance(inner, str | list | Mapping)
    }
    if isinstance(flow := opened.get("flow"), str):
        opened = {"message": flow, **opened}
    for key in _ENVELOPES:
        if key in opened and (found := list(records(opened[key], node, time, depth + 1))):
            yield from found
            return


def _flow(of: Mapping[str, Json], node: str, time: str) -> Record:
    try:
        flow = flow_of(of)
    except Unusable as fault:
        return Record("flow", fault=str(fault))
    return Record("flow", flow, flow.node_name or node, time)


def _lost(value: Json) -> int:
    count = number(pick(value, "num_events_lost", "numEventsLost")) if isinstance(value, Mapping) else None
    return max(0, min(count or 0, 2**64 - 1))


def _is_bare(value: Mapping[str, Json]) -> bool:
    """A flow without a wrapper has a verdict, addresses or a layer 4, and one thing more of a flow."""
    core = (
        isinstance(value.get("verdict"), str | int),
        isinstance(pick(value, "IP", "ip"), Mapping),
        isinstance(value.get("l4"), Mapping),
    )
    more = (
        isinstance(value.get("source"), Mapping) or isinstance(value.get("destination"), Mapping),
        pick(value, "event_type", "eventType", "traffic_direction", "trafficDirection") is not None,
    )
    return any(core) and sum(core) + sum(more) >= 2
