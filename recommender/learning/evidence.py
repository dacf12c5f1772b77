"""Edges x inventory -> connections between parties, and what could not be attributed.

The edge table speaks of pods and addresses as the log did. Here each end becomes a party
(a workload, a node, the API server, an address outside) and each destination port the
port of the pod itself: CNIs judge egress after the Service was translated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from recommender.cluster.inventory import Inventory
from recommender.learning.ends import TOO_EARLY, Attribution, End
from recommender.learning.parties import Link, NodeParty, Party, Seen
from recommender.policy.model import PROTOCOLS

_END_COLUMNS = ("ip", "namespace", "pod", "labels", "entity", "workload_kind", "workload", "cluster")


@dataclass(frozen=True)
class Evidence:
    """What was seen, in the cluster's own terms.

    ``rows`` has a row for every edge: ``src`` and ``dst`` are positions in ``ends``,
    ``port`` is the destination's own port (0 for none), ``own_node`` marks what a pod and
    the node it runs on said to each other; ``hour``, ``protocol``, the counts and the times
    are those of the edge table. ``inventory`` is the cluster, and what the flows add to it.
    ``notes`` counts and explains what was out of the ordinary.
    """

    rows: pd.DataFrame
    ends: tuple[End, ...]
    inventory: Inventory
    notes: tuple[str, ...]

    @cached_property
    def parties(self) -> tuple[Party, ...]:
        return tuple(end.party for end in self.ends)

    @cached_property
    def party_numbers(self) -> tuple[int, ...]:
        """For each of ``ends`` the number of its party: the same for all ends that are one party."""
        numbers = {party: number for number, party in enumerate(dict.fromkeys(self.parties))}
        return tuple(numbers[party] for party in self.parties)

    def links(self, rows: pd.DataFrame | None = None) -> tuple[Link, ...]:
        """The rows (all, unless given) as evidence between parties, one Link a distinct connection."""
        rows = self.rows if rows is None else rows
        if rows.empty:
            return ()
        named = self.party_numbers
        names = tuple(dict.fromkeys(self.parties))
        answered = rows["answered"]
        grouped = rows.assign(
            source=rows["src"].map(named.__getitem__),
            destination=rows["dst"].map(named.__getitem__),
            yes=(answered == True).fillna(False),  # noqa: E712
            unknown=answered.isna(),
        ).groupby(["source", "destination", "protocol", "port"], sort=False, observed=True)
        table = grouped.agg(
            flows=("flows", "sum"),
            connections=("connections", "sum"),
            hours=("hour", "nunique"),
            first=("first", "min"),
            last=("last", "max"),
            yes=("yes", "any"),
            unknown=("unknown", "any"),
            audited=("audited", "sum"),
            denied=("denied", "sum"),
        ).reset_index()
        looked_up = rows[rows["names"].map(bool)]
        dns: dict[tuple[Party, Party, str, int], set[str]] = {}
        for s, d, protocol, port, found in zip(
            looked_up["src"],
            looked_up["dst"],
            looked_up["protocol"],
            looked_up["port"],
            looked_up["names"],
            strict=True,
        ):
            dns.setdefault((self.parties[s], self.parties[d], protocol, port), set()).update(found)
        return tuple(
            Link(
                source=names[row.source],
                destination=names[row.destination],
                protocol=str(row.protocol),
                port=int(row.port),
                flows=int(row.flows),
                connections=int(row.connections),
                hours=int(row.hours),
                first=row.first.to_pydatetime(),
                last=row.last.to_pydatetime(),
                answered=True if row.yes else None if row.unknown else False,
                audited=int(row.audited),
                denied=int(row.denied),
                names=tuple(
                    sorted(dns.get((names[row.source], names[row.destination], row.protocol, row.port), ()))
                ),
            )
            for row in _rows(table)
        )

    def seen(self, rows: pd.DataFrame, links: Iterable[Link]) -> tuple[Seen, ...]:
        """The distinct connections behind links, pod by pod; none of protocols NetworkPolicy does not know."""
        by_parties = {(link.source, link.destination, link.protocol, link.port): link for link in links}
        found = []
        for row in _rows(rows[["src", "dst", "protocol", "port", "own_node"]].drop_duplicates()):
            source, destination = self.ends[row.src], self.ends[row.dst]
            link = by_parties.get((source.party, destination.party, row.protocol, row.port))
            if link is None or link.protocol not in PROTOCOLS:
                continue
            ends = (source.endpoint, destination.endpoint)
            if row.own_node:
                node = destination.endpoint.node or "its own"
                ends = (replace(ends[0], node=node), replace(ends[1], node=node))
            found.append(Seen(link, *ends))
        return tuple(found)


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples. Their fields are whatever the columns hold, which no type can say."""
    return table.itertuples(index=False)


def gather(edges: pd.DataFrame, inventory: Inventory) -> Evidence:
    """Attribute both ends of every edge.

    Args:
        edges: an edge table, already cut to the window.
        inventory: the cluster; ``Inventory.unknown()`` where there is no snapshot.
    """
    attribution = Attribution(inventory, _local_cluster(edges))
    started = _started(inventory)
    src_keys = _keys(edges, "src", pd.Series(0, index=edges.index), started)
    dst_keys = _keys(edges, "dst", edges["dst_port"].fillna(0).astype(int), started)
    rows = pd.DataFrame(
        {
            "hour": edges["hour"].to_numpy(),
            "protocol": edges["protocol"].to_numpy(),
            "port": edges["dst_port"].fillna(0).astype(int).to_numpy(),
            **{name: edges[name].to_numpy() for name in ("connections", "flows", "audited", "denied")},
            "first": edges["first"].array,
            "last": edges["last"].array,
            "last_denied": edges["last_denied"].array,
            "answered": edges["answered"].array,
            "names": [a + b for a, b in zip(edges["src_names"], edges["dst_names"], strict=True)],
        }
    )
    codes, unique = pd.factorize(src_keys)
    rows["src"] = pd.Series([attribution.source(key) for key in unique], dtype=int).to_numpy()[codes]
    codes, unique = pd.factorize(dst_keys)
    rows = _explode(rows, codes, [attribution.destination(key) for key in unique])
    rows["own_node"] = _own_node(rows, attribution.ends)
    notes = list(attribution.notes())
    if rows["answered"].isna().all():
        notes.append(
            "the recording holds no answers (policy verdicts have none): whether a port answers is unknown"
        )
    return Evidence(rows, tuple(attribution.ends), attribution.completed_inventory(), tuple(notes))


def _started(inventory: Inventory) -> dict[str, str]:
    """When the pod that has an address now was started, by address."""
    return {ip: pod.started for ip, pod in inventory.pod_at.items() if pod.started}


def _keys(edges: pd.DataFrame, side: str, ports: pd.Series, started: dict[str, str]) -> pd.Series:
    """What an end is attributed by: as the log told it, and for what is no pod also the port.

    Of an address that is all there is, also whether the pod that has it now was there then.
    """
    is_pod = (edges[f"{side}_pod"] != "") | (edges[f"{side}_namespace"] != "")
    bare = ~is_pod & (edges[f"{side}_entity"] == "")
    began = pd.to_datetime(edges[f"{side}_ip"].map(started.get), utc=True, errors="coerce", format="ISO8601")
    too_early = bare & (edges["last"] < began)
    told = edges.assign(**{f"{side}_entity": edges[f"{side}_entity"].mask(too_early, TOO_EARLY)})
    columns = [told[f"{side}_{name}"] for name in _END_COLUMNS]
    keys = list(zip(*columns, ports.where(~is_pod, 0), strict=True))
    result = pd.Series([None] * len(keys), dtype=object)
    result[:] = keys
    return result


def _local_cluster(edges: pd.DataFrame) -> str:
    """The cluster that reports: in a mesh the remote one's name differs. Empty if none is named."""
    seen: Counter[str] = Counter()
    for side in ("src", "dst"):
        named = edges[(edges[f"{side}_cluster"] != "") & (edges[f"{side}_workload"] != "")]
        seen.update(named[f"{side}_cluster"])
    if not seen:
        seen.update(name for side in ("src", "dst") for name in edges[f"{side}_cluster"] if name)
    return min(seen, key=lambda name: (-seen[name], name)) if seen else ""


def _explode(
    rows: pd.DataFrame, codes: Iterable[int], found: list[tuple[tuple[int, int], ...]]
) -> pd.DataFrame:
    """A destination that was a Service becomes each thing behind it, a row each."""
    code = pd.Series(list(codes), index=rows.index, dtype=int)
    parts = []
    for nth in range(max((len(targets) for targets in found), default=0)):
        has = code.map([len(targets) > nth for targets in found].__getitem__)
        part = rows[has].copy()
        part["dst"] = code[has].map(lambda c, nth=nth: found[c][nth][0]).astype(int)
        ports = code[has].map(lambda c, nth=nth: found[c][nth][1]).astype(int)
        part["port"] = part["port"].where(ports == 0, ports)
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else rows.assign(dst=pd.Series(dtype=int))


def _own_node(rows: pd.DataFrame, ends: list[End]) -> pd.Series:
    """What a pod and its own node said to each other: no NetworkPolicy on the pod stops its node."""
    is_node = [isinstance(end.party, NodeParty) for end in ends]
    anonymous = [isinstance(end.party, NodeParty) and not end.party.address for end in ends]
    node = [end.endpoint.node for end in ends]
    src_node, dst_node = rows["src"].map(node.__getitem__), rows["dst"].map(node.__getitem__)
    same = (src_node == dst_node) & (src_node != "")
    return rows["src"].map(is_node.__getitem__) & (same | rows["src"].map(anonymous.__getitem__))
