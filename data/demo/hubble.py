"""Lines as Cilium's Hubble exporter writes them: proto names, declaration order, zero values left out.

Source: cilium/cilium, api/v1/flow/flow.proto, as protojson with UseProtoNames prints it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shop import NODES, Pod, number, uid

CLUSTER = "demo"
RESERVED = {"host": 1, "world": 2, "remote-node": 6, "kube-apiserver": 7}
POINTS = {"TO_STACK": 3, "TO_OVERLAY": 4, "TO_ENDPOINT": 0}
DENIED = 133
AUDIT_VERDICT = 5


@dataclass(frozen=True)
class Outside:
    """An end of a connection that is no pod. ``identity`` is set for addresses known by DNS name."""

    ip: str
    labels: tuple[str, ...] = ("reserved:world",)
    identity: int = 0
    names: tuple[str, ...] = ()


End = Pod | Outside


@dataclass(frozen=True)
class Packet:
    """One packet of a connection: who sends it to whom, and what it is."""

    source: End
    destination: End
    sport: int
    dport: int
    protocol: str = "TCP"
    flags: tuple[str, ...] = ("SYN",)
    reply: bool = False
    l4: dict[str, Any] = field(default_factory=dict)  # instead of ports, for ICMP


def time_text(when: datetime, seed: object) -> str:
    """Nanoseconds, as Go prints them: without trailing zeros."""
    fraction = f"{when.microsecond:06d}{number(1000, when, seed):03d}".rstrip("0")
    return when.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


def _identity(pod: Pod) -> int:
    return 1000 + number(60_000, *(f"{k}={v}" for k, v in identity_labels(pod)))


def identity_labels(pod: Pod) -> list[tuple[str, str]]:
    """Cilium makes identities of labels less the ones that would make one of every pod."""
    dropped = ("batch.kubernetes.io/", "apps.kubernetes.io/", "statefulset.kubernetes.io/")
    exact = {"pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid"}
    return [(k, v) for k, v in pod.labels.items() if k not in exact and not k.startswith(dropped)]


def _endpoint(end: End, local: bool) -> dict[str, Any]:
    """An end as a node tells it: its number and workload are known only of pods on that node."""
    if isinstance(end, Outside):
        if not end.labels:
            return {}
        name = end.labels[0].removeprefix("reserved:")
        return {"identity": end.identity or RESERVED.get(name, 2), "labels": list(end.labels)}
    labels = {
        **{f"k8s:{k}": v for k, v in identity_labels(end)},
        "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": end.app.namespace,
        "k8s:io.cilium.k8s.policy.cluster": CLUSTER,
        "k8s:io.cilium.k8s.policy.serviceaccount": end.app.name,
        "k8s:io.kubernetes.pod.namespace": end.app.namespace,
    }
    told: dict[str, Any] = {"ID": 100 + number(3900, end.name)} if local else {}
    told |= {"identity": _identity(end), "cluster_name": CLUSTER, "namespace": end.app.namespace}
    told |= {"labels": [f"{k}={v}" for k, v in sorted(labels.items())], "pod_name": end.name}
    if local:
        told["workloads"] = [{"name": end.app.name, "kind": end.app.kind}]
    return told


def _mac(end: End) -> str:
    n = number(1 << 46, "mac", end.ip)
    return ":".join(f"{(n >> shift) & 255:02x}" for shift in (0, 8, 16, 24, 32, 40))


def _l4(packet: Packet) -> tuple[dict[str, Any], str]:
    if packet.l4:
        return packet.l4, next(iter(packet.l4))
    ports: dict[str, Any] = {"source_port": packet.sport, "destination_port": packet.dport}
    if packet.protocol != "TCP":
        return {packet.protocol: ports}, packet.protocol
    keys = {flag: True for flag in ("FIN", "SYN", "RST", "PSH", "ACK") if flag in packet.flags}
    said = [flag for flag in ("SYN", "ACK", "RST", "FIN", "PSH") if flag in packet.flags]
    return {"TCP": ports | {"flags": keys}}, "TCP Flags: " + ", ".join(said)


def _flow(when: datetime, node: str, packet: Packet, verdict: str, **parts: Any) -> dict[str, Any]:
    """A flow with its keys in the order of flow.proto."""
    text = time_text(when, (packet.source.ip, packet.sport, node))
    l4, summary = _l4(packet)
    here = [isinstance(e, Pod) and e.node == node for e in (packet.source, packet.destination)]
    names = {
        "source_names": list(getattr(packet.source, "names", ())),
        "destination_names": list(getattr(packet.destination, "names", ())),
    }
    flow = {
        "time": text,
        "uuid": uid(text, node, packet.sport, parts.get("event_type")),
        "verdict": verdict,
        "drop_reason": parts.get("drop_reason"),
        "ethernet": {"source": _mac(packet.source), "destination": _mac(packet.destination)},
        "IP": {"source": packet.source.ip, "destination": packet.destination.ip,
               "ipVersion": "IPv6" if ":" in packet.source.ip else "IPv4"},
        "l4": l4,
        "source": _endpoint(packet.source, here[0]),
        "destination": _endpoint(packet.destination, here[1]),
        "Type": "L3_L4",
        "node_name": f"{CLUSTER}/{node}",
        **{key: value for key, value in names.items() if value},
        "l7": parts.get("l7"),
        "reply": True if parts.get("is_reply") else None,
        "event_type": parts["event_type"],
        "source_service": parts.get("source_service"),
        "destination_service": parts.get("destination_service"),
        "traffic_direction": parts["direction"],
        "policy_match_type": parts.get("match"),
        "trace_observation_point": parts.get("point"),
        "trace_reason": parts.get("trace_reason"),
        "file": parts.get("file"),
        "drop_reason_desc": parts.get("drop_reason_desc"),
        "is_reply": parts.get("is_reply"),
        "interface": parts.get("interface"),
        "Summary": parts.get("summary", summary),
    }  # fmt: skip
    if "type" in parts:
        flow["Type"] = parts["type"]
    flow = {key: value for key, value in flow.items() if value is not None}
    return {"flow": flow, "node_name": f"{CLUSTER}/{node}", "time": text}


def trace(when: datetime, node: str, packet: Packet, point: str, reason: str) -> dict[str, Any]:
    """A trace notification (event type 4) from an observation point of a node."""
    arriving = point == "TO_ENDPOINT"
    direction = "INGRESS" if arriving != packet.reply else "EGRESS"
    sub = {"sub_type": POINTS[point]} if POINTS[point] else {}
    interface = {"index": 4 + number(40, node, packet.destination.ip)} if arriving else None
    if interface:
        interface["name"] = f"lxc{number(1 << 40, packet.destination.ip):010x}"[:15]
    return _flow(
        when, node, packet, "FORWARDED", event_type={"type": 4, **sub}, direction=direction, point=point,
        trace_reason=reason, is_reply=packet.reply, interface=interface,
    )  # fmt: skip


def verdict(when: datetime, node: str, packet: Packet, outcome: str, direction: str) -> dict[str, Any]:
    """A policy verdict (event type 5): written once for the first packet where a policy selects the pod."""
    parts: dict[str, Any] = {"event_type": {"type": AUDIT_VERDICT}, "direction": direction}
    if outcome == "DROPPED":
        parts |= {"drop_reason": DENIED, "drop_reason_desc": "POLICY_DENIED"}
    elif outcome == "FORWARDED":
        parts |= {"match": 2, "is_reply": False}
    else:
        parts |= {"is_reply": False}
    return _flow(when, node, packet, outcome, **parts)


def drop(
    when: datetime, node: str, packet: Packet, direction: str, reason: str = "POLICY_DENIED"
) -> dict[str, Any]:
    """A drop notification (event type 1); for a denial it follows the policy verdict."""
    code = {"POLICY_DENIED": DENIED, "STALE_OR_UNROUTABLE_IP": 151, "INVALID_SOURCE_IP": 132}[reason]
    return _flow(
        when, node, packet, "DROPPED", drop_reason=code, event_type={"type": 1, "sub_type": code},
        direction=direction, file={"name": "bpf_lxc.c", "line": 1965}, drop_reason_desc=reason,
    )  # fmt: skip


def l7(when: datetime, node: str, packet: Packet, record: dict[str, Any], summary: str) -> dict[str, Any]:
    """A record of Cilium's proxy (event type 129): no flags, no ethernet header."""
    made = _flow(
        when, node, packet, "FORWARDED", type="L7", l7=record, event_type={"type": 129},
        direction="EGRESS", is_reply=packet.reply, summary=summary,
    )  # fmt: skip
    del made["flow"]["ethernet"]
    made["flow"]["l4"].get("TCP", {}).pop("flags", None)
    return made


def sock(
    when: datetime, node: str, pod: Pod, service: Outside, port: int, name: tuple[str, str], sport: int
) -> dict[str, Any]:
    """A socket notification (event type 7): the call as the program made it, to the Service's address."""
    packet = Packet(pod, service, sport, port, flags=())
    made = _flow(
        when, node, packet, "TRACED", type="SOCK", event_type={"type": 7, "sub_type": 1}, direction="EGRESS",
        destination_service={"name": name[1], "namespace": name[0]}, summary="TCP",
    )  # fmt: skip
    del made["flow"]["ethernet"], made["flow"]["l4"]["TCP"]["flags"]
    return made


def lost(when: datetime, node: str, count: int) -> dict[str, Any]:
    event = {"source": "HUBBLE_RING_BUFFER", "num_events_lost": str(count)}
    return {"lost_events": event, "node_name": f"{CLUSTER}/{node}", "time": time_text(when, node)}


def node_status(when: datetime) -> dict[str, Any]:
    event = {"state_change": "NODE_CONNECTED", "node_names": [f"{CLUSTER}/{node}" for node in NODES]}
    return {"node_status": event, "node_name": f"{CLUSTER}/node-a", "time": time_text(when, "status")}


def line(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)
