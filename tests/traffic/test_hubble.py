"""What is made of each line of a Hubble log: the forms it comes in, and what is no flow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.traffic.ingest import read_edges
from recommender.traffic.tables import EDGE_COLUMNS, FLOW_COLUMNS, check_edges
from traffic.hubble_lines import (
    DB,
    DB_IP,
    WEB,
    WEB_IP,
    Json,
    answer,
    flow,
    line,
    only,
    pod,
    read,
    tcp,
    udp,
    wrapped,
)

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def camel(value: Any) -> Any:
    """Keys as protojson writes them without UseProtoNames."""
    keep = {"IP", "ID", "Type", "Summary", "TCP", "SYN", "ACK", "ipVersion"}
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    named = {}
    for key, inner in value.items():
        head, *tail = key.split("_")
        named[key if key in keep else head + "".join(word.title() for word in tail)] = camel(inner)
    return named


def lowered(of: Json) -> Json:
    """The spelling of tools that lower the case and name lists so."""
    ends = {
        side: {("labelsList" if key == "labels" else key): inner for key, inner in of[side].items()}
        for side in ("source", "destination")
    }
    rest = {key: inner for key, inner in of.items() if key not in ("IP", "l4", "source", "destination")}
    return {**rest, **ends, "ip": of["IP"], "l4": {"tcp": of["l4"]["TCP"]}}


def numbered(of: Json) -> Json:
    """Enums as numbers, numbers as text."""
    ports = {"source_port": "40000", "destination_port": "5432", "flags": {"ACK": True}}
    return of | {"verdict": 1, "Type": 1, "traffic_direction": 2, "l4": {"TCP": ports}}


FLOW = flow()
FORMS: dict[str, Any] = {
    "the exporter's line": line(FLOW),
    "without the wrapper": compact(FLOW).encode(),
    "with spaces": json.dumps(wrapped(FLOW)).encode(),
    "keys in another order": json.dumps(wrapped(dict(reversed(FLOW.items()))), sort_keys=True).encode(),
    "a log driver's envelope": compact({"log": compact(wrapped(FLOW)) + "\n", "stream": "stdout"}).encode(),
    "an envelope in an envelope": compact({"log": compact({"log": compact(wrapped(FLOW))})}).encode(),
    "the flow alone in an envelope": compact({"message": compact(FLOW)}).encode(),
    "an object in an envelope": compact({"_source": wrapped(FLOW), "_index": "hubble"}).encode(),
    "the payload of a cloud log": compact({"jsonPayload": FLOW, "timestamp": "x", "resource": {}}).encode(),
    "a message queue's keys beside it": compact(
        {"cluster_name": "x", "tenant_id": "=", **wrapped(FLOW)}
    ).encode(),
    "the flow as text": compact({"flow": compact(FLOW)}).encode(),
    "a CRI prefix": b"2024-05-03T10:11:12.2Z stdout F " + line(FLOW),
    "a syslog prefix": b"May  3 10:11:12 node-1 cilium-agent[71]: " + line(FLOW),
    "the prefix of kubectl logs": b"[pod/cilium-x2x/cilium-agent] " + line(FLOW),
    "a byte-order mark": b"\xef\xbb\xbf" + line(FLOW),
    "a carriage return": line(FLOW) + b"\r\n",
    "blanks around it": b"  " + line(FLOW) + b"  \n",
    "a trailing comma": line(FLOW) + b",\n",
    "an array": compact([wrapped(FLOW)]).encode(),
    "a search result": compact({"hits": {"hits": [{"_source": FLOW}]}}).encode(),
    "camelCase": compact(camel(wrapped(FLOW))).encode(),
    "camelCase without the wrapper": compact(camel(FLOW)).encode(),
    "lower-case protocols, labelsList": compact(wrapped(lowered(FLOW))).encode(),
    "enums and ports in other types": compact(wrapped(numbered(FLOW))).encode(),
    "nulls for what is absent": compact(
        wrapped(FLOW | {"l7": None, "reply": None, "source_names": None})
    ).encode(),
    "is_reply as an object": compact(wrapped(FLOW | {"is_reply": {"value": False}})).encode(),
    "one key in camelCase": compact(wrapped(flow(is_reply=None) | {"isReply": False})).encode(),
    "the time outside only": compact({**wrapped(FLOW), "flow": flow(time=None)}).encode(),
    "a Loki answer": compact(
        {"data": {"result": [{"stream": {}, "values": [["1714731072123456789", compact(wrapped(FLOW))]]}]}}
    ).encode(),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_tells_the_same(text: bytes) -> None:
    table, tally = read(text)
    plain, _ = read(FLOW)
    pd.testing.assert_frame_equal(table, plain)
    assert tally.counts == {"flow": 1}
    assert tally.nodes == {"prod/node-1": 1}


def test_a_row_is_complete() -> None:
    row = only(read(flow(source=pod("web-1", "web", near=True)))[0])
    assert (row.src_ip, row.src_namespace, row.src_pod) == (WEB_IP, "shop", "web-1")
    assert (row.src_labels, row.src_entity, row.src_names) == ((("app", "web"),), "", ())
    assert (row.src_workload_kind, row.src_workload, row.src_cluster) == ("Deployment", "web", "prod")
    assert (row.dst_ip, row.dst_pod, row.dst_workload) == (DB_IP, "db-0", "")
    assert (row.protocol, row.dst_port, row.connections, row.flows) == ("TCP", 5432, 1, 1)
    assert (row.answered, row.audited, row.denied) == (True, 0, 0)
    assert (row.by_source, row.by_destination) == (True, False)
    assert row["hour"] == pd.Timestamp("2024-05-03T10:00Z")
    assert row["first"] == row["last"] == pd.Timestamp("2024-05-03T10:11:12.123456Z")


@pytest.mark.parametrize("by_port", [False, True], ids=["edges", "flows"])
@pytest.mark.parametrize(
    "lines", [[], [FLOW], [flow(l4={"ICMPv4": {"type": 8}})]], ids=["none", "TCP", "ICMP"]
)
def test_tables_have_their_types(lines: list[Json], by_port: bool) -> None:
    table, _ = read(*lines, by_port=by_port)
    check_edges(table)
    assert list(table.columns) == list(FLOW_COLUMNS if by_port else EDGE_COLUMNS)
    assert str(table["hour"].dtype) == "datetime64[us, UTC]"
    assert [str(table[name].dtype) for name in ("dst_port", "answered", "by_source", "flows")] == [
        "Int32", "boolean", "bool", "int64",
    ]  # fmt: skip


def pretty(*flows: Json) -> str:
    return "\n".join(json.dumps(wrapped(one), indent=2) for one in flows)


SECOND = flow(l4=tcp(40001, 5432, "ACK"))
DOCUMENTS: dict[str, str] = {
    "pretty-printed": pretty(FLOW, SECOND),
    "with tabs": pretty(FLOW, SECOND).replace("  ", "\t"),
    "a pretty array": json.dumps([wrapped(FLOW), wrapped(SECOND)], indent=2),
    "an array, opened and closed within lines": pretty(FLOW, SECOND).replace("}\n{", "}, {"),
    "an array with a line each": "[\n" + compact(wrapped(FLOW)) + ",\n" + compact(wrapped(SECOND)) + "\n]\n",
    "commas in front": "[" + compact(wrapped(FLOW)) + "\n," + compact(wrapped(SECOND)) + "]",
    "two on a line": compact(wrapped(FLOW)) + compact(wrapped(SECOND)),
    "lines, then a document": compact(wrapped(FLOW)) + "\n" + pretty(SECOND),
    "a document, then lines": pretty(FLOW) + "\n" + compact(wrapped(SECOND)),
    "an envelope over many lines": json.dumps({"records": [FLOW, SECOND]}, indent=1),
    "blank lines between": pretty(FLOW) + "\n\n\n" + pretty(SECOND) + "\n\n",
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents(text: str) -> None:
    table, tally = read(*text.encode().splitlines(keepends=True))
    assert only(table).connections == 2
    assert tally.counts["flow"] == 2
    assert tally.bad == 0


def test_a_line_in_parts() -> None:
    """A container runtime cuts lines at 16 KiB, anywhere."""
    text = line(FLOW)
    head = b"2024-05-03T10:11:12Z stdout P " + text[:300] + b"\n"
    rest = b"2024-05-03T10:11:12Z stdout F " + text[300:] + b"\n"
    table, tally = read(head, rest)
    assert only(table).flows == 1
    assert tally.counts == {"flow": 1, "continued document": 1}


KINDS: dict[str, tuple[Any, str]] = {
    "lost events": ({"lost_events": {"source": "HUBBLE_RING_BUFFER", "num_events_lost": "3"}}, "lost_events"),
    "node status": ({"node_status": {"state_change": "NODE_CONNECTED"}, "node_name": "n"}, "node_status"),
    "agent event": ({"agent_event": {"type": "AGENT_STARTED"}}, "agent_event"),
    "debug event": ({"debug_event": {"type": "DBG_GENERIC"}}, "debug_event"),
    "camelCase": ({"lostEvents": {"numEventsLost": "3"}, "nodeName": "n"}, "lost_events"),
    "in an envelope": ({"log": '{"node_status":{}}\n'}, "node_status"),
    "agent log": (b'level=info msg="Policy imported" ciliumNetworkPolicyName=x subsys=daemon', "agent log"),
    "agent log of slog": (b'time=2024-05-03T10:11:12Z level=info source=x.go:1 msg="up {\\"a\\":1}"', "agent log"),
    "agent log, klog": (b"I0503 10:11:12.123456       1 leaderelection.go:250] attempting", "agent log"),
    "agent log, JSON": ({"level": "info", "msg": "Started", "subsys": "daemon"}, "agent log"),
    "blank": (b" \r\n", "blank"),
    "an empty array": (b"[]", "blank"),
    "socket by type": (flow(Type="SOCK", verdict="TRANSLATED"), "socket event"),
    "socket by event": (flow(Type=None, event_type={"type": 7}), "socket event"),
    "traced": (flow(verdict="TRACED"), "socket event"),
    "error verdict": (flow(verdict="ERROR"), "error verdict"),
    "stale route": (flow(verdict="DROPPED", drop_reason_desc="STALE_OR_UNROUTABLE_IP"), "dropped, not by policy"),
    "drop by number": (flow(verdict="DROPPED", drop_reason=132), "dropped, not by policy"),
    "drop by sub type": (flow(verdict="DROPPED", event_type={"type": 1, "sub_type": 132}), "dropped, not by policy"),
    "ICMP unreachable": (flow(l4={"ICMPv4": {"type": 3, "code": 1}}), "ICMP error"),
    "ICMPv6 too big": (flow(l4={"ICMPv6": {"type": 2}}), "ICMP error"),
    "neighbour": (
        flow(IP={"source": "fd00::1", "destination": "fd00::2"}, l4={"ICMPv6": {"type": 135}}), "neighbour discovery",
    ),
    "all routers": (
        flow(IP={"source": "fe80::1", "destination": "ff02::2"}, l4={"ICMPv6": {"type": 133}}, source={}),
        "multicast or broadcast",
    ),
    "mDNS": (flow(IP={"source": WEB_IP, "destination": "224.0.0.251"}, l4=udp(5353, 5353)), "multicast or broadcast"),
    "DHCP": (flow(IP={"source": WEB_IP, "destination": "255.255.255.255"}, l4=udp(68, 67)), "multicast or broadcast"),
}  # fmt: skip


@pytest.mark.parametrize(("what", "kind"), KINDS.values(), ids=KINDS)
def test_what_makes_no_edge_is_counted(what: Any, kind: str) -> None:
    if isinstance(what, dict) and "verdict" not in what:
        what = compact(what).encode()
    table, tally = read(what)
    assert table.empty
    assert tally.counts == {kind: 1}
    assert tally.bad == 0
    assert tally.lost_events == (3 if kind == "lost_events" else 0)


FAULTS: dict[str, tuple[Any, str]] = {
    "text": (b"hello", "not JSON"),
    "JSON and more": (line(FLOW) + b" and more", "not JSON"),
    "a number": (b"42", "not a flow"),
    "null": (b"null", "not a flow"),
    "another log": (b'{"disposition":"allow","connection":{}}', "not a flow"),
    "an agent of another kind": (b'{"level":"info","msg":"Flow Info: ","Src IP":"10.0.0.1"}', "not a flow"),
    "no time": ({"flow": flow(time=None)}, "no time"),
    "no such time": ({"flow": flow(time="2024-13-01T00:00:00Z")}, "time not understood"),
    "no ports": (flow(l4={"TCP": {"flags": {"SYN": True}}}), "no destination port (field mask?)"),
    "source port only": (flow(l4={"UDP": {"source_port": 53}}), "no destination port (field mask?)"),
    "port 0": (flow(l4=tcp(40000, 0, "SYN")), "no destination port (field mask?)"),
    "port too high": (flow(l4=tcp(40000, 65536)), "port out of range"),
    "port below 0": (flow(l4=tcp(-1, 80)), "port out of range"),
    "port no number": (flow(l4={"TCP": {"source_port": [], "destination_port": 80}}), "port out of range"),
    "no layer 4": (flow(l4=None), "no protocol (field mask?)"),
    "an unknown layer 4": (flow(l4={"QUIC": {"destination_port": 1}}), "no protocol (field mask?)"),
    "an address that is none": (
        flow(IP={"source": "10.0.0.999", "destination": DB_IP}),
        "address not understood",
    ),
    "nobody": (flow(IP=None, source={}), "neither address nor pod on one side"),
    "a lone surrogate": (line(FLOW).replace(b"web-1", b"\\ud800"), "not JSON"),
    "wrong UTF-8": (line(FLOW).replace(b"web-1", b"\xff"), "not JSON"),
    "deep": (b'{"flow":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    "NaN": (b'{"flow":{"verdict":NaN}}', "not JSON"),
    "17 MiB": (b'{"flow":"' + b"x" * (17 << 20), "line longer than 16 MiB"),
}


@pytest.mark.parametrize(("what", "reason"), FAULTS.values(), ids=FAULTS)
def test_bad_lines_are_told(what: Any, reason: str) -> None:
    if isinstance(what, dict) and "flow" in what:
        what = compact(what).encode()
    table, tally = read(FLOW, what, FLOW)
    assert only(table).flows == 2
    assert tally.counts == {"flow": 2, reason: 1}
    assert [(reject.file, reject.line, reject.reason) for reject in tally.rejects] == [
        ("flows.log", 2, reason)
    ]
    assert 0 < len(tally.rejects[0].excerpt) <= 120


def test_the_first_five_of_a_kind_are_kept() -> None:
    _, tally = read(*[b"bad"] * 9, b"null", *[b"bad"] * 9)
    assert [reject.line for reject in tally.rejects] == [1, 2, 3, 4, 5, 10]
    assert tally.bad == 19


def test_an_excerpt_shows_what_it_cannot_print() -> None:
    _, tally = read("bad \x1b[31m\u202e".encode() + b"\xff" * 500)
    excerpt = tally.rejects[0].excerpt
    assert excerpt.isprintable()
    assert len(excerpt) <= 120


CUT: dict[str, tuple[list[bytes], dict[str, int]]] = {
    "at the end": ([line(FLOW), line(FLOW)[:200]], {"flow": 1, "truncated last line": 1}),
    "with a line end": ([line(FLOW), line(FLOW)[:200] + b"\n"], {"flow": 1, "truncated last line": 1}),
    "in a string": ([line(FLOW), line(FLOW)[:33]], {"flow": 1, "truncated last line": 1}),
    "after a comma": (
        [line(FLOW), b'{"flow":{"verdict":"FORWARDED",'],
        {"flow": 1, "truncated last line": 1},
    ),
    "in the middle": ([line(FLOW)[:200], line(FLOW)], {"flow": 1, "not JSON": 1}),
    "in the middle, after a comma": (
        [b'{"flow":{"verdict":"FORWARDED",', line(FLOW)],
        {"flow": 1, "not JSON": 1},
    ),
    "twice": ([line(FLOW)[:200], line(FLOW)[:300], line(FLOW)], {"flow": 1, "not JSON": 2}),
    "a blank after it": ([line(FLOW)[:200], b"\n"], {"truncated last line": 1, "blank": 1}),
    "two lines in one": ([line(FLOW)[:200] + line(FLOW), line(FLOW)], {"flow": 1, "not JSON": 1}),
    "a document": (
        pretty(FLOW).encode().splitlines()[:9],
        {"truncated last line": 1, "continued document": 8},
    ),
}


@pytest.mark.parametrize(("lines", "counts"), CUT.values(), ids=CUT)
def test_lines_cut_off(lines: list[bytes], counts: dict[str, int]) -> None:
    _, tally = read(*lines)
    assert tally.counts == counts
    assert tally.bad == counts.get("not JSON", 0)


def test_quoted_keys_are_no_keys() -> None:
    """A pod or a URL cannot pass for a reply, a denial or another flow by what it contains."""
    quoted = 'x","is_reply":true,"verdict":"DROPPED","y":"'
    row = only(read(flow(Summary=quoted, source=WEB | {"pod_name": quoted}))[0])
    assert (row.src_pod, row.dst_port, row.denied) == (quoted, 5432, 0)
    table, tally = read(compact({"level": "info", "msg": "x", "extra": compact(wrapped(FLOW))}).encode())
    assert table.empty
    assert tally.counts == {"agent log": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *(
        "time",
        "verdict",
        "IP",
        "l4",
        "source",
        "destination",
        "Type",
        "node_name",
        "event_type",
        "l7",
        "is_reply",
    ),
    *("reply", "traffic_direction", "destination_names", "drop_reason_desc", "drop_reason", "trace_reason"),
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from([camel, lambda one: one]))
def test_any_value_in_any_field_is_a_row_or_a_reject(changes: Json, spell: Callable[[Any], Any]) -> None:
    _, tally = read(json.dumps(spell(wrapped(FLOW | changes))).encode(), FLOW)
    assert tally.lines == 2


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([line(FLOW), b"{", b"[", b"}", b"]", b'"', b",", b"{\n"])
    )
)
def test_any_bytes_are_counted(lines: list[bytes]) -> None:
    _, tally = read(*lines)
    assert tally.number == len(lines)
    assert tally.lines >= len(lines)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples others wrote are not here")
class TestSamples:
    def test_field_mask(self) -> None:
        table = read_edges(SAMPLES / "hubble" / "exporter-fieldmask.log")
        row = only(table)
        assert (row.src_namespace, row.src_pod, row.dst_pod) == (
            "default",
            "xwing",
            "deathstar-7848d6c4d5-th9v2",
        )
        assert (row.dst_port, row.denied, row.answered) == (80, 1, pd.NA)
        assert table.attrs["reading"].counts == {"dropped, not by policy": 1, "flow": 1}

    def test_reply_of_2020(self) -> None:
        row = only(read_edges(SAMPLES / "hubble-legacy" / "flow-2020.jsonl"))
        assert (row.src_entity, row.src_ip) == ("host", "10.0.1.144")
        assert (row.dst_pod, row.dst_port, row.answered) == ("redis-cart-74594bd569-gw2xb", 6379, True)
        assert (row.dst_labels, row.dst_cluster) == ((("app", "redis-cart"),), "default")

    def test_document_in_a_message_queue(self) -> None:
        row = only(read_edges(SAMPLES / "hubble-legacy" / "kafka-wrapped.json"))
        assert (row.src_pod, row.dst_pod) == ("kibana-kb-6ff68f4bd-bkft6", "elasticsearch-es-default-0")
        assert (row.dst_port, row.answered, row.by_source) == (9200, True, True)


def test_names_are_used() -> None:
    """The fixtures above hold what their names say."""
    assert answer()["source"] == DB
    assert flow()["source"] == WEB
