"""How long a recommendation takes, and how much memory, for a cluster of a given size.

    python benchmarks/recommend --pods 2000 [--repeat 3] [--keep FOLDER]

The cluster is made up: workloads of ten pods, a namespace for a hundred pods, each workload calling six
others, a tenth of them something outside, everyone DNS, and Prometheus everyone. The edges are a day's: a row
for each pair of pods that talked, in one of 24 hours. Reading the snapshot and recommending are timed in a
process of their own, so that its peak memory holds nothing else.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PODS_EACH = 10
WORKLOADS_IN_A_NAMESPACE = 10
CALLS_EACH = 6
PORTS = (8080, 8443, 9000, 5432, 6379, 50051)


@dataclass(frozen=True)
class Workload:
    namespace: str
    name: str
    port: int
    labels: dict[str, str]
    addresses: tuple[str, ...]

    def pod(self, i: int) -> str:
        return f"{self.name}-6c5d7f9b8-{i:05d}"


def pod_address(i: int) -> str:
    return f"10.{64 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"


def company(pods: int, chance: random.Random) -> list[Workload]:
    made = []
    for n in range(max(4, pods // PODS_EACH)):
        namespace, name = f"team-{n // WORKLOADS_IN_A_NAMESPACE:03d}", f"app-{n % WORKLOADS_IN_A_NAMESPACE}"
        first = n * PODS_EACH
        addresses = tuple(pod_address(i) for i in range(first, first + PODS_EACH))
        labels = {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/instance": f"{namespace}-{name}",
            "app.kubernetes.io/version": f"1.{chance.randrange(30)}.0",
            "team": f"team-{n // WORKLOADS_IN_A_NAMESPACE:03d}",
            "tier": chance.choice(("front", "middle", "back")),
        }
        made.append(Workload(namespace, name, chance.choice(PORTS), labels, addresses))
    system = (("kube-system", "coredns", 53), ("monitoring", "prometheus", 9090))
    for i, (namespace, name, port) in enumerate(system):
        labels = {"k8s-app": "kube-dns"} if port == 53 else {"app.kubernetes.io/name": name}
        made.append(Workload(namespace, name, port, labels, (f"10.63.0.{2 * i + 1}", f"10.63.0.{2 * i + 2}")))
    return made


def manifests(workloads: list[Workload]) -> Iterator[dict[str, Any]]:
    for namespace in sorted({w.namespace for w in workloads} | {"default"}):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    ports = [{"name": f"dns-{p}".lower(), "protocol": p, "port": 53} for p in ("UDP", "TCP")]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "kube-system", "name": "kube-dns", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": "10.96.0.10", "ports": ports, "selector": {"k8s-app": "kube-dns"}},
    }
    for w in workloads:
        stable = {k: v for k, v in w.labels.items() if k != "app.kubernetes.io/version"}
        selector = {k: v for k, v in stable.items() if k not in ("team", "tier")}
        protocol = "UDP" if w.port == 53 else "TCP"
        container = {"name": "main", "ports": [{"containerPort": w.port, "protocol": protocol}]}
        hashed = {"pod-template-hash": "6c5d7f9b8"}
        rs = f"{w.name}-6c5d7f9b8"
        template = {"metadata": {"labels": w.labels}, "spec": {"containers": [container]}}
        where = {"namespace": w.namespace, "labels": w.labels}
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**where, "name": w.name},
            "spec": {"selector": {"matchLabels": selector}, "template": template},
        }
        yield {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {**where, "name": rs, "ownerReferences": [owner("Deployment", w.name)]},
            "spec": {"selector": {"matchLabels": {**selector, **hashed}}, "template": template},
        }
        for i, ip in enumerate(w.addresses):
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "namespace": w.namespace,
                    "name": w.pod(i),
                    "labels": {**w.labels, **hashed},
                    "ownerReferences": [owner("ReplicaSet", rs)],
                },
                "spec": {"containers": [container], "nodeName": f"node-{i}"},
                "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
            }


def owner(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True}


END_COLUMNS = ("ip", "namespace", "pod", "labels", "entity", "names", "workload_kind", "workload", "cluster")
End = tuple[Workload, int] | str  # a pod of a workload, or an address outside


def talk(workloads: list[Workload], chance: random.Random) -> Iterator[tuple[End, End, str, int]]:
    """(source, destination, protocol, port) of all that is seen."""
    *apps, dns, prometheus = workloads
    for n, w in enumerate(apps):
        near = apps[max(0, n - 40) : n + 40]
        called = chance.sample(near, min(CALLS_EACH, len(near)))
        outside = f"23.{n >> 8 & 255}.{n & 255}.10" if chance.random() < 0.1 else ""
        for i in range(len(w.addresses)):
            for other in called:
                if other is not w:
                    yield (w, i), (other, chance.randrange(len(other.addresses))), "TCP", other.port
            yield (w, i), (dns, i % 2), "UDP", 53
            yield (prometheus, 0), (w, i), "TCP", w.port
            if outside:
                yield (w, i), outside, "TCP", 443


def edge_table(workloads: list[Workload], chance: random.Random) -> Any:
    """The edge table that ``read_edges`` would give for such a day."""
    import pandas as pd

    from recommender.traffic.tables import EDGE_COLUMNS, TIME

    start = pd.Timestamp("2026-11-22T10:00:00Z")
    rows: list[dict[str, Any]] = []
    labels = {id(w): tuple(sorted(w.labels.items())) for w in workloads}

    def told(side: str, end: End) -> dict[str, Any]:
        if isinstance(end, str):
            values: tuple[Any, ...] = (end, "", "", (), "world", (), "", "", "")
        else:
            w, i = end
            place = (w.addresses[i], w.namespace, w.pod(i), labels[id(w)])
            values = (*place, "", (), "Deployment", w.name, "demo")
        return {f"{side}_{name}": value for name, value in zip(END_COLUMNS, values, strict=True)}

    for source, destination, protocol, port in talk(workloads, chance):
        hour = start + pd.Timedelta(hours=chance.randrange(24))
        counts = {
            "connections": 3,
            "flows": 9,
            "answered": True,
            "audited": 0,
            "denied": 0,
            "last_denied": None,
        }
        times = {
            "hour": hour,
            "first": hour + pd.Timedelta(minutes=3),
            "last": hour + pd.Timedelta(minutes=50),
        }
        seen = {"by_source": True, "by_destination": not isinstance(destination, str)}
        ends = told("src", source) | told("dst", destination)
        rows.append(ends | {"protocol": protocol, "dst_port": port} | counts | times | seen)
    table = pd.DataFrame(rows)[list(EDGE_COLUMNS)]
    types: dict[str, Any] = dict.fromkeys(("hour", "first", "last", "last_denied"), TIME)
    return table.astype(types | {"dst_port": "Int32", "answered": "boolean"})


def measured(folder: Path) -> dict[str, float]:
    """Runs in a process of its own: the snapshot read, the recommendation made."""
    import pandas as pd

    from recommender import Inventory, Options, recommend

    edges = pd.read_pickle(folder / "edges.pickle")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    inventory = Inventory.from_manifests(folder / "cluster.json")
    read = time.perf_counter()
    made = recommend(edges, inventory, Options())
    done = time.perf_counter()
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return {
        "snapshot, s": read - start,
        "recommend, s": done - read,
        "peak, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "of it edges and pandas, MiB": before / unit,
        "edges": len(edges),
        "pods": len(inventory.pods),
        "policies": len(made.policies),
    }


def main() -> None:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks/recommend", description=about)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="write the cluster and the edges here, and keep them")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measured(chosen.measure)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        chance = random.Random(7)
        workloads = company(chosen.pods, chance)
        snapshot = {"apiVersion": "v1", "kind": "List", "items": list(manifests(workloads))}
        (folder / "cluster.json").write_text(json.dumps(snapshot), encoding="utf-8")
        edge_table(workloads, chance).to_pickle(folder / "edges.pickle")
        runs = []
        for _ in range(chosen.repeat):
            command = [sys.executable, __file__, "--measure", str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs.append(json.loads(done.stdout))
    print(f"median of {chosen.repeat}")
    for name in runs[0]:
        print(f"  {name:<28} {statistics.median(run[name] for run in runs):>12,.1f}")


if __name__ == "__main__":
    main()
