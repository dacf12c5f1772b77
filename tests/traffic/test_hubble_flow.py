"""What a flow says of a connection: who opened it, was it answered, was it denied, who its ends are."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.traffic.formats.hubble_flow import l7_text, time_of
from traffic.hubble_lines import DB, DB_IP, WEB, WEB_IP, Json, answer, flow, line, only, pod, read, tcp, udp

FORTH, BACK = (WEB_IP, 5432), (DB_IP, 40000)
SILENT: Json = {"is_reply": None, "trace_observation_point": None}
"""A packet that does not say whether it is a reply."""

ORIENTATION: dict[str, tuple[Json, tuple[str, int]]] = {
    "is_reply false": (flow(), FORTH),
    "is_reply true": (answer(), FORTH),
    "is_reply over flags": (answer(l4=tcp(5432, 40000, "SYN")), FORTH),
    "reply of an egress connection keeps its direction": (answer(traffic_direction="EGRESS"), FORTH),
    "reply alone, as 1.8 wrote it": (answer(**SILENT, reply=True), FORTH),
    "policy verdict": (flow(**SILENT, event_type={"type": 5}), FORTH),
    "policy verdict on odd ports": (
        flow(**SILENT, event_type={"type": 5}, l4=tcp(1024, 40000)), (WEB_IP, 40000),
    ),
    "policy drop": (
        flow(**SILENT, verdict="DROPPED", drop_reason_desc="POLICY_DENIED", l4=tcp(1024, 40000)), (WEB_IP, 40000),
    ),
    "SYN": (flow(**SILENT, l4=tcp(1024, 40000, "SYN")), (WEB_IP, 40000)),
    "SYN and ACK": (answer(**SILENT, l4=tcp(50051, 40000, "SYN", "ACK")), (WEB_IP, 50051)),
    "trace reason REPLY": (answer(**SILENT, trace_reason="REPLY", l4=tcp(50051, 40000)), (WEB_IP, 50051)),
    "trace reason NEW": (flow(**SILENT, trace_reason="NEW", l4=tcp(1024, 40000)), (WEB_IP, 40000)),
    "trace reason ESTABLISHED": (flow(**SILENT, trace_reason="ESTABLISHED", l4=tcp(1024, 40000)), (WEB_IP, 40000)),
    "trace reason as a number": (answer(**SILENT, trace_reason=3, l4=tcp(50051, 40000)), (WEB_IP, 50051)),
    "ports: from a service": (answer(**SILENT, l4=tcp(5432, 40000, "ACK")), FORTH),
    "ports: to a service": (flow(**SILENT, l4=tcp(40000, 5432, "ACK")), FORTH),
    "ports: both high": (flow(**SILENT, l4=tcp(40000, 50051, "ACK")), (WEB_IP, 50051)),
    "L7 response": (answer(**SILENT, Type="L7", l7={"type": "RESPONSE", "http": {"code": 200}}), FORTH),
    "L7 request": (flow(**SILENT, Type="L7", l7={"type": "REQUEST", "http": {"method": "GET"}}), FORTH),
}  # fmt: skip


@pytest.mark.parametrize(("packet", "expected"), ORIENTATION.values(), ids=ORIENTATION)
def test_who_opened_it(packet: Json, expected: tuple[str, int]) -> None:
    row = only(read(packet)[0])
    assert (row.src_ip, row.dst_port) == expected
    assert row.src_pod == "web-1"
    assert row.by_source


ANSWERED: dict[str, tuple[list[Json], Any]] = {
    "a reply": ([answer()], True),
    "a reply without flags": ([answer(l4=tcp(5432, 40000))], True),
    "SYN and ACK": ([answer(l4=tcp(5432, 40000, "SYN", "ACK"))], True),
    "an ACK of who opened it": ([flow()], True),
    "a SYN": ([flow(l4=tcp(40000, 5432, "SYN"))], False),
    "a refusal": ([flow(l4=tcp(40000, 5432, "SYN")), answer(l4=tcp(5432, 40000, "RST", "ACK"))], False),
    "a reset by who opened it": ([flow(l4=tcp(40000, 5432, "RST", "ACK"))], False),
    "no flags": ([flow(l4=tcp(40000, 5432))], False),
    "a policy verdict only": ([flow(event_type={"type": 5}, l4=tcp(40000, 5432, "SYN"))], pd.NA),
    "audited": ([flow(event_type={"type": 5}, verdict="AUDIT", l4=tcp(40000, 5432, "SYN"))], pd.NA),
    "audited, event masked": ([flow(event_type=None, verdict="AUDIT", l4=tcp(40000, 5432, "SYN"))], pd.NA),
    "a verdict, then the SYN": (
        [flow(event_type={"type": 5}, l4=tcp(40000, 5432, "SYN")), flow(l4=tcp(40000, 5432, "SYN"))], False,
    ),
    "a verdict, then a reply": ([flow(event_type={"type": 5}, l4=tcp(40000, 5432, "SYN")), answer()], True),
    "dropped": ([flow(verdict="DROPPED", drop_reason_desc="POLICY_DENIED")], False),
    "UDP, replies in the capture": ([flow(l4=udp(40000, 53))], False),
    "UDP, a reply": ([answer(l4=udp(53, 40000))], True),
}  # fmt: skip


@pytest.mark.parametrize(("packets", "expected"), ANSWERED.values(), ids=ANSWERED)
def test_was_it_answered(packets: list[Json], expected: Any) -> None:
    elsewhere = [answer(source=pod("x", "x"), l4=tcp(1, 2)), answer(source=pod("x", "x"), l4=udp(1, 2))]
    table, _ = read(*packets, *elsewhere)
    row = only(table[table["dst_pod"] == "db-0"])
    assert row.answered is expected or row.answered == expected


def test_a_capture_without_any_answer_cannot_tell() -> None:
    table, _ = read(flow(l4=udp(40000, 53)), flow(l4=tcp(40000, 5432, "SYN")), answer(l4=udp(9, 2)))
    told = zip(table["protocol"], table["dst_port"], table["answered"], strict=True)
    assert list(told) == [("TCP", 5432, pd.NA), ("UDP", 9, True), ("UDP", 53, False)]


SYN = tcp(40000, 5432, "SYN")
DROP: Json = {"verdict": "DROPPED", "is_reply": None, "l4": SYN}
TWICE = [
    flow(**DROP, event_type={"type": 5}, drop_reason_desc="POLICY_DENIED"),
    flow(**DROP, event_type={"type": 1, "sub_type": 133}, drop_reason_desc="POLICY_DENIED", drop_reason=133),
]
DENIALS: dict[str, tuple[list[Json], tuple[int, int, int, int]]] = {
    "told twice": (TWICE, (1, 2, 1, 0)),
    "retransmitted": (TWICE * 3, (1, 6, 1, 0)),
    "twice": ([*TWICE, flow(**DROP | {"l4": tcp(40001, 5432, "SYN")}, event_type={"type": 5})], (2, 3, 2, 0)),
    "explicit deny": ([flow(**DROP, drop_reason_desc="POLICY_DENY")], (1, 1, 1, 0)),
    "not authenticated": ([flow(**DROP, drop_reason_desc="AUTH_REQUIRED")], (1, 1, 1, 0)),
    "reason as a number": ([flow(**DROP, drop_reason_desc=181)], (1, 1, 1, 0)),
    "reason of old": ([flow(**DROP, drop_reason=133)], (1, 1, 1, 0)),
    "reason in the event": ([flow(**DROP, event_type={"type": 1, "sub_type": 133})], (1, 1, 1, 0)),
    "no reason": ([flow(**DROP, event_type=None)], (1, 1, 1, 0)),
    "verdict, whatever the reason": (
        [flow(**DROP, event_type={"type": 5}, drop_reason_desc="CT_MAP_INSERTION_FAILED")], (1, 1, 1, 0),
    ),
    "source ports masked": ([flow(**DROP | {"l4": {"TCP": {"destination_port": 5432}}})] * 2, (1, 2, 1, 0)),
    "audited": ([flow(verdict="AUDIT", event_type={"type": 5}, l4=SYN)] * 2, (1, 2, 0, 1)),
    "denied, later admitted": ([*TWICE, flow(l4=tcp(40001, 5432, "ACK"))], (2, 3, 1, 0)),
    "L7 denied": ([flow(Type="L7", verdict="DROPPED", l7={"type": "REQUEST", "http": {}})], (1, 1, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize(("packets", "expected"), DENIALS.values(), ids=DENIALS)
def test_connections_are_counted_and_not_lines(packets: list[Json], expected: tuple[int, ...]) -> None:
    row = only(read(*packets)[0])
    assert (row.connections, row.flows, row.denied, row.audited) == expected


def test_the_same_connection_told_by_both_nodes() -> None:
    """Each node tells the workload of its own pod, and calls itself host."""
    near = flow(source=pod("web-1", "web", near=True))
    far = flow(
        destination=pod("db-0", "db", near=True),
        node_name="prod/node-2", traffic_direction="INGRESS", trace_observation_point="TO_ENDPOINT",
    )  # fmt: skip
    row = only(read(near, far)[0])
    assert (row.connections, row.flows, row.by_source, row.by_destination) == (1, 2, True, True)
    assert (row.src_workload, row.dst_workload) == ("web", "db")


@pytest.mark.parametrize("order", [1, -1], ids=["host first", "remote-node first"])
def test_a_node_has_two_names(order: int) -> None:
    host = flow(source={"identity": 1, "labels": ["reserved:host"]})
    remote = flow(source={"identity": 6, "labels": ["reserved:remote-node"]}, traffic_direction="INGRESS")
    row = only(read(*[host, remote][::order])[0])
    assert (row.src_entity, row.connections, row.flows) == ("remote-node", 1, 2)


def test_what_one_line_leaves_out_another_tells() -> None:
    masked = pod("web-1", "web", cluster_name=None, labels=None)
    row = only(read(flow(source=masked), flow())[0])
    assert (row.src_labels, row.src_cluster, row.flows) == ((("app", "web"),), "prod", 2)


def test_a_pod_address_that_is_used_again_is_another_end() -> None:
    table, _ = read(*[flow()] * 3, *[flow(source=pod("new-7", "new"))] * 3, *[flow()] * 2)
    assert dict(zip(table["src_pod"], table["flows"], strict=True)) == {"web-1": 5, "new-7": 3}


def test_labels_that_change_within_the_hour_make_two_ends() -> None:
    table, _ = read(*[flow()] * 3, *[flow(source=pod("web-1", "web2"))] * 3)
    assert sorted(table["src_labels"]) == [(("app", "web"),), (("app", "web2"),)]


def test_hours_are_kept_apart() -> None:
    times = ["2024-05-03T10:59:59.999999999Z", "2024-05-03T11:00:00Z", "2024-05-03T12:30:00+01:00"]
    table, _ = read(*(flow(time=time) for time in times))
    assert list(table["hour"].dt.hour) == [10, 11]
    assert list(table["connections"]) == [1, 1]
    assert list(table["flows"]) == [1, 2]


ENDS: dict[str, tuple[Json, Json]] = {
    "API server outside": (
        {"identity": 7, "labels": ["reserved:kube-apiserver", "reserved:world"]}, {"entity": "kube-apiserver"},
    ),
    "own node": ({"identity": 1, "labels": ["reserved:host", "reserved:remote-node"]}, {"entity": "host"}),
    "API server on a node": (
        {"identity": 7, "labels": ["reserved:kube-apiserver", "reserved:remote-node"]}, {"entity": "kube-apiserver"},
    ),
    "CIDR": ({"identity": 16777217, "labels": ["cidr:10.1.0.0/16", "reserved:world"]}, {"entity": "world"}),
    "CIDR alone": ({"labels": ["cidr:203.0.113.7/32"]}, {"entity": "world"}),
    "FQDN": ({"labels": ["fqdn:API.example.com."]}, {"entity": "world", "names": ("api.example.com",)}),
    "world by family": ({"labels": ["reserved:world-ipv6"]}, {"entity": "world"}),
    "number only": ({"identity": 6}, {"entity": "remote-node"}),
    "number as text": ({"identity": "7"}, {"entity": "kube-apiserver"}),
    "number of an address": ({"identity": 16777300}, {"entity": "world"}),
    "unknown": ({"identity": 0}, {"entity": ""}),
    "nothing": ({}, {"entity": ""}),
    "a node's own labels": (
        {"identity": 1, "labels": ["k8s:kubernetes.io/os=linux", "reserved:host"]}, {"entity": "host", "labels": ()},
    ),
    "health": ({"identity": 4, "labels": ["reserved:health"]}, {"entity": "health"}),
    "pod at its start": (
        {"identity": 5, "labels": ["reserved:init"], "namespace": "a", "pod_name": "b"},
        {"entity": "", "namespace": "a", "pod": "b"},
    ),
    "labels of others dropped": (
        {"namespace": "a", "pod_name": "b", "labels": [
            "k8s:app=x", "k8s:empty=", "k8s:io.cilium.k8s.policy.serviceaccount=s", "gen:io.cilium.k8s.named-ports=h",
            "k8s:io.kubernetes.pod.namespace=a", "container:id=1", "k8s:app.kubernetes.io/name=x", "unspec:u=1",
            "k8s:io.cilium.k8s.namespace.labels.team=t", "cni:a=b", "k8s:io.cilium.k8s.policy.cluster=west",
        ]},
        {"labels": (("app", "x"), ("app.kubernetes.io/name", "x"), ("empty", "")), "cluster": "west"},
    ),
    "namespace by label": ({"labels": ["k8s:io.kubernetes.pod.namespace=a", "k8s:x=y"]}, {"namespace": "a"}),
    "labels without their source": ({"namespace": "a", "pod_name": "b", "labels": ["x=y"]}, {"labels": (("x", "y"),)}),
    "names only": ({"namespace": "a", "pod_name": "b"}, {"namespace": "a", "pod": "b", "labels": (), "cluster": ""}),
    "cluster of its node": ({"ID": 3, "namespace": "a", "pod_name": "b"}, {"cluster": "prod"}),
    "workload": (
        {"namespace": "a", "pod_name": "b", "workloads": [{"name": "c", "kind": "CronJob"}, {"name": "x"}]},
        {"workload": "c", "workload_kind": "CronJob"},
    ),
    "camelCase": (
        {"namespace": "a", "podName": "b", "clusterName": "c", "labelsList": ["k8s:x=y"]},
        {"pod": "b", "cluster": "c", "labels": (("x", "y"),)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("end", "expected"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_ends(end: Json, expected: Json, side: str) -> None:
    row = only(read(flow(**{side: end}))[0])
    assert {
        name: row[f"{side[:3].replace('sou', 'src').replace('des', 'dst')}_{name}"] for name in expected
    } == expected


def test_a_masked_address_is_enough_with_a_pod() -> None:
    masked = {"namespace": "a", "pod_name": "b"}
    of = flow(
        IP=None,
        source=masked,
        node_name=None,
        event_type=None,
        is_reply=None,
        traffic_direction=None,
        Type=None,
    )
    row = only(read(of | {"l4": {"TCP": {"destination_port": 80}}})[0])
    assert (row.src_pod, row.src_ip, row.dst_port, row.connections) == ("b", "", 80, 1)
    assert (row.by_source, row.by_destination) == (False, False)


PROTOCOLS: dict[str, tuple[list[Json], tuple[str, Any, str, int]]] = {
    "echo": ([flow(l4={"ICMPv4": {"type": 8}})], ("ICMPv4", pd.NA, WEB_IP, 1)),
    "echo and its reply": (
        [flow(l4={"ICMPv4": {"type": 8}}), answer(l4={"ICMPv4": {}})], ("ICMPv4", pd.NA, WEB_IP, 2),
    ),
    "echo reply, type omitted": ([answer(l4={"ICMPv4": {}}, is_reply=None)], ("ICMPv4", pd.NA, WEB_IP, 1)),
    "echo reply of version 6": ([answer(l4={"ICMPv6": {"type": 129}}, is_reply=None)], ("ICMPv6", pd.NA, WEB_IP, 1)),
    "SCTP": ([flow(l4={"SCTP": {"source_port": 9, "destination_port": 3868}})], ("SCTP", 3868, WEB_IP, 1)),
    "VRRP": ([flow(l4={"VRRP": {"type": 1, "vrid": 7}})], ("VRRP", pd.NA, WEB_IP, 1)),
    "IGMP": ([flow(l4={"IGMP": {}})], ("IGMP", pd.NA, WEB_IP, 1)),
    "hubble-ui's spelling": ([flow(l4={"icmpv4": {"type": 8}})], ("ICMPv4", pd.NA, WEB_IP, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("packets", "expected"), PROTOCOLS.values(), ids=PROTOCOLS)
def test_protocols(packets: list[Json], expected: tuple[str, Any, str, int]) -> None:
    row = only(read(*packets)[0])
    assert (row.protocol, row.src_ip, row.flows, row.connections) == (expected[0], *expected[2:], 1)
    assert row.dst_port is expected[1] or row.dst_port == expected[1]


WORLD: Json = {"identity": 2, "labels": ["reserved:world"]}
OUTSIDE_IP = "203.0.113.7"


def to_world(**changes: Any) -> Json:
    addresses = {"source": WEB_IP, "destination": OUTSIDE_IP}
    return flow(**({"IP": addresses, "destination": WORLD, "l4": tcp(40000, 443, "ACK")} | changes))


def test_a_destination_named_once_is_named_throughout() -> None:
    named = to_world(destination_names=["API.example.com."], time="2024-05-03T11:00:00Z")
    table, _ = read(to_world(), named, to_world(source=pod("other", "other")))
    names = [(row.src_pod, row["hour"].hour, row.dst_names) for _, row in table.iterrows()]
    assert names == [
        ("other", 10, ()),
        ("web-1", 10, ("api.example.com",)),
        ("web-1", 11, ("api.example.com",)),
    ]


def test_names_of_a_reply_are_the_servers() -> None:
    back = answer(
        IP={"source": OUTSIDE_IP, "destination": WEB_IP},
        source=WORLD,
        source_names=["a.example", "b.example"],
    )
    row = only(read(back)[0])
    assert (row.dst_names, row.src_names) == (("a.example", "b.example"), ())


def test_dns_answers_name_addresses_for_who_asked() -> None:
    dns = {"query": "API.example.com.", "ips": [OUTSIDE_IP, "not one"], "qtypes": ["A"]}
    told = answer(Type="L7", event_type={"type": 129}, l4=udp(53, 40000), l7={"type": "RESPONSE", "dns": dns})
    table, tally = read(told, to_world(), to_world(source=pod("other", "other")))
    rows = table[table["dst_ip"] == OUTSIDE_IP].set_index("src_pod")["dst_names"].to_dict()
    assert rows == {"web-1": ("api.example.com",), "other": ()}
    assert tally.counts == {"L7 record": 1, "flow": 2}


def test_l7_records_join_their_connection() -> None:
    http = {"type": "REQUEST", "http": {"method": "GET", "url": "http://db.shop:5432/a/b?key=secret"}}
    flows, _ = read(flow(), flow(Type="L7", l7=http), flow(l4=tcp(40001, 5432, "ACK")), by_port=True)
    assert list(zip(flows["src_port"], flows["l7"], flows["flows"], strict=True)) == [
        (40000, "GET /a/b", 2), (40001, "", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("l7", "said"),
    [
        ({"dns": {"query": "a.example."}}, "dns a.example"),
        ({"http": {"method": "POST", "url": "http://x/p?q=1#f"}}, "POST /p"),
        ({"http": {"method": "GET", "url": "http://[broken"}}, "GET /"),
        ({"kafka": {"topic": "t"}}, "kafka t"),
        ({}, ""),
    ],
)
def test_l7_text(l7: Json, said: str) -> None:
    assert l7_text(l7) == said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-03T10:11:12.123456789Z", "2024-05-03T10:11:12.123456Z"),
        ("2024-05-03T23:59:59.9999999Z", "2024-05-03T23:59:59.999999Z"),
        ("2024-05-03T12:11:12+02:00", "2024-05-03T10:11:12Z"),
        ("2024-05-03T10:11:12", "2024-05-03T10:11:12Z"),
        ("1714731072", "2024-05-03T10:11:12Z"),
        ("1714731072000", "2024-05-03T10:11:12Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00+14:00", None),
        ("nan", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
    ],
)
def test_times(text: str, expected: str | None) -> None:
    found = time_of(text)
    assert (None if found is None else pd.Timestamp(found)) == (
        None if expected is None else pd.Timestamp(expected)
    )


PODS = [
    (WEB, WEB_IP), (DB, DB_IP), (pod("web-1", "web", near=True), WEB_IP), (pod("db-0", "db", near=True), DB_IP),
    (pod("web-2", "web"), WEB_IP), (WORLD, OUTSIDE_IP), ({"labels": ["reserved:host"]}, "10.0.0.1"),
    ({"labels": ["reserved:remote-node"]}, "10.0.0.1"), ({"namespace": "shop", "pod_name": "web-1"}, WEB_IP),
]  # fmt: skip
L4 = [
    tcp(40000, 80, "SYN"), tcp(80, 40000, "SYN", "ACK"), tcp(40001, 80, "ACK"), tcp(40000, 80), tcp(80, 40001, "RST"),
    udp(40000, 53), udp(53, 40000), {"ICMPv4": {"type": 8}}, {"TCP": {"destination_port": 80}}, tcp(40000, 0),
]  # fmt: skip
PACKETS = st.builds(
    lambda source, destination, l4, hour, second, **rest: flow(
        source=source[0], destination=destination[0], IP={"source": source[1], "destination": destination[1]},
        l4=l4, time=f"2024-05-03T{hour:02}:00:{second:02}.5Z", **rest,
    ),
    source=st.sampled_from(PODS), destination=st.sampled_from(PODS), l4=st.sampled_from(L4),
    hour=st.sampled_from([9, 10]), second=st.integers(0, 59), is_reply=st.sampled_from([True, False, None]),
    verdict=st.sampled_from(["FORWARDED"] * 6 + ["DROPPED", "AUDIT", "REDIRECTED"]),
    event_type=st.sampled_from([{"type": 4}, {"type": 5}, {"type": 4, "sub_type": 3}]),
    Type=st.sampled_from(["L3_L4"] * 5 + ["L7", None]),
    traffic_direction=st.sampled_from(["EGRESS", "INGRESS", None]),
    node_name=st.sampled_from(["prod/node-1", "node-2"]),
    source_names=st.sampled_from([None, None, ["a.example"]]),
    destination_names=st.sampled_from([None, None, ["b.example"]]),
)  # fmt: skip
CARRIERS: list[Callable[[bytes], bytes]] = [
    bytes,
    bytes,
    lambda text: json.dumps({"log": text.decode() + "\n", "stream": "stdout"}).encode(),
    lambda text: json.dumps({"message": text.decode(), "kubernetes": {"pod_name": "cilium"}}).encode(),
    lambda text: json.dumps({"message": "-", "log": text.decode()}).encode(),
    lambda text: b"2024-05-03T10:11:12.2Z stdout F " + text + b"\n",
]
CAPTURES = st.lists(st.tuples(PACKETS, st.integers(1, 3), st.sampled_from(CARRIERS)), max_size=12)


@settings(deadline=None, max_examples=150)
@given(CAPTURES, st.randoms(use_true_random=False), st.booleans())
def test_order_and_shortcut_change_nothing(
    capture: list[tuple[Json, int, Callable[[bytes], bytes]]], rng: random.Random, by_port: bool
) -> None:
    lines = [carried(line(packet)) for packet, times, carried in capture for _ in range(times)]
    table, tally = read(*lines, by_port=by_port)
    plain, plain_tally = read(*lines, by_port=by_port, shortcut=False)
    pd.testing.assert_frame_equal(table, plain)
    assert (tally.counts, tally.nodes, tally.oldest, tally.newest, tally.rejects) == (
        plain_tally.counts, plain_tally.nodes, plain_tally.oldest, plain_tally.newest, plain_tally.rejects,
    )  # fmt: skip
    rng.shuffle(lines)
    shuffled, shuffled_tally = read(*lines, by_port=by_port)
    pd.testing.assert_frame_equal(table, shuffled)
    assert tally.counts == shuffled_tally.counts
    assert table["flows"].sum() == sum(tally.counts[kind] for kind in ("flow", "reply", "L7 record"))
    assert (table["connections"] >= table[["denied", "audited"]].max(axis=1)).all()
