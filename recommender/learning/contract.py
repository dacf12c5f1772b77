"""The infrastructure contract: the destinations a cluster cannot do without, found in this one.

Each is ``always`` (mandatory, admitted whether it was seen or not), ``observed`` (admitted
for those seen using it) or ``never`` (not learned even when seen). DNS is the pods behind
the cluster's DNS Service on the port they really listen on, which is 5353 on some
distributions, over UDP and TCP; and NodeLocal DNSCache where it is seen.

Sources: https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/ and the metadata
pages of the clouds named below.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from recommender.cluster.inventory import Inventory, Service, Workload, WorkloadRef
from recommender.learning.parties import ApiServer, Link, NodeParty, Outside, PortNumber
from recommender.options import Destination, Options

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


@dataclass(frozen=True)
class Infrastructure:
    """One entry of the contract as it was found in this cluster.

    ``workloads`` and ``addresses`` are where it is, ``ports`` on which ports; no ports
    means those that were seen. ``assumed`` tells when nothing was found and it stands where
    it is by convention.
    """

    destination: Destination
    workloads: tuple[WorkloadRef, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[PortNumber, ...] = ()
    assumed: str = ""
    sources: frozenset[WorkloadRef] = field(default=frozenset())

    @property
    def title(self) -> str:
        return {
            "dns": "DNS",
            "api-server": "the API server",
            "metadata": "cloud metadata",
            "monitoring": "monitoring",
        }.get(self.destination.name, self.destination.name)

    def covers(self, link: Link) -> bool:
        """Is this link one to (or, for monitoring, from) this infrastructure?"""
        if link.source in self.sources:
            return True
        if self.ports and (link.protocol, link.port) not in self.ports:
            return False
        if isinstance(link.destination, WorkloadRef):
            return link.destination in self.workloads
        if isinstance(link.destination, ApiServer):
            return self.destination.name == "api-server"
        if not isinstance(link.destination, (Outside, NodeParty)):
            return False
        return any(_within(link.destination.address, block) for block in self.addresses)


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
    assumed = ""
    if not workloads:
        seen = [
            link
            for link in links
            if isinstance(link.destination, WorkloadRef)
            and link.protocol in ("UDP", "TCP")
            and link.port in (53, 5353)
            and _is_dns_workload(inventory.workloads.get(link.destination), link.destination)
        ]
        workloads = {link.destination for link in seen if isinstance(link.destination, WorkloadRef)}
        numbers = {link.port for link in seen}
    if not workloads:
        assumed = (
            "no DNS Service in the snapshot and no DNS server in the flows: assumed to be the pods "
            "k8s-app=kube-dns in kube-system on port 53"
        )
    local = _node_local_dns(inventory, links)
    if local:
        # On iptables the cache answers on the DNS Service's own address, on the node, before any translation.
        local |= {ip for service in services for ip in service.addresses}
        numbers |= {53}
    ports = {(protocol, number) for number in numbers or {53} for protocol in ("TCP", "UDP")}
    return Infrastructure(
        entry,
        tuple(sorted(workloads)),
        tuple(sorted(_host(ip) for ip in local)),
        tuple(sorted(ports)),
        assumed,
    )


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


def _is_dns_workload(workload: Workload | None, ref: WorkloadRef) -> bool:
    labels = [dict(found) for found in workload.label_sets] if workload else []
    return ref.name in _DNS_NAMES or any(
        found.get("k8s-app") in _DNS_APPS
        or found.get("app.kubernetes.io/name") in _DNS_APPS
        or "dns.operator.openshift.io/daemonset-dns" in found
        for found in labels
    )


def _node_local_dns(inventory: Inventory, links: tuple[Link, ...]) -> set[str]:
    seen = {
        link.destination.address
        for link in links
        if isinstance(link.destination, (Outside, NodeParty))
        and link.port == 53
        and link.destination.address not in METADATA
        and _within(link.destination.address, "169.254.0.0/16")
    }
    if any(
        ref.kind == "DaemonSet" and ref.name in ("node-local-dns", "nodelocaldns")
        for ref in inventory.workloads
    ):
        seen |= {NODE_LOCAL_DNS}
    return seen


def _api_server(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    found = set(inventory.api_servers)
    if not found:
        found = {
            (link.destination.address, link.port)
            for link in links
            if isinstance(link.destination, ApiServer) and link.protocol == "TCP" and link.destination.address
        }
    addresses = tuple(sorted(_host(ip) for ip, _ in found))
    return Infrastructure(entry, (), addresses, tuple(sorted({("TCP", port) for _, port in found})))


def _metadata(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    used = [
        link
        for link in links
        if isinstance(link.destination, (Outside, NodeParty)) and link.destination.address in METADATA
    ]
    if entry.when == "always" and not used:
        return Infrastructure(entry, (), (_host("169.254.169.254"),), (("TCP", 80),))
    seen = {link.destination.address for link in used if isinstance(link.destination, (Outside, NodeParty))}
    ports = {(link.protocol, link.port) for link in used}
    return Infrastructure(entry, (), tuple(sorted(_host(ip) for ip in seen)), tuple(sorted(ports)))


def _monitoring(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    workloads = {ref for ref, workload in inventory.workloads.items() if _is_monitor(workload)}
    declared = {(p.protocol, p.number) for ref in workloads for p in inventory.workloads[ref].ports}
    seen = {(link.protocol, link.port) for link in links if link.destination in workloads}
    return Infrastructure(
        entry, tuple(sorted(workloads)), (), tuple(sorted(declared | seen)), sources=frozenset(workloads)
    )


def _is_monitor(workload: Workload) -> bool:
    return workload.ref.name in _MONITORS or any(
        dict(labels).get(key) in _MONITORS for labels in workload.label_sets for key in _NAME_KEYS
    )


def _own(entry: Destination, inventory: Inventory, links: tuple[Link, ...]) -> Infrastructure:
    workloads = tuple(
        workload.ref
        for workload in inventory.workloads_in.get(entry.namespace, ())
        if any(set(entry.pods) <= set(labels) for labels in workload.label_sets)
    )
    addresses = (entry.address,) if entry.address else ()
    assumed = "" if workloads or addresses else f"no workload in {entry.namespace} has these labels"
    return Infrastructure(entry, workloads, addresses, entry.ports, assumed)


def _host(ip: str) -> str:
    return f"{ip}/{'128' if ':' in ip else '32'}"


def _within(ip: str, block: str) -> bool:
    try:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(block)
    except ValueError:
        return False
