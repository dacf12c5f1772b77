"""The two tables, flows and edges: their columns, types and meaning, and the check at the door.

A **flow table** has a row for every distinct connection (five-tuple, by hour); it is for
small recordings and notebooks. An **edge table** has a row for every distinct
(hour, source, destination, protocol, port); its size follows what talks to what, not the
length of the recording.

Both have the columns in ``EDGE_COLUMNS``; the flow table adds ``src_port`` and ``l7``.
``*_labels`` are pod labels as sorted (key, value) pairs, without the ``k8s:`` prefix and
without what the CNI added. ``*_entity`` is empty for pods and for addresses nothing is known
of, else one of ``ENTITIES``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from recommender.errors import FlowSchemaError

TIME: Final = "datetime64[us, UTC]"
_END: Final = {
    "ip": "string: address, empty if unknown",
    "namespace": "string: namespace of the pod, empty if it is none",
    "pod": "string: pod name, empty if unknown",
    "labels": "tuple of (key, value): pod labels",
    "entity": "string: what it is when it is no pod; see ENTITIES",
    "names": "tuple of string: DNS names the address was looked up by",
    "workload_kind": "string: Deployment, CronJob, …; empty if the log does not say",
    "workload": "string: name of that workload",
    "cluster": "string: cluster name, empty if the log does not say",
}
ENTITIES: Final = (
    "world",
    "host",
    "remote-node",
    "kube-apiserver",
    "health",
    "ingress",
    "init",
    "unmanaged",
)

EDGE_COLUMNS: Final[dict[str, str]] = {
    "hour": "time: start of the hour (UTC)",
    **{f"src_{name}": meaning for name, meaning in _END.items()},
    **{f"dst_{name}": meaning for name, meaning in _END.items()},
    "protocol": "string: TCP, UDP, SCTP, or another such as ICMPv4 that NetworkPolicy cannot say",
    "dst_port": "Int32: port on the destination; <NA> where the protocol has none",
    "connections": "int: distinct connections",
    "flows": "int: log lines that told of them",
    "answered": "boolean: was any connection answered; <NA> where the log cannot tell",
    "audited": "int: connections a policy in audit mode would have refused",
    "denied": "int: connections a policy refused",
    "first": "time: first seen (UTC)",
    "last": "time: last seen (UTC)",
    "last_denied": "time: last refused by a policy (UTC), NaT if it never was",
    "by_source": "bool: reported on the source's side",
    "by_destination": "bool: reported on the destination's side",
}
FLOW_COLUMNS: Final[dict[str, str]] = {
    **EDGE_COLUMNS,
    "src_port": "Int32: port on the source; <NA> where the log does not say",
    "l7": "string: what an L7 record said (dns query, http method and path), empty without one",
}


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that could not be used: where it is, why, and how it begins."""

    file: str
    line: int
    reason: str
    excerpt: str = ""


@dataclass(slots=True)
class Reading:
    """What was read: every line is counted in exactly one entry of ``counts``.

    ``counts`` maps what a line was ("flow", "reply", "lost_events", "node_status",
    "not JSON", …) to how many there were. ``rejects`` keeps the first few bad lines of each kind and file.
    """

    files: list[str] = field(default_factory=list)
    lines: int = 0
    flows: int = 0
    connections: int = 0
    bad: int = 0
    lost_events: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    oldest: pd.Timestamp | None = None
    newest: pd.Timestamp | None = None


def reading_of(table: pd.DataFrame) -> Reading:
    """The account that came with a table; an empty one for a table made by hand."""
    found = table.attrs.get("reading")
    return found if isinstance(found, Reading) else Reading()


def check_edges(table: pd.DataFrame) -> pd.DataFrame:
    """The table itself, if it is an edge table.

    Raises:
        FlowSchemaError: a column is missing or has another type; the columns found are named.
    """
    for name, meaning in EDGE_COLUMNS.items():
        if name not in table.columns:
            found = ", ".join(map(str, table.columns)) or "none"
            raise FlowSchemaError(f"no column {name!r}; found {found}")
        kind = meaning.partition(":")[0]
        if kind == "time" and not isinstance(table[name].dtype, pd.DatetimeTZDtype):
            raise FlowSchemaError(f"column {name!r} must be a time in UTC, is {table[name].dtype}")
        if kind in ("int", "Int32") and not pd.api.types.is_integer_dtype(table[name].dtype):
            raise FlowSchemaError(f"column {name!r} must hold integers, is {table[name].dtype}")
    return table
