"""Edges as a table: ends told in part completed from what else was told, equal ones joined, rows in order.

Only the node a pod runs on reports its workload, only some lines its labels or cluster, and
one node calls a node ``host`` that the others call ``remote-node``. So that one connection
told by two nodes is one row, ends are completed over the whole recording first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, TypeVar

import pandas as pd

from recommender.traffic.edges import Edge, Edges, End, hour_start, least
from recommender.traffic.tables import EDGE_COLUMNS, FLOW_COLUMNS, TIME

_NODES: Final = ("kube-apiserver", "remote-node", "host")
_DTYPES: Final = {
    "time": TIME,
    "string": "str",
    "int": "int64",
    "Int32": "Int32",
    "boolean": "boolean",
    "bool": "bool",
}

Group = TypeVar("Group", bound=Hashable)
Value = TypeVar("Value")
_Key = tuple[int, End, End, str, int | None, int | None]


def table_of(edges: Edges) -> pd.DataFrame:
    """The edge table, or the flow table of edges kept by port; consumes ``edges``."""
    workload = _workloads(edges)
    answerable = {protocol for (_, _, _, protocol, _, _), edge in edges.edges.items() if edge.answered}
    rows = []
    for key, edge in sorted(_joined(edges).items(), key=_in_order):
        hour, source, destination, protocol, port, src_port = key
        row: list[Any] = [hour_start(hour)]
        for end, other in ((source, destination), (destination, source)):
            names = least(edges.names.get((other.asker, end.ip), ())) if end.ip else ()
            kind, name = workload(end)
            row += [end.ip, end.namespace, end.pod, end.labels, end.entity, names, kind, name, end.cluster]
        row += [
            protocol,
            port,
            edge.connections,
            edge.flows,
            edge.answered or (False if edge.traced and protocol in answerable else None),
            _count(edge.audited),
            _count(edge.denied),
            edge.first,
            edge.last,
            edge.last_denied,
            edge.by_source,
            edge.by_destination,
        ]
        if edges.by_port:
            row += [src_port, "; ".join(least(edge.l7, 16))]
        rows.append(row)
    return _frame(rows, FLOW_COLUMNS if edges.by_port else EDGE_COLUMNS)


def _frame(rows: list[list[Any]], columns: dict[str, str]) -> pd.DataFrame:
    data = {}
    for at, (name, meaning) in enumerate(columns.items()):
        kind = meaning.partition(":")[0]
        data[name] = pd.Series([row[at] for row in rows], dtype=_DTYPES.get(kind, "object"))
    return pd.DataFrame(data)


def _count(ports: Any) -> int:
    return 0 if ports is None else max(1, len(ports))


def _workloads(edges: Edges) -> Callable[[End], tuple[str, str]]:
    """The workload of a pod, also where its cluster was not told and only one pod has the name."""
    anywhere = _only(((namespace, pod), found) for (_, namespace, pod), found in edges.workloads.items())

    def workload(end: End) -> tuple[str, str]:
        if not end.pod:
            return "", ""
        exact = edges.workloads.get((end.cluster, end.namespace, end.pod))
        return exact or anywhere.get((end.namespace, end.pod)) or ("", "")

    return workload


def _joined(edges: Edges) -> dict[_Key, Edge]:
    """Edges by what they are once their ends are complete."""
    ends = _completed(edges.ends)
    joined: dict[_Key, Edge] = {}
    entities = _node_entities(edges, ends)
    for (hour, source, destination, protocol, port, src_port), edge in edges.edges.items():
        at = (hour, _apart(ends[source]), _apart(ends[destination]), protocol, port, src_port)
        said = entities[at]
        pair = [
            end._replace(entity=said[side]) if said[side] else end
            for side, end in enumerate((ends[source], ends[destination]))
        ]
        key = (hour, pair[0], pair[1], protocol, port, src_port)
        mine = joined.setdefault(key, edge)
        if mine is not edge:
            mine.update(edge)
    return joined


def _apart(end: End) -> End:
    """An end with what nodes are called left open."""
    return end._replace(entity="node") if end.entity in _NODES else end


def _node_entities(edges: Edges, ends: list[End]) -> dict[_Key, list[str]]:
    """What a node is called on each edge. Seen from elsewhere, it is no longer the pod's own host."""
    found: dict[_Key, list[str]] = {}
    for hour, source, destination, protocol, port, src_port in edges.edges:
        pair = ends[source], ends[destination]
        said = found.setdefault((hour, _apart(pair[0]), _apart(pair[1]), protocol, port, src_port), ["", ""])
        for side, end in enumerate(pair):
            if end.entity in _NODES:
                said[side] = min(said[side] or end.entity, end.entity, key=_NODES.index)
    return found


def _completed(ends: list[End]) -> list[End]:
    """Each end with what only one value was told for elsewhere filled in where it is empty."""
    clusters = _only(((end.namespace, end.pod), end.cluster) for end in ends)
    ends = [
        end._replace(cluster=clusters.get((end.namespace, end.pod), ""))
        if end.pod and not end.cluster
        else end
        for end in ends
    ]
    ips = _only(((end.cluster, end.namespace, end.pod), end.ip) for end in ends)
    ends = [
        end._replace(ip=ips.get((end.cluster, end.namespace, end.pod), "")) if end.pod and not end.ip else end
        for end in ends
    ]
    labels = _only(((end.cluster, end.namespace, end.pod, end.ip), end.labels) for end in ends)
    return [
        end._replace(labels=labels.get((end.cluster, end.namespace, end.pod, end.ip), ()))
        if end.pod and not end.labels
        else end
        for end in ends
    ]


def _only(told: Iterable[tuple[Group, Value]]) -> dict[Group, Value]:
    """The value of each group that has exactly one, the empty ones not counted."""
    found: dict[Group, Value | None] = {}
    for group, value in told:
        if value and found.setdefault(group, value) != value:
            found[group] = None
    return {group: value for group, value in found.items() if value is not None}


def _in_order(item: tuple[_Key, Edge]) -> tuple[Any, ...]:
    hour, source, destination, protocol, port, src_port = item[0]
    return (hour, source, destination, protocol, _last(port), _last(src_port))


def _last(port: int | None) -> int:
    return -1 if port is None else port
