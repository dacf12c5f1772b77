"""A small cluster and its traffic, written in a few words: what the tests of learning and review stand on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from recommender.cluster.inventory import (
    Backends,
    Inventory,
    Namespace,
    Node,
    Pod,
    Port,
    Service,
    ServicePort,
    Workload,
    WorkloadRef,
)
from recommender.options import Options
from recommender.policy.model import Policy
from recommender.policy.selector import Labels, Selector, labels_of
from recommender.recommend import Recommendation, recommend
from recommender.traffic.tables import EDGE_COLUMNS, TIME

START = pd.Timestamp("2026-11-23T08:00:00Z")


class Scene:
    """Workloads are named ``namespace/name``; ``talk`` adds an edge for every pair of their pods."""

    def __init__(self, *, dns: bool = True, known: bool = True) -> None:
        self.known = known
        self.workloads: dict[str, Workload] = {}
        self.pods: list[Pod] = []
        self.services: list[Service] = []
        self.backends: list[Backends] = []
        self.nodes: list[Node] = [Node("node-1", ("192.168.0.11",)), Node("node-2", ("192.168.0.12",))]
        self.namespaces: dict[str, Namespace] = {}
        self.policies: list[Policy] = []
        self.rows: list[dict[str, Any]] = []
        self._ip = 0
        if dns:
            self.workload("kube-system/coredns", {"k8s-app": "kube-dns"}, ports={"dns": ("UDP", 53)})
            self.service(
                "kube-system/kube-dns", {"k8s-app": "kube-dns"}, "10.96.0.10", {53: "dns"}, protocol="UDP"
            )

    def workload(
        self,
        name: str,
        labels: Mapping[str, str],
        *,
        pods: int = 1,
        kind: str = "Deployment",
        selector: Mapping[str, str] | None = None,
        per_pod: list[Mapping[str, str]] | None = None,
        ports: Mapping[str, tuple[str, int]] | None = None,
        older: list[Mapping[str, str]] | None = None,
        host_network: bool = False,
        gone: bool = False,
        schedule: str = "",
    ) -> WorkloadRef:
        namespace, _, short = name.partition("/")
        ref = WorkloadRef(namespace, kind, short)
        declared = tuple(Port(n, protocol, number) for n, (protocol, number) in (ports or {}).items())
        sets: list[Labels] = [labels_of(labels)] + [labels_of(each) for each in older or []]
        for number in range(pods):
            own = labels_of({**labels, **((per_pod or [{}] * pods)[number])})
            sets.append(own)
            self._ip += 1
            node = self.nodes[number % 2]
            ip = node.addresses[0] if host_network else f"10.244.{self._ip // 250}.{self._ip % 250 + 1}"
            pod = Pod(
                namespace, f"{short}-{len(self.pods)}", own, ref, (ip,), node.name, host_network, declared
            )
            self.pods.append(pod)
        chosen = Selector.of(selector) if selector is not None else None
        workload = Workload(ref, tuple(dict.fromkeys(sets)), chosen, declared, host_network, schedule)
        self.workloads[name] = workload
        self.namespaces.setdefault(namespace, Namespace(namespace))
        if gone:
            self.workloads.pop(name)
        return ref

    def service(
        self,
        name: str,
        selector: Mapping[str, str],
        ip: str,
        ports: Mapping[int, int | str],
        protocol: str = "TCP",
    ) -> None:
        namespace, _, short = name.partition("/")
        made = tuple(ServicePort(f"p{port}", protocol, port, target) for port, target in ports.items())
        self.services.append(Service(namespace, short, Selector.of(selector), (ip,), made))

    def api_server(self, *addresses: str, port: int = 6443) -> None:
        self.backends.append(Backends("default", "kubernetes", addresses, (("https", "TCP", port),)))

    def pods_of(self, name: str) -> list[Pod]:
        namespace, _, short = name.partition("/")
        return [
            pod for pod in self.pods if pod.workload.namespace == namespace and pod.workload.name == short
        ]

    def talk(
        self, source: str, destination: str, port: int | None = None, protocol: str = "TCP", **more: Any
    ) -> None:
        """Ends are workloads, or ``ip:…`` for an address, or ``entity@ip`` for an entity."""
        for src in self._ends(source):
            for dst in self._ends(destination):
                self.edge(src, dst, port, protocol, **more)

    def edge(
        self,
        src: Mapping[str, Any],
        dst: Mapping[str, Any],
        port: int | None,
        protocol: str = "TCP",
        *,
        hour: int = 0,
        minute: float = 0,
        lasting: float = 0,
        answered: bool | None = True,
        denied: int = 0,
        audited: int = 0,
        connections: int = 1,
        names: tuple[str, ...] = (),
        hours: int = 1,
    ) -> None:
        for n in range(hour, hour + hours):
            first = START + pd.Timedelta(hours=n, minutes=minute)
            self.rows.append(
                {
                    "hour": first.floor("h"),
                    **{f"src_{k}": v for k, v in src.items()},
                    **{f"dst_{k}": v for k, v in dst.items()},
                    "dst_names": names if not dst["pod"] else (),
                    "src_names": names if not src["pod"] else (),
                    "protocol": protocol,
                    "dst_port": port,
                    "connections": connections,
                    "flows": connections * 3,
                    "answered": answered,
                    "audited": audited,
                    "denied": denied,
                    "last_denied": first + pd.Timedelta(minutes=lasting) if denied else pd.NaT,
                    "first": first,
                    "last": first + pd.Timedelta(minutes=lasting),
                    "by_source": True,
                    "by_destination": True,
                }
            )

    def _ends(self, name: str) -> list[dict[str, Any]]:
        blank = dict.fromkeys(
            ("ip", "namespace", "pod", "entity", "workload_kind", "workload", "cluster"), ""
        )
        blank = {**blank, "labels": (), "names": ()}
        if name.startswith("ip:"):
            return [{**blank, "ip": name[3:], "entity": "world"}]
        if "@" in name:
            entity, _, ip = name.partition("@")
            return [{**blank, "ip": ip, "entity": entity}]
        found = [
            {
                **blank,
                "ip": "" if p.host_network else p.addresses[0],
                "namespace": p.namespace,
                "pod": p.name,
                "labels": p.labels,
            }
            for p in self.pods_of(name)
        ]
        assert found, f"the scene has no {name}"
        return found

    def edges(self) -> pd.DataFrame:
        table = pd.DataFrame(self.rows, columns=list(EDGE_COLUMNS))
        for name, meaning in EDGE_COLUMNS.items():
            kind = meaning.partition(":")[0]
            if kind == "time":
                table[name] = pd.to_datetime(table[name], utc=True).astype(TIME)
            elif kind in ("Int32", "boolean", "int", "bool"):
                table[name] = table[name].astype({"int": "int64"}.get(kind, kind))
        return table

    def inventory(self) -> Inventory:
        if not self.known:
            return Inventory.unknown()
        workloads = {workload.ref: workload for workload in self.workloads.values()}
        return Inventory(
            namespaces=self.namespaces,
            workloads=workloads,
            pods=tuple(pod for pod in self.pods if pod.workload in workloads),
            services=tuple(self.services),
            backends=tuple(self.backends),
            nodes=tuple(self.nodes),
            policies=tuple(self.policies),
            origin=("scene",),
            kinds=frozenset({"Pod", "Service", "Deployment"}),
        )

    def recommend(self, **options: Any) -> Recommendation:
        return recommend(self.edges(), self.inventory(), dataclasses.replace(Options(), **options))
