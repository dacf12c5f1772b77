"""Hubble flows for the tests of traffic/: one TCP packet, and what a row changes in it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from recommender.traffic.edges import Edges
from recommender.traffic.formats.hubble import Reader
from recommender.traffic.frame import table_of
from recommender.traffic.tally import Tally

Json = dict[str, Any]


def pod(name: str, app: str, *, namespace: str = "shop", near: bool = False, **more: Any) -> Json:
    """An endpoint; ``near`` as the pod's own node tells it, with workload and endpoint number."""
    end: Json = {
        "identity": 20001,
        "cluster_name": "prod",
        "namespace": namespace,
        "labels": [f"k8s:app={app}", f"k8s:io.kubernetes.pod.namespace={namespace}"],
        "pod_name": name,
    }
    if near:
        end |= {"ID": 7, "workloads": [{"name": app, "kind": "Deployment"}]}
    return end | more


WEB = pod("web-1", "web")
DB = pod("db-0", "db")
WEB_IP, DB_IP = "10.0.1.5", "10.0.2.9"


def flow(**changes: Any) -> Json:
    """A packet in mid-connection from web to db:5432, seen at the source; ``None`` takes a field away."""
    whole: Json = {
        "time": "2024-05-03T10:11:12.123456789Z",
        "verdict": "FORWARDED",
        "IP": {"source": WEB_IP, "destination": DB_IP, "ipVersion": "IPv4"},
        "l4": tcp(40000, 5432, "ACK"),
        "source": WEB,
        "destination": DB,
        "Type": "L3_L4",
        "node_name": "prod/node-1",
        "event_type": {"type": 4, "sub_type": 4},
        "traffic_direction": "EGRESS",
        "trace_observation_point": "TO_OVERLAY",
        "is_reply": False,
        "Summary": "TCP",
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def answer(**changes: Any) -> Json:
    """A packet back, from db:5432 to web."""
    back: Json = {
        "IP": {"source": DB_IP, "destination": WEB_IP, "ipVersion": "IPv4"},
        "l4": tcp(5432, 40000, "ACK"),
        "source": DB,
        "destination": WEB,
        "is_reply": True,
    }
    return flow(**(back | changes))


def tcp(source: int, destination: int, *flags: str) -> Json:
    ports = {"source_port": source, "destination_port": destination}
    return {"TCP": ports | ({"flags": dict.fromkeys(flags, True)} if flags else {})}


def udp(source: int, destination: int) -> Json:
    return {"UDP": {"source_port": source, "destination_port": destination}}


def wrapped(of: Json) -> Json:
    """As the exporter writes it."""
    return {"flow": of, "node_name": of.get("node_name", ""), "time": of.get("time", "")}


def line(of: Json) -> bytes:
    return json.dumps(wrapped(of), separators=(",", ":")).encode()


def read(*lines: bytes | Json, shortcut: bool = True, by_port: bool = False) -> tuple[pd.DataFrame, Tally]:
    """Lines, or flows, as one file."""
    edges = Edges(by_port)
    reader, tally = Reader(edges, shortcut=shortcut), Tally("flows.log")
    reader.begin(tally)
    reader.lines([one if isinstance(one, bytes) else line(one) for one in lines])
    reader.end()
    return table_of(edges), tally


def only(table: pd.DataFrame) -> Any:
    """The one row of a table."""
    assert len(table) == 1, table.T.to_string()
    return table.iloc[0]
