"""The infrastructure contract: the destinations a cluster cannot do without, found in this one.

Each is ``always`` (mandatory, admitted whether it was seen or not), ``observed`` (admitted
for those seen using it) or ``never`` (not learned even when seen). DNS is the pods behind
the cluster's DNS Service on the port they really listen on, which is 5353 on some
distributions, over UDP and TCP; and NodeLocal DNSCache where it is seen.

Sources: https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/ and the metadata
pages of the clouds named below.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from recommender.cluster.inventory import Inventory, Service, Workload, WorkloadRef
from recommender.learning.parties import ApiServer, Link, NodeParty, Outside, PortNumber
from recommender.options import Destination, Options
from recommender.policy.model import IPBlock

METADATA: Final = {
    "169.254.169.254": "instance metadata (AWS, Google Cloud, Azure, OpenStack, Oracle)",
    "fd00:ec2::254": "instance metadata (AWS, IPv6)",
    "169.254.170.2": "task credentials (AWS ECS)",
    "169.254.170.23": "Pod Identity (AWS EKS)",
    "fd00:ec2::23": "Pod Identity (AWS EKS, IPv6)",
    "168.63.129.16": "platform services (Azure)",
    "100.100.100.200": "instance metadata (Alibaba Cloud)",
    "169.254.42.42": "instance metadata (Scaleway)",
}
NODE_LOCAL_DNS: Final = "169.254.20.10"
SYSTEM_NAMESPACES: Final = ("kube-system", "kube-public", "kube-node-lease")

_DNS_NAMES: Final = frozenset(
    {"kube-dns", "coredns", "dns-default", "rke2-coredns-rke2-coredns", "kube-dns-upstream"}
)
_DNS_APPS: Final = frozenset({"kube-dns", "coredns"})
_MONITORS: Final = frozenset(
    "prometheus prometheus-server grafana-agent alloy vmagent victoria-metrics-agent metrics-server datadog "
    "datadog-agent datadog-cluster-agent newrelic-infrastructure telegraf loki promtail tempo mimir jaeger "
    "jaeger-collector zipkin opentelemetry-collector otel-collector otelcol fluentd fluent-bit fluentbit vector "
    "logstash filebeat elastic-agent statsd statsd-exporter".split()
)
_NAME_KEYS: Final = ("app.kubernetes.io/name", "app", "k8s-app", "name")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something listens: pods of workloads, or address blocks, on these ports."""

    ports: tuple[PortNumber, ...]
    workloads: tuple[WorkloadRef, ...] = ()
    addresses: tuple[str, ...] = ()

    def has(self, link: Link) -> bool:
        """Does the link lead here?"""
        if (link.protocol, link.port) not in self.ports:
            return False
        match link.destination:
            case WorkloadRef():
                return link.destination in self.workloads
            case Outside(address) | NodeParty(address) | ApiServer(address):
                return any(address in IPBlock(block) for block in self.addresses)
            case _:
                return False


@dataclass(frozen=True)
class Infrastructure:
    """One entry of the contract as it was found in this cluster.

    ``places`` are where it is. ``assumed`` tells when nothing was found and it is taken to
    be where it is by convention. ``callers`` belong to it too: monitoring is also who scrapes.
    """

    destination: Destination
    places: tuple[Place, ...] = ()
    assumed: str = ""
    callers: frozenset[WorkloadRef] = frozenset()

    @property
    def title(self) -> str:
        return _TITLES.get(self.destination.name, self.destination.name)

    @property
    def workloads(self) -> frozenset[WorkloadRef]:
        return frozenset(ref for place in self.places for ref in place.workloads)

    def admits(self, link: Link) -> bool:
        """Does the link lead to it?"""
        return any(place.has(link) for place in self.places)

    def concerns(self, link: Link) -> bool:
        """Does the link lead to it, or come from it?"""
        return link.source in self.callers or self.admits(link)


_TITLES: Final = {
    "dns": "DNS",
    "api-server": "the API server",
    "metadata": "cloud metadata",
    "monitoring": "monitoring",
}
_ASSUMED_DNS: Final = (
    "no DNS Service in the snapshot and no DNS server in the flows: assumed to be the pods "
    "k8s-app=kube-dns in kube-system on port 53"
)


def find(inventory: Inventory, links: Iterable[Link], options: Options) -> tuple[Infrastructure, ...]:
    """Every entry of the contract, found in the inventory and in what was seen."""
    links = tuple(links)
    finders = {"dns": _dns, "api-server": _api_server, "metadata": _metadata, "monitoring": _monitoring}
    return tuple(
        finders.get(entry.name, _own)(entry, inventory, links)
        for entry in sorted(options.contract, key=lambda entry: entry.name)
    )


def _dns(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    services = [service for service in inventory.services if _is_dns(service)]
    workloads = {w.ref for service in services for w in inventory.workloads_behind(service)}
    numbers = {
        number
        for service in services
        for port in service.ports
        if port.port == 53
        for number in inventory.target_ports(service, port)
    }
    if not workloads:
        seen = [link for link in links if _looks_like_dns(link, inventory)]
        workloads = {link.destination for link in seen if isinstance(link.destination, WorkloadRef)}
        numbers = {link.port for link in seen}
    places = [Place(_both(numbers or {53}), tuple(sorted(workloads)))]
    if local := _node_local_dns(inventory, links):
        # On iptables the cache answers on the DNS Service's own address, on the node, before any translation.
        local |= {ip for service in services for ip in service.addresses}
        places.append(Place(_both({53}), (), _hosts(local)))
    return Infrastructure(entry, tuple(places), "" if workloads else _ASSUMED_DNS)


def _both(numbers: Iterable[int]) -> tuple[PortNumber, ...]:
    return tuple(sorted((protocol, number) for number in numbers for protocol in ("TCP", "UDP")))


def _is_dns(service: Service) -> bool:
    if not any(port.port == 53 for port in service.ports) or service.selector is None:
        return False
    labels = dict(service.labels)
    system = service.namespace in ("kube-system", "openshift-dns")
    return system and (
        service.name in _DNS_NAMES
        or labels.get("k8s-app") in _DNS_APPS
        or "dns.operator.openshift.io/owning-dns" in labels
    )


def _looks_like_dns(link: Link, inventory: Inventory) -> bool:
    """Is it a question to a DNS server, as distributions name and label theirs?"""
    ref = link.destination
    if not isinstance(ref, WorkloadRef) or (link.protocol, link.port) not in _both({53, 5353}):
        return False
    workload = inventory.workloads.get(ref)
    return ref.name in _DNS_NAMES or any(
        labels.get("k8s-app") in _DNS_APPS
        or labels.get("app.kubernetes.io/name") in _DNS_APPS
        or "dns.operator.openshift.io/daemonset-dns" in labels
        for labels in map(dict, workload.label_sets if workload else ())
    )


def _node_local_dns(inventory: Inventory, links: tuple[Link, ...]) -> set[str]:
    seen = {
        link.destination.address
        for link in links
        if isinstance(link.destination, (Outside, NodeParty))
        and link.port == 53
        and link.destination.address not in METADATA
        and link.destination.address in IPBlock("169.254.0.0/16")
    }
    if any(
        ref.kind == "DaemonSet" and ref.name in ("node-local-dns", "nodelocaldns")
        for ref in inventory.workloads
    ):
        seen |= {NODE_LOCAL_DNS}
    return seen


def _api_server(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    by_port: dict[int, set[str]] = {}
    for ip, port in inventory.api_servers:
        by_port.setdefault(port, set()).add(ip)
    for link in links:
        if isinstance(link.destination, ApiServer) and link.destination.address:
            by_port.setdefault(link.port, set()).add(link.destination.address)
    places = (Place((("TCP", port),), (), _hosts(by_port[port])) for port in sorted(by_port))
    return Infrastructure(entry, tuple(places))


def _metadata(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    seen: dict[str, set[PortNumber]] = {}
    for link in links:
        if isinstance(link.destination, (Outside, NodeParty)) and link.destination.address in METADATA:
            seen.setdefault(link.destination.address, set()).add((link.protocol, link.port))
    if entry.when == "always" and not seen:
        seen = {"169.254.169.254": {("TCP", 80)}}
    places = (Place(tuple(sorted(ports)), (), _hosts({ip})) for ip, ports in sorted(seen.items()))
    return Infrastructure(entry, tuple(places))


def _monitoring(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    places = []
    for ref in sorted(ref for ref, workload in inventory.workloads.items() if _is_monitor(workload)):
        ports = {(p.protocol, p.number) for p in inventory.workloads[ref].ports}
        ports |= {(link.protocol, link.port) for link in links if link.destination == ref}
        places.append(Place(tuple(sorted(ports)), (ref,)))
    callers = frozenset(ref for place in places for ref in place.workloads)
    return Infrastructure(entry, tuple(place for place in places if place.ports), callers=callers)


def _is_monitor(workload: Workload) -> bool:
    return workload.ref.name in _MONITORS or any(
        dict(labels).get(key) in _MONITORS for labels in workload.label_sets for key in _NAME_KEYS
    )


def _own(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    if entry.address:
        return Infrastructure(entry, (Place(entry.ports, (), (entry.address,)),))
    workloads = tuple(
        workload.ref
        for workload in inventory.workloads_in.get(entry.namespace, ())
        if any(set(entry.pods) <= set(labels) for labels in workload.label_sets)
    )
    if not workloads:
        return Infrastructure(entry, (), f"no workload in {entry.namespace} has these labels")
    return Infrastructure(entry, (Place(entry.ports, workloads),))


def _hosts(ips: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(IPBlock.of(ip).cidr for ip in ips))
