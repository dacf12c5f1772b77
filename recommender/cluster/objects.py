"""One Kubernetes object to the values this project needs of it.

``READERS`` says which kinds are read; the others are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from recommender.cluster import shapes
from recommender.cluster.documents import Document
from recommender.cluster.inventory import Backends, Namespace, Node, Port, Service, ServicePort
from recommender.cluster.kinds import Kind
from recommender.policy.documents import FieldPath
from recommender.policy.model import Policy, address, network
from recommender.policy.selector import Labels, Requirement, Selector, is_dns_label, is_subdomain, labels_of
from recommender.text import printable


@dataclass(frozen=True, slots=True)
class Template:
    """Of a controller: what its pods look like, and which it selects."""

    labels: Labels
    ports: tuple[Port, ...]
    host_network: bool
    selector: Selector | None = None
    schedule: str = ""
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod before its workload is known. ``finished`` pods no longer have their addresses."""

    labels: Labels
    ports: tuple[Port, ...]
    addresses: tuple[str, ...]
    node: str
    host_network: bool
    finished: bool
    started: str


Value = Template | RunningPod | Service | tuple[Backends, ...] | Node | Namespace | Policy


@dataclass(frozen=True, slots=True)
class About:
    """An object's metadata. ``owner`` is (kind, name); ``version`` the resourceVersion, -1 without one."""

    kind: Kind
    namespace: str
    name: str
    labels: Labels
    owner: tuple[str, str] | None
    created: str
    version: int


@dataclass(frozen=True, slots=True)
class Object:
    """An object that is needed."""

    about: About
    value: Value


def object_of(document: Document, kind: Kind) -> Object:
    """The object as a value; its kind is one of ``READERS``.

    Raises:
        ManifestError: a field that is read is missing or has the wrong type.
    """
    meta = document.read(shapes.About).metadata or shapes.Meta()
    field, name = (
        ("name", meta.name) if meta.name else ("generateName", (meta.generate_name or "").rstrip("-."))
    )
    if not name:
        raise document.error("is missing", ("metadata", "name"))
    sound = is_dns_label if kind.name == "Namespace" else is_subdomain
    _check_name(document, name, ("metadata", field), sound)
    namespace = ""
    if kind.name not in ("Namespace", "Node"):
        namespace = meta.namespace or "default"
        _check_name(document, namespace, ("metadata", "namespace"), is_dns_label)
    owners = meta.owner_references or []
    owner = None
    if owners:
        chosen = next((n for n, owner in enumerate(owners) if owner.controller), 0)
        owner = (owners[chosen].kind, owners[chosen].name)
        _check_name(document, owner[1], ("metadata", "ownerReferences", chosen, "name"))
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,62}", owner[0]):
            raise document.error("is no kind", ("metadata", "ownerReferences", chosen, "kind"))
    version = meta.resource_version or ""
    about = About(
        kind,
        namespace,
        name,
        labels_of(meta.labels or {}),
        owner,
        meta.creation_timestamp or "",
        int(version) if re.fullmatch(r"[0-9]{1,20}", version) else -1,
    )
    return Object(about, READERS[kind.group, kind.name](document, about))


def _check_name(
    document: Document, name: str, path: FieldPath, sound: Callable[[str], bool] = is_subdomain
) -> None:
    """Refuse what the API server would: names end in file names and in YAML.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    """
    if not sound(name):
        raise document.error(f"{printable(name, 60)!r} is not a name Kubernetes accepts", path)


def _ips(document: Document, texts: Iterable[tuple[str | None, FieldPath]]) -> tuple[str, ...]:
    """Addresses in their canonical form, each once, in the order given."""
    found: dict[str, None] = {}
    for text, path in texts:
        if text:
            ip = address(text)
            if ip is None or "%" in text:
                raise document.error(f"{printable(text, 60)!r} is not an IP address", path)
            found[str(ip)] = None
    return tuple(found)


def _selector(document: Document, shape: shapes.Selector | None) -> Selector | None:
    if shape is None:
        return None
    requirements = list(Selector.of(shape.match_labels or {}).requirements)
    for n, term in enumerate(shape.match_expressions or ()):
        try:
            requirements.append(Requirement(term.key, term.operator, tuple(term.values or ())))
        except ValueError as error:
            raise document.error(str(error), ("spec", "selector", "matchExpressions", n)) from None
    return Selector(tuple(requirements)) if requirements else None


def _ports(spec: shapes.PodSpec) -> tuple[Port, ...]:
    """Declared ports; an init container with restartPolicy Always is a sidecar and keeps running."""
    sidecars = [c for c in spec.init_containers or () if c.restart_policy == "Always"]
    return tuple(
        Port(port.name or "", port.protocol or "TCP", port.container_port)
        for container in (*(spec.containers or ()), *sidecars)
        for port in container.ports or ()
    )


def _template(
    template: shapes.PodTemplate | None, selector: Selector | None = None, schedule: str = ""
) -> Template:
    template = template or shapes.PodTemplate()
    meta, spec = template.metadata or shapes.Meta(), template.spec or shapes.PodSpec()
    return Template(
        labels_of(meta.labels or {}),
        _ports(spec),
        bool(spec.host_network),
        selector,
        schedule,
        tuple(
            sorted({_repository(container.image) for container in spec.containers or () if container.image})
        ),
    )


def _repository(image: str) -> str:
    """An image without its tag and digest: the same before and after an upgrade."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _read_controller(document: Document, about: About) -> Template:
    spec = document.read(shapes.Controller).spec or shapes.Controller.Spec()
    return _template(spec.template, _selector(document, spec.selector))


def _read_replication_controller(document: Document, about: About) -> Template:
    spec = document.read(shapes.ReplicationController).spec or shapes.ReplicationController.Spec()
    return _template(spec.template, Selector.of(spec.selector) if spec.selector else None)


def _read_job(document: Document, about: About) -> Template:
    return _template((document.read(shapes.Job).spec or shapes.Job.Spec()).template)


def _read_cron_job(document: Document, about: About) -> Template:
    spec = document.read(shapes.CronJob).spec or shapes.CronJob.Spec()
    job = (spec.job_template or shapes.Job()).spec or shapes.Job.Spec()
    return _template(job.template, schedule=spec.schedule or "")


def _read_pod(document: Document, about: About) -> RunningPod:
    pod = document.read(shapes.Pod)
    spec, status = pod.spec or shapes.PodSpec(), pod.status or shapes.Pod.Status()
    single: FieldPath = ("status", "podIP")
    several = [(ip.ip, ("status", "podIPs", n, "ip")) for n, ip in enumerate(status.ips or ())]
    return RunningPod(
        about.labels,
        _ports(spec),
        _ips(document, [(status.ip, single), *several]),
        spec.node_name or "",
        bool(spec.host_network),
        status.phase in ("Succeeded", "Failed"),
        status.start_time or "",
    )


def _read_service(document: Document, about: About) -> Service:
    service = document.read(shapes.Service)
    spec, status = service.spec or shapes.Service.Spec(), service.status or shapes.Service.Status()
    balancer = (status.load_balancer or shapes.LoadBalancer()).ingress or ()
    single: FieldPath = ("spec", "clusterIP")
    texts = [
        (spec.cluster_ip, single),
        *((ip, ("spec", "clusterIPs", n)) for n, ip in enumerate(spec.cluster_ips or ())),
        *((ip, ("spec", "externalIPs", n)) for n, ip in enumerate(spec.external_ips or ())),
        *((ip.ip, ("status", "loadBalancer", "ingress", n, "ip")) for n, ip in enumerate(balancer)),
    ]
    return Service(
        about.namespace,
        about.name,
        Selector.of(spec.selector) if spec.selector else None,
        _ips(document, ((ip, path) for ip, path in texts if ip != "None")),
        tuple(
            ServicePort(
                port.name or "",
                port.protocol or "TCP",
                port.port,
                _target(document, n, port) or port.port,
                port.node_port or None,
            )
            for n, port in enumerate(spec.ports or ())
        ),
        spec.type or "ClusterIP",
        about.labels,
    )


def _target(document: Document, n: int, port: shapes.ServicePort) -> int | str | None:
    """The port's target; a number may stand in quotes, as templates write it."""
    target = port.target_port
    if isinstance(target, str) and re.fullmatch(r"[0-9]{1,99}", target):
        target = int(target)
    if isinstance(target, int) and not 0 <= target <= 65535:
        raise document.error("must be within 1..65535", ("spec", "ports", n, "targetPort"))
    return target


def _numbered(ports: list[shapes.Port] | None) -> tuple[tuple[str, str, int], ...]:
    return tuple((p.name or "", p.protocol or "TCP", p.port) for p in ports or () if p.port)


def _read_slice(document: Document, about: About) -> tuple[Backends, ...]:
    """Endpoints that are not being ended; one that is not ready yet will be talked to when it is."""
    shape = document.read(shapes.EndpointSlice)
    owned = about.owner[1] if about.owner and about.owner[0] == "Service" else ""
    service = dict(about.labels).get("kubernetes.io/service-name") or owned
    if not service or shape.address_type == "FQDN":
        return ()
    alive = [
        (n, e)
        for n, e in enumerate(shape.endpoints or ())
        if e.conditions is None or not e.conditions.terminating
    ]
    texts = [
        (ip, ("endpoints", n, "addresses", m)) for n, e in alive for m, ip in enumerate(e.addresses or ())
    ]
    targets = [e.target_ref for _, e in alive]
    return (
        Backends(about.namespace, service, _ips(document, texts), _numbered(shape.ports), _pods(targets)),
    )


def _pods(targets: list[shapes.Target | None]) -> tuple[str, ...]:
    return tuple(t.name for t in targets if t is not None and t.kind == "Pod" and t.name)


def _read_endpoints(document: Document, about: About) -> tuple[Backends, ...]:
    found = []
    for n, subset in enumerate(document.read(shapes.Endpoints).subsets or ()):
        here = [(("subsets", n, "addresses", m, "ip"), a) for m, a in enumerate(subset.addresses or ())]
        late = [
            (("subsets", n, "notReadyAddresses", m, "ip"), a)
            for m, a in enumerate(subset.not_ready_addresses or ())
        ]
        ips = _ips(document, ((a.ip, path) for path, a in here + late))
        pods = _pods([a.target_ref for _, a in here + late])
        found.append(Backends(about.namespace, about.name, ips, _numbered(subset.ports), pods))
    return tuple(found)


def _read_node(document: Document, about: About) -> Node:
    node = document.read(shapes.Node)
    spec, status = node.spec or shapes.Node.Spec(), node.status or shapes.Node.Status()
    internal, external = (
        _ips(
            document,
            [
                (a.address, ("status", "addresses", n, "address"))
                for n, a in enumerate(status.addresses or ())
                if a.type == kind
            ],
        )
        for kind in ("InternalIP", "ExternalIP")
    )
    cidrs = spec.cidrs or ([spec.cidr] if spec.cidr else [])
    for cidr in cidrs:
        try:
            network(cidr)
        except ValueError:
            raise document.error(f"{printable(cidr, 60)!r} is no network", ("spec", "podCIDRs")) from None
    return Node(about.name, internal, tuple(cidrs), external)


def _read_namespace(document: Document, about: About) -> Namespace:
    annotations = document.read(shapes.Namespace).metadata.annotations or {}
    return Namespace(about.name, about.labels, labels_of(annotations))


def _read_policy(document: Document, about: About) -> Policy:
    from recommender.policy.manifest import policy_from

    given = {**document.plain(), "apiVersion": about.kind.api_version, "kind": about.kind.name}
    root = document.path

    def line(path: FieldPath) -> int | None:
        return document.line(path[len(root) :])

    return policy_from(given, file=document.file.name, line=line, root=root)


READERS: Final[Mapping[tuple[str, str], Callable[[Document, About], Value]]] = {
    ("", "Namespace"): _read_namespace,
    ("", "Node"): _read_node,
    ("", "Pod"): _read_pod,
    ("", "Service"): _read_service,
    ("", "Endpoints"): _read_endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _read_slice,
    ("networking.k8s.io", "NetworkPolicy"): _read_policy,
    ("", "ReplicationController"): _read_replication_controller,
    **{
        (group, kind): _read_controller
        for group in ("apps", "extensions")
        for kind in ("Deployment", "ReplicaSet", "DaemonSet")
    },
    ("apps", "StatefulSet"): _read_controller,
    ("batch", "CronJob"): _read_cron_job,
    ("batch", "Job"): _read_job,
}
"""The kinds that are read, by (API group, kind)."""
