"""Hubble lines in a few words: what the tests of the command write into files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def pod(
    namespace: str, name: str, workload: str = "", kind: str = "Deployment", **labels: str
) -> dict[str, Any]:
    """An end that is a pod. Underscores in keys of labels stand for dashes."""
    told = [f"k8s:{key.replace('_', '-')}={value}" for key, value in labels.items()]
    end: dict[str, Any] = {
        "identity": 4711,
        "namespace": namespace,
        "labels": [*told, f"k8s:io.kubernetes.pod.namespace={namespace}"],
        "pod_name": name,
    }
    return {**end, "workloads": [{"name": workload, "kind": kind}]} if workload else end


WORLD: Mapping[str, Any] = {"identity": 2, "labels": ["reserved:world"]}


def flow(
    source: Mapping[str, Any],
    destination: Mapping[str, Any],
    port: int = 8080,
    *,
    at: str = "2026-11-23T08:00:00Z",
    ips: tuple[str, str] = ("10.0.0.1", "10.0.0.2"),
    sport: int = 40000,
    reply: bool = False,
    node: str = "node-1",
    **more: Any,
) -> dict[str, Any]:
    """A forwarded packet, or the answer to one: ``source`` is who asked in both."""
    ends, numbers = [dict(source), dict(destination)], [sport, port]
    ips_ = list(ips)
    if reply:
        ends, numbers, ips_ = ends[::-1], numbers[::-1], ips_[::-1]
    flags = {"SYN": True, **({"ACK": True} if reply else {})}
    return {
        "flow": {
            "time": at,
            "verdict": "FORWARDED",
            "IP": {"source": ips_[0], "destination": ips_[1], "ipVersion": "IPv4"},
            "l4": {"TCP": {"source_port": numbers[0], "destination_port": numbers[1], "flags": flags}},
            "source": ends[0],
            "destination": ends[1],
            "Type": "L3_L4",
            "node_name": node,
            "is_reply": reply,
            "event_type": {"type": 4, "sub_type": 0},
            "traffic_direction": "INGRESS",
            "trace_observation_point": "TO_ENDPOINT",
            **more,
        },
        "node_name": node,
        "time": at,
    }


def both(*args: Any, **more: Any) -> list[dict[str, Any]]:
    """A connection that was answered."""
    return [flow(*args, **more), flow(*args, **more, reply=True)]


def write(path: Path, lines: Iterable[Any]) -> Path:
    """Flows, and lines as they are, one a line."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path
