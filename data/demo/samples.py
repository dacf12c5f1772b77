"""One small sample of each form a Hubble recording comes in. All but the audit capture tell the same story.

The story: ``cart`` asks the DNS server, then calls ``redis``; ``payment`` calls a name outside; a stray
client calls ``payment`` and is refused. Four connections, one of them denied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import hubble
import shop
from hubble import Outside, Packet

Event = dict[str, Any]
WHEN = shop.END - timedelta(minutes=50)
OUTSIDE = Outside(
    "3.33.146.10", ("fqdn:api.payments.example", "reserved:world"), 16_777_300, ("api.payments.example",)
)


def _pod(namespace: str, name: str) -> shop.Pod:
    return shop.pods(namespace, name, WHEN)[0]


def story() -> Iterator[Event]:
    cart, redis, payment = _pod("shop", "cart"), _pod("data", "redis"), _pod("shop", "payment")
    dns, stray = _pod("kube-system", "coredns"), _pod("staging", "frontend")

    def asked(
        at: int, source: Any, destination: Any, sport: int, port: int, protocol: str
    ) -> Iterator[Event]:
        when = WHEN + timedelta(seconds=at)
        tcp = protocol == "TCP"
        ask = Packet(source, destination, sport, port, protocol, ("SYN",) if tcp else ())
        answer = Packet(destination, source, port, sport, protocol, ("SYN", "ACK") if tcp else (), reply=True)
        if isinstance(destination, shop.Pod):
            yield hubble.trace(when, destination.node, ask, "TO_ENDPOINT", "NEW")
        else:
            yield hubble.trace(when, source.node, ask, "TO_STACK", "NEW")
        later = when + timedelta(microseconds=310)
        yield hubble.trace(later, source.node, answer, "TO_ENDPOINT", "REPLY")

    yield from asked(1, cart, dns, 40101, 53, "UDP")
    yield from asked(2, cart, redis, 40102, 6379, "TCP")
    talk = Packet(cart, redis, 40102, 6379, "TCP", ("ACK", "PSH"))
    when = WHEN + timedelta(seconds=3)
    yield hubble.trace(when, redis.node, talk, "TO_ENDPOINT", "ESTABLISHED")
    yield from asked(4, payment, OUTSIDE, 40103, 443, "TCP")
    when = WHEN + timedelta(seconds=5)
    denied = Packet(stray, payment, 40104, 8443)
    yield hubble.verdict(when, payment.node, denied, "DROPPED", "INGRESS")
    yield hubble.drop(when + timedelta(microseconds=11), payment.node, denied, "INGRESS")


def audit() -> Iterator[Event]:
    """Policy audit mode: one line for each new connection, no replies, wanted and unwanted alike."""
    redis, payment = _pod("data", "redis"), _pod("shop", "payment")
    ends = [
        (_pod("shop", "cart"), redis, 6379, "INGRESS"),
        (_pod("shop", "worker-acme"), redis, 6379, "INGRESS"),
        (_pod("staging", "frontend"), redis, 6379, "INGRESS"),
        (_pod("shop", "checkout"), payment, 8443, "INGRESS"),
        (payment, _pod("data", "postgres"), 5432, "EGRESS"),
        (payment, OUTSIDE, 443, "EGRESS"),
    ]
    for n, (source, destination, port, direction) in enumerate(ends):
        when = WHEN + timedelta(seconds=7 * n)
        node = (source if direction == "EGRESS" else destination).node
        packet = Packet(source, destination, 40200 + n, port)
        yield hubble.verdict(when, node, packet, "AUDIT", direction)


def camel_case(value: Any) -> Any:
    """As protojson prints without UseProtoNames; the names that are no snake case stay."""
    if isinstance(value, list):
        return [camel_case(v) for v in value]
    if not isinstance(value, dict):
        return value
    renamed = {}
    for key, inner in value.items():
        first, *rest = key.split("_")
        renamed[first + "".join(word.capitalize() for word in rest)] = camel_case(inner)
    return renamed


def bare(event: Event) -> Event:
    """As Cilium up to 1.8 wrote it: no wrapper, ``reply`` instead of ``is_reply``, no workloads."""
    flow = dict(event["flow"])
    for late in ("uuid", "is_reply", "trace_reason", "drop_reason_desc", "interface", "file"):
        flow.pop(late, None)
    for end in ("source", "destination"):
        flow[end] = {k: v for k, v in flow[end].items() if k not in ("workloads", "cluster_name")}
    return flow


def in_log(event: Event) -> Event:
    """As a log shipper forwards a container's output."""
    where = {"namespace_name": "kube-system", "container_name": "cilium-agent"}
    return {"log": hubble.line(event) + "\n", "stream": "stdout", "time": event["time"], "kubernetes": where}


def in_queue(event: Event) -> Event:
    """As it travels in a message queue."""
    around = {"cluster_name": hubble.CLUSTER, "component_name": "cilium", "tenant_id": "7"}
    return {**around, "flow": event["flow"], "node_name": event["node_name"], "time": event["time"]}


def masked(event: Event) -> Event:
    """With an export field mask: no labels, no workloads, no event type, no direction."""
    flow = event["flow"]
    kept = {key: flow[key] for key in ("time", "verdict", "IP", "l4") if key in flow}
    for end in ("source", "destination"):
        kept[end] = {k: v for k, v in flow[end].items() if k in ("namespace", "pod_name")}
    kept |= {key: flow[key] for key in ("node_name", "drop_reason_desc", "is_reply") if key in flow}
    return {"flow": kept, "node_name": event["node_name"], "time": event["time"]}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = list(story())
    aside = [hubble.lost(WHEN, "node-a", 12), hubble.node_status(WHEN)]
    files = {
        "hubble-exporter": [*aside, *told],
        "hubble-audit": list(audit()),
        "hubble-camelcase": [camel_case(event) for event in told],
        "hubble-bare": [bare(event) for event in told],
        "hubble-log-envelope": [in_log(event) for event in [*aside, *told]],
        "hubble-kafka-envelope": [in_queue(event) for event in told],
        "hubble-fieldmask": [masked(event) for event in told],
    }
    for name, events in files.items():
        lines = [json.dumps(event, separators=(",", ":")) + "\n" for event in events]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
