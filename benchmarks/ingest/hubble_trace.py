"""A Hubble trace log of a made-up cluster, in the exporter's key order, the same bytes each time.

About 5,000 distinct edges between 80 workloads on 12 nodes, to DNS and to the world. Each
connection is told as the exporter tells it: a policy verdict now and then, SYN and SYN-ACK,
packets of the established connection in both directions, from the source's node and from
the destination's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CLUSTER = "prod-eu-1"
NODES = [f"ip-10-0-{n}-17.eu-west-1.compute.internal" for n in range(12)]
NODE_LABELS = [
    "beta.kubernetes.io/arch=amd64",
    "beta.kubernetes.io/os=linux",
    "kubernetes.io/arch=amd64",
    "kubernetes.io/os=linux",
    "node.kubernetes.io/instance-type=m6i.2xlarge",
    "topology.kubernetes.io/region=eu-west-1",
    "topology.kubernetes.io/zone=eu-west-1a",
]
START = datetime(2024, 5, 3, 8, 0, tzinfo=UTC)
PORTS = (8080, 8443, 9090, 5432, 6379, 9092, 3306, 50051)
Json = dict[str, Any]


class Pod:
    """A pod as its own node tells it, and as other nodes do."""

    def __init__(self, number: int, replica: int) -> None:
        app, namespace = f"service-{number}", f"team-{number % 16}"
        self.ip = f"10.{1 + number % 12}.{number}.{replica + 2}"
        self.node = (number + replica * 5) % len(NODES)
        self.ports = [PORTS[(number + n) % len(PORTS)] for n in range(1 + number % 2)]
        self.mac = f"3e:{number:02x}:{replica:02x}:aa:10:01"
        self.far: Json = {
            "identity": 20000 + number,
            "cluster_name": CLUSTER,
            "namespace": namespace,
            "labels": [
                f"k8s:app.kubernetes.io/component={('api', 'worker', 'db')[number % 3]}",
                f"k8s:app.kubernetes.io/instance={app}",
                f"k8s:app.kubernetes.io/name={app}",
                f"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={namespace}",
                f"k8s:io.cilium.k8s.policy.cluster={CLUSTER}",
                f"k8s:io.cilium.k8s.policy.serviceaccount={app}",
                f"k8s:io.kubernetes.pod.namespace={namespace}",
            ],
            "pod_name": f"{app}-{7 * number + 4096:x}-{replica:05d}",
        }
        self.near: Json = {
            "ID": 100 + number * 8 + replica,
            **self.far,
            "workloads": [{"name": app, "kind": "Deployment"}],
        }

    def seen_from(self, node: int) -> Json:
        return self.near if node == self.node else self.far


def write_trace(path: Path, lines: int) -> None:
    """Write ``lines`` lines over one hour, so that a longer trace has the same edges."""
    rng = random.Random(7)
    pods = [Pod(number, replica) for number in range(80) for replica in range(4)]
    edges = _edges(rng, pods)
    step = timedelta(hours=1) / (lines + 1)
    with path.open("wb") as file:
        written = 0
        while written < lines:
            # A few edges carry most of the traffic, as they do.
            edge = edges[int(len(edges) * rng.random() ** 2)]
            for record in _connection(rng, edge):
                if written == lines:
                    break
                flow = _flow(rng, START + step * written, record)
                line = {"flow": flow, "node_name": flow["node_name"], "time": flow["time"]}
                file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
                written += 1


def _edges(rng: random.Random, pods: list[Pod]) -> list[tuple[Pod, Pod | str, int]]:
    """(source, destination pod or world address, port)."""
    dns = Pod(0, 0)
    dns.far["pod_name"], dns.far["namespace"], dns.ports = "coredns-5d78c9869d-8x7zk", "kube-system", [53]
    dns.far["labels"] = [
        f"k8s:io.cilium.k8s.policy.cluster={CLUSTER}",
        "k8s:io.cilium.k8s.policy.serviceaccount=coredns",
        "k8s:io.kubernetes.pod.namespace=kube-system",
        "k8s:k8s-app=kube-dns",
    ]
    dns.near = {"ID": 7, **dns.far, "workloads": [{"name": "coredns", "kind": "Deployment"}]}
    dns.ip = "10.1.0.53"
    found: set[tuple[int, int, int]] = set()
    edges: list[tuple[Pod, Pod | str, int]] = [(pod, dns, 53) for pod in pods]
    while len(found) < 4400:
        source, destination = rng.randrange(len(pods)), rng.randrange(len(pods))
        port = rng.choice(pods[destination].ports)
        if source // 4 != destination // 4 and (source, destination, port) not in found:
            found.add((source, destination, port))
            edges.append((pods[source], pods[destination], port))
    edges += [(rng.choice(pods), f"203.0.113.{n % 250 + 1}", 443) for n in range(280)]
    rng.shuffle(edges)
    return edges


def _connection(rng: random.Random, edge: tuple[Pod, Pod | str, int]) -> Iterator[Json]:
    """What is told of one connection, in order."""
    source, destination, port = edge
    src_port = rng.randrange(32768, 60999)
    proto = "UDP" if port == 53 else "TCP"
    forth = {
        "src": source,
        "dst": destination,
        "sport": src_port,
        "dport": port,
        "proto": proto,
        "reply": False,
    }
    back = {
        "src": destination,
        "dst": source,
        "sport": port,
        "dport": src_port,
        "proto": proto,
        "reply": True,
    }
    far = destination.node if isinstance(destination, Pod) else None
    if rng.random() < 0.3:
        yield {**forth, "node": source.node, "direction": "EGRESS", "event": 5, "flags": ["SYN"]}
    packets = [(forth, ["SYN"], "NEW"), (back, ["SYN", "ACK"], "REPLY")] if proto == "TCP" else []
    for _ in range(1 if proto == "UDP" else rng.randrange(1, 4)):
        packets.append((forth, ["PSH", "ACK"], "ESTABLISHED"))
        packets.append((back, ["PSH", "ACK"], "REPLY"))
    if proto == "TCP":
        packets += [(forth, ["FIN", "ACK"], "ESTABLISHED"), (back, ["FIN", "ACK"], "REPLY")]
    for packet, flags, reason in packets:
        told = {**packet, "flags": flags, "reason": reason, "event": 4}
        yield {**told, "node": source.node, "direction": "EGRESS", "point": "TO_OVERLAY"}
        if far is not None and far != source.node:
            yield {**told, "node": far, "direction": "INGRESS", "point": "TO_ENDPOINT"}
    if rng.random() < 0.02 and isinstance(destination, Pod):
        yield {
            **forth,
            "node": far,
            "direction": "INGRESS",
            "event": 5,
            "flags": ["SYN"],
            "denied": True,
            "dport": 22,
        }
        yield {
            **forth,
            "node": far,
            "direction": "INGRESS",
            "event": 1,
            "flags": ["SYN"],
            "denied": True,
            "dport": 22,
        }


def _flow(rng: random.Random, when: datetime, told: Json) -> Json:
    node, denied = f"{CLUSTER}/{NODES[told['node']]}", told.get("denied", False)
    flow: Json = {
        "time": when.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{rng.randrange(1, 1000):03d}Z",
        "uuid": f"{rng.getrandbits(32):08x}-5cf7-4a1e-9d5e-{rng.getrandbits(48):012x}",
        "verdict": "DROPPED" if denied else "FORWARDED",
    }
    if denied:
        flow["drop_reason"] = 133
    flow["ethernet"] = {"source": _mac(told["src"]), "destination": _mac(told["dst"])}
    flow["IP"] = {"source": _ip(told["src"]), "destination": _ip(told["dst"]), "ipVersion": "IPv4"}
    layer: Json = {"source_port": told["sport"], "destination_port": told["dport"]}
    if told["proto"] == "TCP":
        layer["flags"] = dict.fromkeys(told["flags"], True)
    flow["l4"] = {told["proto"]: layer}
    flow["source"] = _end(told["src"], told["node"])
    flow["destination"] = _end(told["dst"], told["node"])
    flow |= {"Type": "L3_L4", "node_name": node}
    flow["node_labels"] = [*NODE_LABELS, f"kubernetes.io/hostname={NODES[told['node']]}"]
    world, reply = told["dst"] if isinstance(told["dst"], str) else told["src"], told["reply"]
    if isinstance(world, str):
        flow["source_names" if reply else "destination_names"] = [f"api-{world.split('.')[-1]}.example.com"]
    flow["event_type"] = {"type": told["event"], **({"sub_type": 133} if told["event"] == 1 else {})}
    if told["event"] == 4:
        flow["event_type"]["sub_type"] = 4 if told["direction"] == "EGRESS" else 101
    elif isinstance(told["dst"], Pod) and told["dport"] in (8080, 8443):
        name = told["dst"].far["labels"][1].split("=")[1]
        flow["destination_service"] = {"name": name, "namespace": told["dst"].far["namespace"]}
    flow["traffic_direction"] = told["direction"]
    if told["event"] == 5 and not denied:
        flow["policy_match_type"] = 1
    if told["event"] == 4:
        flow["trace_observation_point"] = told["point"]
        flow["trace_reason"] = told["reason"]
    if denied:
        flow["drop_reason_desc"] = "POLICY_DENIED"
        if told["event"] == 1:
            flow["file"] = {"name": "bpf_lxc.c", "line": 1984}
    else:
        flow["is_reply"] = told["reply"]
    if told["event"] == 4:
        flow["interface"] = {"index": 7 + told["node"], "name": "cilium_vxlan"}
    if told["event"] == 5 and not denied:
        flow["egress_allowed_by"] = [
            {
                "name": "allow-egress",
                "namespace": told["src"].far["namespace"],
                "labels": ["k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy"],
                "revision": "17",
                "kind": "NetworkPolicy",
            }
        ]
    flow["Summary"] = "TCP Flags: " + ", ".join(told["flags"]) if told["proto"] == "TCP" else "UDP"
    return flow


def _ip(end: Pod | str) -> str:
    return end if isinstance(end, str) else end.ip


def _mac(end: Pod | str) -> str:
    return "0e:aa:bb:cc:00:01" if isinstance(end, str) else end.mac


def _end(end: Pod | str, node: int) -> Json:
    if isinstance(end, str):
        return {
            "identity": 16777300,
            "labels": [f"cidr:{end}/32", f"fqdn:api-{end.split('.')[-1]}.example.com", "reserved:world"],
        }
    return end.seen_from(node)
