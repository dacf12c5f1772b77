"""The demo's cluster as ``kubectl get … -A -o yaml`` writes it at the end of the recorded day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shop import (
    APPS,
    BY_NAME,
    END,
    NODES,
    POD_NETWORK,
    PODS,
    START,
    App,
    Pod,
    generations,
    job_name,
    number,
    pods,
    runs,
    service_ip,
    stamp,
    uid,
    word,
)

ORDER = (
    "Namespace", "Node", "Pod", "Service", "EndpointSlice", "NetworkPolicy", "Deployment", "ReplicaSet",
    "StatefulSet", "DaemonSet", "CronJob", "Job",
)  # fmt: skip


def _object(
    kind: str, namespace: str, name: str, version: str, since: datetime, **body: Any
) -> dict[str, Any]:
    more = body.pop("metadata", {})
    metadata: dict[str, Any] = {
        "creationTimestamp": stamp(since),
        "name": name,
        "resourceVersion": str(100_000 + number(900_000, kind, namespace, name)),
        "uid": uid(kind, namespace, name),
        **more,
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def _owner(kind: str, version: str, namespace: str, name: str) -> list[dict[str, Any]]:
    reference = {"apiVersion": version, "controller": True, "kind": kind, "name": name}
    return [reference | {"blockOwnerDeletion": True, "uid": uid(kind, namespace, name)}]


def _spec(app: App) -> dict[str, Any]:
    container: dict[str, Any] = {
        "image": f"registry.shop.example/{app.image or app.name}:stable",
        "imagePullPolicy": "IfNotPresent",
        "name": app.name.removeprefix("ingress-nginx-"),
    }
    ports = [{"containerPort": n, "name": name, "protocol": "TCP"} for name, n in app.ports.items()]
    if app.name == "coredns":
        ports[:1] = [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
        ]
    if app.host_network:
        ports = [port | {"hostPort": port["containerPort"]} for port in ports]
    if ports:
        container["ports"] = ports
    spec: dict[str, Any] = {"containers": [container], "dnsPolicy": "ClusterFirst"}
    spec["restartPolicy"] = "Never" if app.schedule else "Always"
    spec["serviceAccountName"] = app.name
    return spec | ({"hostNetwork": True, "hostPID": True} if app.host_network else {})


def _template(app: App, labels: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": labels}
    if app.metrics:
        metadata["annotations"] = {"prometheus.io/port": str(app.metrics), "prometheus.io/scrape": "true"}
    return {"metadata": metadata, "spec": _spec(app)}


def _workloads() -> list[dict[str, Any]]:
    made = []
    for app in APPS:
        selector = {"matchLabels": {key: app.labels[key] for key in app.selector if key in app.labels}}
        *_, (digest, labels, _, _) = generations(app)
        born = generations(app)[0][2]
        meta = {"labels": labels}
        if app.kind == "CronJob":
            job = {"metadata": {}, "spec": {"backoffLimit": 2, "template": _template(app, labels)}}
            spec: dict[str, Any] = {
                "concurrencyPolicy": "Forbid", "failedJobsHistoryLimit": 1, "jobTemplate": job,
                "schedule": app.schedule, "successfulJobsHistoryLimit": 3, "suspend": False,
            }  # fmt: skip
            made.append(
                _object("CronJob", app.namespace, app.name, "batch/v1", born, metadata=meta, spec=spec)
            )
            continue
        spec = {"selector": selector, "template": _template(app, labels)}
        if app.kind != "DaemonSet":
            spec["replicas"] = app.replicas
        if app.kind == "StatefulSet":
            spec["serviceName"] = app.name
        made.append(_object(app.kind, app.namespace, app.name, "apps/v1", born, metadata=meta, spec=spec))
        if app.kind != "Deployment":
            continue
        for digest, labels, since, until in generations(app):
            hashed = {"pod-template-hash": digest}
            spec = {
                "replicas": 0 if until else app.replicas,
                "selector": {"matchLabels": selector["matchLabels"] | hashed},
                "template": _template(app, labels | hashed),
            }
            meta = {
                "labels": labels | hashed,
                "ownerReferences": _owner("Deployment", "apps/v1", app.namespace, app.name),
            }
            made.append(
                _object(
                    "ReplicaSet",
                    app.namespace,
                    f"{app.name}-{digest}",
                    "apps/v1",
                    since,
                    metadata=meta,
                    spec=spec,
                )
            )
    return made


def _jobs() -> list[dict[str, Any]]:
    """The Jobs still kept: the last three of each CronJob. Their pods went with a replaced node."""
    kept = []
    report = BY_NAME["batch", "nightly-report"]
    cleanup = BY_NAME["batch", "weekly-cleanup"]
    done = runs()
    done += [(report, datetime(2026, 11, day, 1, 30, tzinfo=UTC)) for day in (21, 22)]
    done += [(cleanup, datetime(2026, 11, day, 4, tzinfo=UTC)) for day in (15, 22)]
    for name in ("nightly-report", "stock-sync", "weekly-cleanup"):
        kept += sorted([run for run in done if run[0].name == name], key=lambda run: run[1])[-3:]
    made = []
    for app, when in kept:
        job = job_name(app, when)
        own = {"batch.kubernetes.io/job-name": job, "batch.kubernetes.io/controller-uid": uid(job)}
        own |= {"job-name": job, "controller-uid": uid(job)}
        spec = {
            "backoffLimit": 2, "completions": 1, "parallelism": 1,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid(job)}},
            "template": _template(app, app.labels | own),
        }  # fmt: skip
        meta = {
            "labels": app.labels | own,
            "ownerReferences": _owner("CronJob", "batch/v1", "batch", app.name),
        }
        made.append(
            _object("Job", "batch", job, "batch/v1", when, metadata=meta, spec=spec, status={"succeeded": 1})
        )
    return made


def _pod(pod: Pod) -> dict[str, Any]:
    kind = {"Deployment": "ReplicaSet"}.get(pod.app.kind, pod.app.kind)
    meta: dict[str, Any] = {
        "labels": pod.labels,
        "ownerReferences": _owner(kind, "apps/v1", pod.app.namespace, pod.owner),
    }
    if pod.app.metrics:
        meta["annotations"] = {"prometheus.io/port": str(pod.app.metrics), "prometheus.io/scrape": "true"}
    if pod.app.kind == "Deployment":
        meta["generateName"] = pod.owner + "-"
    status = {
        "hostIP": NODES[pod.node], "phase": "Running", "podIP": pod.ip, "podIPs": [{"ip": pod.ip}],
        "qosClass": "Burstable", "startTime": stamp(pod.since),
    }  # fmt: skip
    spec = _spec(pod.app) | {"nodeName": pod.node}
    return _object(
        "Pod", pod.app.namespace, pod.name, "v1", pod.since, metadata=meta, spec=spec, status=status
    )


def _service(
    namespace: str, name: str, selector: dict[str, str] | None, ports: list[dict[str, Any]], **spec: Any
) -> dict[str, Any]:
    ip = spec.pop("clusterIP", service_ip(namespace, name))
    body = {"clusterIP": ip, "clusterIPs": [ip], "ports": ports, "type": "ClusterIP", **spec}
    if selector:
        body["selector"] = selector
    return _object("Service", namespace, name, "v1", generations(APPS[0])[0][2], spec=body)


def _slice(
    namespace: str,
    service: str,
    ports: list[dict[str, Any]],
    backing: list[Pod],
    addresses: tuple[str, ...] = (),
) -> dict[str, Any]:
    endpoints: list[dict[str, Any]] = [
        {
            "addresses": [pod.ip], "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": pod.node, "targetRef": {"kind": "Pod", "name": pod.name, "namespace": namespace},
        }
        for pod in backing
    ]  # fmt: skip
    endpoints += [{"addresses": [ip], "conditions": {"ready": True}} for ip in addresses]
    name = service if addresses else f"{service}-{word(5, namespace, service)}"
    return _object(
        "EndpointSlice", namespace, name, "discovery.k8s.io/v1", START.replace(day=3),
        metadata={"labels": {"kubernetes.io/service-name": service}},
        addressType="IPv4", endpoints=endpoints, ports=ports,
    )  # fmt: skip


def _services() -> list[dict[str, Any]]:
    https = {"name": "https", "protocol": "TCP"}
    made = [
        _service("default", "kubernetes", None, [https | {"port": 443, "targetPort": 6443}]),
        _slice("default", "kubernetes", [https | {"port": 6443}], [], (NODES["control-a"],)),
    ]
    dns = [{"name": "dns", "protocol": "UDP"}, {"name": "dns-tcp", "protocol": "TCP"}]
    made.append(
        _service(
            "kube-system",
            "kube-dns",
            {"k8s-app": "kube-dns"},
            [p | {"port": 53, "targetPort": 53} for p in dns],
        )
    )
    made.append(
        _slice(
            "kube-system", "kube-dns", [p | {"port": 53} for p in dns], pods("kube-system", "coredns", END)
        )
    )
    for app in APPS:
        if not app.service:
            continue
        names = {number: name for name, number in app.ports.items()}
        targets = {port: app.ports[t] if isinstance(t, str) else t for port, t in app.service.items()}
        ports = [
            {"name": names[targets[port]], "port": port, "protocol": "TCP", "targetPort": target}
            for port, target in app.service.items()
        ]
        selector = {key: app.labels[key] for key in app.selector}
        more: dict[str, Any] = {"clusterIP": "None"} if app.headless else {}
        if app.namespace == "ingress-nginx":
            ports = [port | {"nodePort": 30000 + port["port"]} for port in ports]
            more = {"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}
        made.append(_service(app.namespace, app.name, selector, ports, **more))
        sliced = [{"name": names[number], "port": number, "protocol": "TCP"} for number in targets.values()]
        made.append(_slice(app.namespace, app.name, sliced, pods(app.namespace, app.name, END)))
    return made


def _policies() -> list[dict[str, Any]]:
    """What people wrote before: one policy that is right, one that is far too wide."""

    def policy(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return _object(
            "NetworkPolicy", namespace, name, "networking.k8s.io/v1", START.replace(day=5), spec=spec
        )

    def web(*names: str) -> dict[str, Any]:
        return {
            "matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": list(names)}]
        }

    payment = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "payment"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": web("checkout")}], "ports": [{"port": "https", "protocol": "TCP"}]},
            {
                "from": [
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
                ],
                "ports": [{"port": 9102, "protocol": "TCP"}],
            },
        ],
    }
    # Meant as "front ends and carts, wherever they are", but the two elements are an OR: every pod of every
    # namespace, on every port.
    redis = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "redis"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": {}}, {"podSelector": web("frontend", "cart")}]}],
    }
    return [policy("data", "redis-from-shop", redis), policy("shop", "payment-from-checkout", payment)]


def cluster() -> dict[str, Any]:
    """The snapshot, taken at END."""
    names = sorted({app.namespace for app in APPS} | {"default", "kube-public", "kube-node-lease"})
    born = datetime(2026, 9, 1, 7, tzinfo=UTC)
    items = [
        _object(
            "Namespace", "", name, "v1", born,
            metadata={"labels": {"kubernetes.io/metadata.name": name}}, status={"phase": "Active"},
        )
        for name in names
    ]  # fmt: skip
    for node, ip in NODES.items():
        network = f"{POD_NETWORK.get(node, '10.244.0')}.0/24"
        addresses = [{"address": ip, "type": "InternalIP"}, {"address": node, "type": "Hostname"}]
        items.append(
            _object(
                "Node", "", node, "v1", born, metadata={"labels": {"kubernetes.io/hostname": node}},
                spec={"podCIDR": network, "podCIDRs": [network]}, status={"addresses": addresses},
            )
        )  # fmt: skip
    items += [_pod(pod) for pod in PODS if pod.until is None]
    items += _services() + _policies() + _workloads() + _jobs()
    items.sort(
        key=lambda o: (ORDER.index(o["kind"]), o["metadata"].get("namespace", ""), o["metadata"]["name"])
    )
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
