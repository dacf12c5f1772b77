"""The demo's company: what runs in its cluster, and which pods there were at which moment of the day.

Everything here is invented. Its shop was upgraded by Helm in the middle of the recorded day,
so every workload of the namespace ``shop`` has two generations: pods of the old one are in the
recording but no longer in the snapshot, and their ReplicaSets are left behind, scaled to zero.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
ROLLOUT = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
END = datetime(2026, 11, 23, 10, tzinfo=UTC)

NODES = {"control-a": "192.168.10.10", "node-a": "192.168.10.11", "node-b": "192.168.10.12"}
POD_NETWORK = {"node-a": "10.244.1", "node-b": "10.244.2"}
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes random names of


def word(length: int, *seed: object) -> str:
    """A name that looks random and is the same on every run."""
    digest = hashlib.sha256("/".join(map(str, seed)).encode()).digest()
    return "".join(ALPHABET[b % len(ALPHABET)] for b in digest[:length])


def number(limit: int, *seed: object) -> int:
    """A number below ``limit`` that looks random and is the same on every run."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, seed)).encode()).digest()[:8]) % limit


def uid(*seed: object) -> str:
    h = hashlib.sha256("/".join(map(str, seed)).encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"


def stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class App:
    """One workload. ``ports`` maps a port's name to its number."""

    namespace: str
    name: str
    labels: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    kind: str = "Deployment"
    replicas: int = 1
    service: dict[int, int | str] = field(default_factory=dict)
    headless: bool = False
    selector: tuple[str, ...] = ("app.kubernetes.io/name", "app.kubernetes.io/instance")
    host_network: bool = False
    metrics: int = 0
    schedule: str = ""
    moves: bool = False  # upgraded at ROLLOUT
    image: str = ""  # named as the app, unless several run the same


@dataclass(frozen=True)
class Pod:
    app: App
    name: str
    ip: str
    node: str
    labels: dict[str, str]
    owner: str
    since: datetime
    until: datetime | None = None


def recommended(name: str, instance: str, **more: str) -> dict[str, str]:
    extra = {key.replace("_", "-"): value for key, value in more.items()}
    return {"app.kubernetes.io/instance": instance, "app.kubernetes.io/name": name, **extra}


def _shop(name: str, replicas: int, service: dict[int, int | str], **ports: int) -> App:
    labels = recommended(name, "shop") | {
        "app.kubernetes.io/component": "web",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/part-of": "shop",
    }
    return App("shop", name, labels, ports, replicas=replicas, service=service, metrics=9102, moves=True)


def _worker(tenant: str) -> App:
    labels = recommended(f"worker-{tenant}", "shop") | {
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/part-of": "shop",
        "shop.example/tenant": tenant,
    }
    return App("shop", f"worker-{tenant}", labels, moves=True, image="worker")


def _job(name: str, team: str, schedule: str) -> App:
    return App("batch", name, {"app": name, "team": team}, kind="CronJob", schedule=schedule)


TENANTS = ("acme", "birch", "cedar", "delta", "elm")

APPS = (
    App(
        "ingress-nginx", "ingress-nginx-controller",
        recommended("ingress-nginx", "ingress-nginx") | {"app.kubernetes.io/component": "controller"},
        {"http": 80, "https": 443, "metrics": 10254, "webhook": 8443},
        replicas=2, service={80: "http", 443: "https"}, metrics=10254,
        selector=("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"),
    ),
    _shop("frontend", 2, {80: 8080}, http=8080, metrics=9102),
    _shop("catalog", 2, {80: "http"}, http=8080, metrics=9102),
    _shop("cart", 2, {80: "http"}, http=8080, metrics=9102),
    _shop("checkout", 1, {80: "http"}, http=8080, metrics=9102),
    _shop("payment", 1, {443: "https"}, https=8443, metrics=9102),
    *(_worker(tenant) for tenant in TENANTS),
    App(
        "data", "postgres", recommended("postgresql", "orders-db"), {"tcp-postgresql": 5432, "metrics": 9187},
        kind="StatefulSet", replicas=3, service={5432: "tcp-postgresql"}, headless=True, metrics=9187,
    ),
    App(
        "data", "redis", recommended("redis", "sessions") | {"app.kubernetes.io/component": "master"},
        {"redis": 6379, "metrics": 9121}, service={6379: 6379}, metrics=9121,
    ),
    App(
        "monitoring", "prometheus", recommended("prometheus", "monitoring"), {"web": 9090},
        kind="StatefulSet", service={9090: "web"},
    ),
    App(
        "monitoring", "otel-collector", recommended("otel-collector", "telemetry"),
        {"otlp-grpc": 4317, "metrics": 8888}, kind="DaemonSet", service={4317: 4317}, metrics=8888,
    ),
    App(
        "monitoring", "node-exporter", recommended("node-exporter", "monitoring"), {"metrics": 9100},
        kind="DaemonSet", host_network=True,
    ),
    _job("nightly-report", "finance", "30 1 * * *"),
    _job("stock-sync", "purchasing", "0 */2 * * *"),
    _job("weekly-cleanup", "finance", "0 4 * * 0"),
    # A copy of the shop's front end and of its cache, with the very same labels, in another namespace.
    App(
        "staging", "frontend",
        recommended("frontend", "shop") | {
            "app.kubernetes.io/component": "web",
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/part-of": "shop",
            "app.kubernetes.io/version": "2.15.0",
            "helm.sh/chart": "shop-2.15.0",
        },
        {"http": 8080}, service={80: 8080},
    ),
    App(
        "staging", "redis", recommended("redis", "sessions") | {"app.kubernetes.io/component": "master"},
        {"redis": 6379}, service={6379: 6379},
    ),
    App(
        "kube-system", "coredns", {"k8s-app": "kube-dns"}, {"dns": 53, "metrics": 9153},
        replicas=2, metrics=9153, selector=("k8s-app",),
    ),
)  # fmt: skip
BY_NAME = {(app.namespace, app.name): app for app in APPS}


def generations(app: App) -> tuple[tuple[str, dict[str, str], datetime, datetime | None], ...]:
    """(hash, labels, since, until) of each generation of a workload, the newest last."""
    before = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
    if not app.moves:
        return ((word(9, app.namespace, app.name), app.labels, before, None),)
    return tuple(
        (
            word(9, app.name, version),
            app.labels | {"app.kubernetes.io/version": version, "helm.sh/chart": f"shop-{version}"},
            since,
            until,
        )
        for version, since, until in (("2.14.3", before, ROLLOUT), ("2.15.0", ROLLOUT, None))
    )


def _pods() -> list[Pod]:
    made: list[Pod] = []
    used = dict.fromkeys(POD_NETWORK, 10)

    def add(
        app: App,
        name: str,
        labels: dict[str, str],
        owner: str,
        life: tuple[datetime, datetime | None],
        at: int,
    ) -> None:
        node = list(POD_NETWORK)[at % 2]
        used[node] += 1 + number(3, name)
        ip = NODES[node] if app.host_network else f"{POD_NETWORK[node]}.{used[node]}"
        made.append(Pod(app, name, ip, node, dict(sorted(labels.items())), owner, *life))

    for n, app in enumerate(APPS):
        for digest, labels, since, until in generations(app):
            count = 2 if app.kind == "DaemonSet" else app.replicas
            for i in range(count):
                life = (since, until)
                seed = word(5, app.namespace, app.name, since, i)
                if app.kind == "Deployment":
                    rs = f"{app.name}-{digest}"
                    add(app, f"{rs}-{seed}", labels | {"pod-template-hash": digest}, rs, life, n + i)
                elif app.kind == "StatefulSet":
                    name = f"{app.name}-{i}"
                    own = {
                        "apps.kubernetes.io/pod-index": str(i),
                        "controller-revision-hash": f"{app.name}-{digest}",
                        "statefulset.kubernetes.io/pod-name": name,
                    }
                    add(app, name, labels | own, app.name, life, n + i)
                elif app.kind == "DaemonSet":
                    own = {"controller-revision-hash": digest, "pod-template-generation": "1"}
                    add(app, f"{app.name}-{seed}", labels | own, app.name, life, i)
    for app, when in runs():
        job = job_name(app, when)
        own = {
            "batch.kubernetes.io/controller-uid": uid(job), "batch.kubernetes.io/job-name": job,
            "controller-uid": uid(job), "job-name": job,
        }  # fmt: skip
        end = when.replace(minute=(when.minute + 6) % 60)
        add(app, f"{job}-{word(5, job)}", app.labels | own, job, (when, end), number(2, job))
    return made


def runs() -> list[tuple[App, datetime]]:
    """The CronJob runs in the recorded day."""
    report, sync = BY_NAME["batch", "nightly-report"], BY_NAME["batch", "stock-sync"]
    days = [datetime(2026, 11, day, tzinfo=UTC) for day in (22, 23)]
    times = [(sync, day.replace(hour=hour)) for day in days for hour in range(0, 24, 2)]
    times.append((report, days[1].replace(hour=1, minute=30)))
    return [(app, when) for app, when in times if START <= when < END]


def job_name(app: App, when: datetime) -> str:
    """Kubernetes names a CronJob's Job by the minute it was due."""
    return f"{app.name}-{int(when.timestamp()) // 60}"


PODS = _pods()


def pods(namespace: str, name: str, when: datetime) -> list[Pod]:
    """The pods of a workload that were there at a moment."""
    app = BY_NAME[namespace, name]
    return [p for p in PODS if p.app is app and p.since <= when and (p.until is None or when < p.until)]


def service_ip(namespace: str, name: str) -> str:
    fixed = {("default", "kubernetes"): "10.96.0.1", ("kube-system", "kube-dns"): "10.96.0.10"}
    return (
        fixed.get((namespace, name))
        or f"10.96.{number(200, namespace, name) + 20}.{number(250, name, namespace) + 2}"
    )
