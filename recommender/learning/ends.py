"""Which party an end of a logged connection is: one reading for pods, addresses, entities and Services.

The log says it by pod and labels, by an entity of the CNI's, or by an address alone; labels
are trusted over addresses. What the flows know and the snapshot does not (workloads, labels
of pods that are gone) is remembered, and completes the inventory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from recommender.cluster.attribution import name_pattern, workload_of
from recommender.cluster.inventory import Inventory, Workload, WorkloadRef
from recommender.learning.parties import ApiServer, NodeParty, Outside, Party, Unattributed
from recommender.policy.model import Endpoint, address, network
from recommender.policy.selector import Labels, is_dns_label, labels_of

API_PORTS: Final = frozenset({443, 6443, 8443, 16443})
"""Where API servers listen when no EndpointSlice says so."""


@dataclass(frozen=True, slots=True)
class End:
    """One end as the log told of it, attributed: the party it is and the endpoint policies see."""

    party: Party
    endpoint: Endpoint


TOO_EARLY: Final = "too early"
"""Stands for the entity of an address that was not yet that of the pod which has it now."""

_UNTOLD: Final = {
    TOO_EARLY: "the pod that has this address now was started later, and the flow names none",
    "health": "it is the CNI's own health check",
    "ingress": "it is the CNI's own ingress proxy, which no selector and no lasting address names",
    "init": "the pod had no identity yet",
    "unmanaged": "the pod is not managed by the CNI",
}
"""Entities that no policy here can name."""


def _at(ip: str, name: str = "") -> Endpoint:
    return Endpoint(None, (), (ip,) if ip else (), name=name)


def _untold(what: str, why: str, ip: str = "") -> End:
    return End(Unattributed(what, why), _at(ip))


def _api_server(ip: str) -> End:
    return End(ApiServer(ip), _at(ip, "API server"))


EndKey = tuple[str, str, str, Labels, str, str, str, str, int]
"""As the log told it: address, namespace, pod, labels, entity, workload kind and name, cluster, and for what is
no pod the destination port (0 otherwise)."""


class Attribution:
    """Says of each distinct end which party it is; remembers what the flows add to the inventory."""

    def __init__(self, inventory: Inventory, cluster: str) -> None:
        self.inventory, self.cluster = inventory, cluster
        self.ends: list[End] = []
        self._number: dict[End, int] = {}
        self._seen_labels: dict[WorkloadRef, set[Labels]] = {}
        self._only_in_flows: set[WorkloadRef] = set()
        self._gone: set[tuple[str, str]] = set()
        self._unlabelled: set[tuple[str, str]] = set()
        self._pod_networks = [network(cidr) for node in inventory.nodes for cidr in node.pod_cidrs]
        self._node_ports = {p.node_port: s for s in inventory.services for p in s.ports if p.node_port}
        self._api_addresses = {ip for ip, _ in inventory.api_servers}

    def source(self, key: EndKey) -> int:
        return self._add(self._end(key, source=True))

    def destination(self, key: EndKey) -> tuple[tuple[int, int], ...]:
        """Positions of what was really reached, each with its port, 0 for the port as it was logged."""
        ip, namespace, pod, *_, port = key
        if not pod and not namespace and (behind := self._behind_service(ip, port)):
            return tuple((self._add(end), number) for end, number in behind)
        return ((self._add(self._end(key)), 0),)

    def _add(self, end: End) -> int:
        number = self._number.setdefault(end, len(self.ends))
        if number == len(self.ends):
            self.ends.append(end)
        return number

    def _end(self, key: EndKey, *, source: bool = False) -> End:
        ip, namespace, pod, labels, entity, kind, name, cluster, port = key
        if ip and address(ip) is None:
            return _untold(ip, "it is no address")
        if namespace or pod:
            if not is_dns_label(namespace):
                return _untold(f"{namespace}/{pod}", "no namespace can have this name", ip)
            if cluster and self.cluster and cluster != self.cluster:
                return _untold(f"{cluster}/{namespace}/{pod}", "the peer is in another cluster", ip)
            return self._pod(ip, namespace, pod, labels, kind, name)
        if entity == "kube-apiserver" or (entity != "world" and (ip, port) in self.inventory.api_servers):
            known = ip in self._api_addresses
            if port == 0 or ((ip, port) in self.inventory.api_servers if known else port in API_PORTS):
                return _api_server(ip)
            return self._node(ip, own=False)
        if entity in ("host", "remote-node"):
            return self._node(ip, own=source and entity == "host")
        if entity in _UNTOLD:
            return _untold(ip if entity == TOO_EARLY else f"{entity} {ip}".strip(), _UNTOLD[entity], ip)
        return End(Outside(ip), _at(ip)) if entity == "world" else self._at_address(ip)

    def _at_address(self, ip: str) -> End:
        """An address of which the log says nothing else."""
        if not ip:
            return _untold("no address", "the log line names neither pod nor address")
        if ip in self.inventory.pod_at:
            pod = self.inventory.pod_at[ip]
            return End(pod.workload, pod.endpoint)
        if ip in self.inventory.node_at:
            return self._node(ip, own=False)
        if any(address(ip) in each for each in self._pod_networks):
            return _untold(
                ip, "a pod's address, but no pod of the snapshot has it and the flow names none", ip
            )
        return End(Outside(ip), _at(ip))

    def _node(self, ip: str, *, own: bool) -> End:
        node = self.inventory.node_at.get(ip)
        # A CNI gives the node an address of its own in the pod network; that one says no more than "the node".
        endpoint = Endpoint(None, (), (ip,) if ip else (), node=node.name if node else "", name="node")
        return End(NodeParty("" if own and node is None else ip), endpoint)

    def _pod(self, ip: str, namespace: str, pod: str, labels: Labels, kind: str, name: str) -> End:
        known = self.inventory.pod_named.get((namespace, pod))
        if known is not None:
            if known.host_network:
                return self._node(ip or next(iter(known.addresses), ""), own=False)
            then = labels_of({**dict(known.labels), **dict(labels)})
            if then != known.labels:
                # A StatefulSet's pod of an older generation, under the name of today's.
                self._seen_labels.setdefault(known.workload, set()).add(then)
            return End(known.workload, replace(known.endpoint, labels=then))
        ref = workload_of(self.inventory, namespace, pod, labels, kind, name)
        if pod:
            self._gone.add((namespace, pod))
        if ref is None:
            kind, name = (kind, name) if kind and name else name_pattern(pod)
            if not name:
                what = f"{namespace}/{', '.join(f'{k}={v}' for k, v in labels)}"
                return _untold(what, "the flow names no pod and its labels fit no one workload", ip)
            ref = WorkloadRef(namespace, kind, name)
        if ref not in self.inventory.workloads:
            self._only_in_flows.add(ref)
        workload = self.inventory.workloads.get(ref, Workload(ref, ()))
        if workload.host_network:
            return self._node(ip, own=False)
        template = workload.template
        # The CNI leaves labels out of a flow, so one that is absent there says nothing.
        full = labels_of({**dict(template), **dict(labels)})
        if labels:
            self._seen_labels.setdefault(ref, set()).add(full)
        elif not full:
            self._unlabelled.add((namespace, pod))
        addresses = (ip,) if ip else ()
        return End(ref, Endpoint(namespace, full, addresses, workload.named_ports, name=pod))

    def _behind_service(self, ip: str, port: int) -> tuple[tuple[End, int], ...]:
        """The ends a Service address stands for; nothing for an address that is no Service's."""
        service = self.inventory.service_at.get(ip)
        if service is None and ip in self.inventory.node_at:
            service = self._node_ports.get(port)
        if service is None:
            return ()
        ports = [p for p in service.ports if port in (p.port, p.node_port)]
        if (service.namespace, service.name) == ("default", "kubernetes"):
            return tuple((_api_server(ip), number) for ip, number in sorted(self.inventory.api_servers))
        found: list[tuple[End, int]] = []
        for workload in self.inventory.workloads_behind(service):
            pods = self.inventory.pods_of.get(workload.ref, ())
            endpoint = (
                pods[0].endpoint
                if pods
                else Endpoint(service.namespace, workload.template, (), workload.named_ports)
            )
            targets = sorted(n for p in ports for n in self.inventory.target_ports(service, p))
            found += [(End(workload.ref, endpoint), number) for number in targets]
        if not found:
            for backends in self.inventory.backends:
                if (backends.namespace, backends.service) == (service.namespace, service.name):
                    found += [
                        (End(Outside(address), _at(address)), number)
                        for address in backends.addresses
                        for _, _, number in backends.ports
                    ]
        if not found:
            what = f"Service {service.namespace}/{service.name} port {port}"
            found = [(_untold(what, "nothing stands behind this port of the Service"), 0)]
        return tuple(found)

    def completed_inventory(self) -> Inventory:
        """The inventory with the workloads and label sets that only the flows know of."""
        workloads = dict(self.inventory.workloads)
        for ref in sorted(self._only_in_flows):
            workloads.setdefault(ref, Workload(ref, ()))
        for ref, seen in self._seen_labels.items():
            sets = workloads[ref].label_sets
            workloads[ref] = replace(workloads[ref], label_sets=sets + tuple(sorted(seen - set(sets))))
        return replace(self.inventory, workloads=workloads)

    def notes(self) -> Iterator[str]:
        if self.inventory.unknown_because:
            yield self.inventory.unknown_because
            return
        if self._gone:
            yield (
                f"{len(self._gone)} pods in the flows are not in the snapshot (they are gone, or came after it): "
                "attributed to their workloads by what the flows say of them"
            )
        unknown = {ref.namespace for ref in self._only_in_flows} - set(self.inventory.namespaces)
        if unknown:
            yield f"namespaces in the flows but not in the snapshot: {', '.join(sorted(unknown))}"
        known = sorted(str(ref) for ref in self._only_in_flows if ref.namespace not in unknown)
        if known:
            yield f"workloads in the flows but not in the snapshot: {', '.join(known)}"
        if self._unlabelled:
            yield f"{len(self._unlabelled)} pods without any label were seen: no selector can name them"
