"""The inventory: what a cluster runs, as values, with the look-ups everything else asks.

A workload is what a person deploys: a Deployment, StatefulSet, DaemonSet, CronJob, a bare
Job or a bare Pod. Pods belong to workloads through their owners. Everything is read-only
once made; ``snapshot.py`` makes it from manifests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from recommender.policy.model import Endpoint, Policy
from recommender.policy.selector import NAMESPACE_NAME, Labels, Selector

if TYPE_CHECKING:
    from recommender.cluster.attribution import Attribution


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """The name of a workload, and nothing else: what evidence and decisions speak of."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Port:
    """A declared container port. ``name`` is empty where it has none."""

    name: str
    protocol: str
    number: int


NamedPorts = tuple[tuple[str, str, int], ...]
"""(name, protocol, number) of the ports that have a name, as policies see them."""


def named_ports(ports: Iterable[Port]) -> NamedPorts:
    return tuple(sorted((port.name, port.protocol, port.number) for port in ports if port.name))


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload and the labels its pods have or had.

    ``label_sets`` are the distinct label sets of its pods, its template and its older
    generations; the first is the newest template where there is one. ``selector`` is its
    own ``spec.selector``; None for kinds whose selector is generated (Job, CronJob) or that
    have none. ``schedule`` is a CronJob's. ``images`` are those of its containers without tag
    and digest, empty where they are not known.
    """

    ref: WorkloadRef
    label_sets: tuple[Labels, ...]
    selector: Selector | None = None
    ports: tuple[Port, ...] = ()
    host_network: bool = False
    schedule: str = ""
    images: tuple[str, ...] = ()

    @property
    def template(self) -> Labels:
        """The labels its next pod will have, as far as they are known."""
        return self.label_sets[0] if self.label_sets else ()

    @property
    def named_ports(self) -> NamedPorts:
        return named_ports(self.ports)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that was running (or had finished) when the snapshot was taken.

    ``started`` is when, in RFC 3339, empty where it is not known.
    """

    namespace: str
    name: str
    labels: Labels
    workload: WorkloadRef
    addresses: tuple[str, ...] = ()
    node: str = ""
    host_network: bool = False
    ports: tuple[Port, ...] = ()
    started: str = ""

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            self.namespace,
            self.labels,
            self.addresses,
            named_ports(self.ports),
            self.host_network,
            self.node,
            self.name,
        )


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service. ``target`` is the pod's port: a number, or the name of one."""

    name: str
    protocol: str
    port: int
    target: int | str
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    namespace: str
    name: str
    selector: Selector | None
    addresses: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    type: str = "ClusterIP"
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Backends:
    """One EndpointSlice: the addresses behind a Service, and the ports they listen on.

    ``ports`` are (name, protocol, number); ``pods`` are the names of the pods behind it.
    """

    namespace: str
    service: str
    addresses: tuple[str, ...]
    ports: tuple[tuple[str, str, int], ...]
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its addresses within the cluster's network, and those it has outside besides."""

    name: str
    addresses: tuple[str, ...]
    pod_cidrs: tuple[str, ...] = ()
    external: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace; ``labels`` always hold ``kubernetes.io/metadata.name``, as in a cluster."""

    name: str
    labels: Labels = ()
    annotations: Labels = ()

    def __post_init__(self) -> None:
        pairs = {**dict(self.labels), NAMESPACE_NAME: self.name}
        object.__setattr__(self, "labels", tuple(sorted(pairs.items())))


@dataclass(frozen=True)
class Inventory:
    """Everything known of a cluster. Make one with :meth:`from_manifests` or :meth:`unknown`.

    ``origin`` says what it was made from; ``unknown_because`` is empty for a snapshot and
    tells otherwise what could not be known; ``ignored`` counts the objects that were not
    needed, by kind, and ``notes`` tell of those a person should know of. ``kinds`` are the
    needed kinds that were there. ``owners`` names the workload of every ReplicaSet, Job and
    ReplicationController that another object made.
    """

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    workloads: Mapping[WorkloadRef, Workload] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    backends: tuple[Backends, ...] = ()
    nodes: tuple[Node, ...] = ()
    policies: tuple[Policy, ...] = ()
    origin: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unknown_because: str = ""
    kinds: frozenset[str] = frozenset()
    owners: Mapping[WorkloadRef, WorkloadRef] = field(default_factory=dict)

    @classmethod
    def from_manifests(cls, *paths: object) -> Inventory:
        """The inventory in manifests: files or folders of YAML or JSON, as kubectl writes them.

        Raises:
            ManifestError: syntax, an unknown kind or an invalid field, with file, line and field.
        """
        from recommender.cluster.snapshot import read_manifests

        return read_manifests(paths)

    @classmethod
    def unknown(cls) -> Inventory:
        """No snapshot at all: the labels in the flows are all there is."""
        return cls(
            unknown_because="no snapshot was given: workloads, labels and addresses are those seen in the "
            "flows; what did not talk, Services, nodes and today's policies could not be known"
        )

    @cached_property
    def attribution(self) -> Attribution:
        """The look-ups of :func:`recommender.cluster.attribution.workload_of`."""
        from recommender.cluster.attribution import Attribution

        return Attribution(self)

    @cached_property
    def pod_named(self) -> Mapping[tuple[str, str], Pod]:
        """Pods by (namespace, name)."""
        return {(pod.namespace, pod.name): pod for pod in self.pods}

    @cached_property
    def pod_at(self) -> Mapping[str, Pod]:
        """Pods by address; pods on the host network have their node's address and are not here."""
        return {ip: pod for pod in self.pods if not pod.host_network for ip in pod.addresses}

    @cached_property
    def node_at(self) -> Mapping[str, Node]:
        """Nodes by address."""
        return {ip: node for node in self.nodes for ip in (*node.external, *node.addresses)}

    @cached_property
    def service_at(self) -> Mapping[str, Service]:
        """Services by cluster address."""
        return {ip: service for service in self.services for ip in service.addresses}

    @cached_property
    def workloads_in(self) -> Mapping[str, tuple[Workload, ...]]:
        """Workloads by namespace, in the order of their names."""
        found: dict[str, list[Workload]] = {}
        for ref in sorted(self.workloads):
            found.setdefault(ref.namespace, []).append(self.workloads[ref])
        return {namespace: tuple(workloads) for namespace, workloads in found.items()}

    @cached_property
    def pods_of(self) -> Mapping[WorkloadRef, tuple[Pod, ...]]:
        """Pods by workload."""
        found: dict[WorkloadRef, list[Pod]] = {}
        for pod in self.pods:
            found.setdefault(pod.workload, []).append(pod)
        return {ref: tuple(pods) for ref, pods in found.items()}

    @cached_property
    def backends_of(self) -> Mapping[tuple[str, str], tuple[Backends, ...]]:
        """What is behind a Service, by (namespace, service)."""
        found: dict[tuple[str, str], list[Backends]] = {}
        for backends in self.backends:
            found.setdefault((backends.namespace, backends.service), []).append(backends)
        return {service: tuple(several) for service, several in found.items()}

    def workloads_behind(self, service: Service) -> tuple[Workload, ...]:
        """The workloads whose pods a Service selects; none for one without a selector."""
        if service.selector is None:
            return ()
        return tuple(
            workload
            for workload in self.workloads_in.get(service.namespace, ())
            if any(service.selector.matches(dict(labels)) for labels in workload.label_sets)
        )

    def target_ports(self, service: Service, port: ServicePort) -> frozenset[int]:
        """The numbers a Service port really is on the pods behind it."""
        if isinstance(port.target, int):
            return frozenset({port.target})
        sliced = {
            number
            for backends in self.backends_of.get((service.namespace, service.name), ())
            for name, protocol, number in backends.ports
            if name == port.name and protocol == port.protocol
        }
        declared = {
            p.number
            for workload in self.workloads_behind(service)
            for p in workload.ports
            if p.name == port.target and p.protocol == port.protocol
        }
        return frozenset(sliced | declared)

    @cached_property
    def api_servers(self) -> frozenset[tuple[str, int]]:
        """(address, port) of every API server, from the EndpointSlice ``default/kubernetes``."""
        return frozenset(
            (ip, number)
            for backends in self.backends_of.get(("default", "kubernetes"), ())
            for ip in backends.addresses
            for _, protocol, number in backends.ports
            if protocol == "TCP"
        )

    def namespace_labels(self) -> dict[str, Labels]:
        """Labels of every namespace that is known, also of those only pods are known of."""
        names: Iterable[str] = {ref.namespace for ref in self.workloads} - set(self.namespaces)
        return {
            **{name: Namespace(name).labels for name in names},
            **{name: namespace.labels for name, namespace in self.namespaces.items()},
        }
