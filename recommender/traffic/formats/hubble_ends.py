"""An endpoint of a Hubble flow: pod, labels, entity, cluster, names and workload.

Labels are trusted over addresses: a client behind a NodePort has a node's address and the
label ``reserved:world``. Reserved labels come in pairs, and the nearer one says more.

Source: Cilium's Documentation/gettingstarted/terminology (labels and reserved identities),
pkg/identity/numericidentity.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from recommender.traffic.edges import Labels
from recommender.traffic.formats.hubble_wire import Json, decode_any, number, pick, text

_BY_NEARNESS: Final = (
    "kube-apiserver", "host", "remote-node", "health", "ingress", "init", "unmanaged", "world",
)  # fmt: skip
_SPELT: Final = {"world-ipv4": "world", "world-ipv6": "world"}
_RESERVED: Final = {
    1: "host", 2: "world", 3: "unmanaged", 4: "health", 5: "init",
    6: "remote-node", 7: "kube-apiserver", 8: "ingress", 9: "world", 10: "world",
}  # fmt: skip
_CLUSTER_LABEL: Final = "io.cilium.k8s.policy.cluster"
_NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"
_OF_THE_CNI: Final = ("io.cilium.", "io.kubernetes.")
_FIRST_LOCAL_IDENTITY: Final = 1 << 24
_FIRST_REMOTE_NODE_IDENTITY: Final = 2 << 24


class Side(NamedTuple):
    """What an endpoint object says, whatever its address. ``local``: it runs on the reporting node."""

    namespace: str = ""
    pod: str = ""
    labels: Labels = ()
    entity: str = ""
    cluster: str = ""
    names: tuple[str, ...] = ()
    workload: tuple[str, str] | None = None
    local: bool = False

    @property
    def known(self) -> bool:
        return bool(self.namespace or self.pod or self.labels or self.entity)


def name_of(value: Json) -> str:
    """A DNS name in one spelling: lower-case, without the root's dot."""
    return text(value).lower().rstrip(".")


def names_of(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(sorted({name for name in map(name_of, value) if name}))


@lru_cache(maxsize=65536)
def address(value: str) -> str | None:
    """An address in its canonical spelling, an IPv4-mapped one as IPv4; None for what is none."""
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)


@lru_cache(maxsize=65536)
def to_many(value: str) -> bool:
    """A multicast or broadcast address."""
    if not value:
        return False
    found = ipaddress.ip_address(value)
    return found.is_multicast or value == "255.255.255.255"


def side_of(raw: bytes) -> Side:
    """The endpoint object of a flow, in any spelling; an empty one where there is none.

    Raises:
        ValueError: the bytes are no JSON.
    """
    of = decode_any(raw) if raw else None
    if not isinstance(of, Mapping):
        return Side()
    labels, reserved, names, cluster, namespace = _labels(pick(of, "labels", "labelsList"))
    namespace = text(of.get("namespace")) or namespace
    pod = text(pick(of, "pod_name", "podName"))
    workload = _workload(pick(of, "workloads", "workloadsList"))
    is_pod = bool(namespace or pod)
    # The host firewall gives a node's own labels to reserved:host: an entity, no pod.
    entity = "" if is_pod else _entity(reserved, None if labels else number(of.get("identity")))
    return Side(
        namespace=namespace,
        pod=pod,
        labels=() if entity else labels,
        entity=entity,
        cluster=text(pick(of, "cluster_name", "clusterName")) or cluster,
        names=names,
        workload=workload if is_pod else None,
        local=is_pod and (workload is not None or bool(number(pick(of, "ID", "id")))),
    )


def _labels(value: Json) -> tuple[Labels, set[str], tuple[str, ...], str, str]:
    """Pod labels, reserved labels, names, cluster, namespace."""
    if isinstance(value, Mapping):
        value = [f"{key}={of}" for key, of in value.items()]
    pod: dict[str, str] = {}
    reserved: set[str] = set()
    names: set[str] = set()
    cluster = namespace = ""
    for label in value if isinstance(value, list) else ():
        key, _, of = text(label).partition("=")
        origin, colon, bare = key.partition(":")
        if not colon:
            origin, bare = "k8s", key
        if origin == "reserved":
            reserved.add(_SPELT.get(bare, bare))
        elif origin in ("cidr", "cidrgroup"):
            reserved.add("world")
        elif origin == "fqdn":
            reserved.add("world")
            names.add(name_of(bare))
        elif origin in ("k8s", "any"):
            if bare == _CLUSTER_LABEL:
                cluster = of
            elif bare == _NAMESPACE_LABEL:
                namespace = of
            elif bare and not bare.startswith(_OF_THE_CNI):
                pod[bare] = of
    return tuple(sorted(pod.items())), reserved, tuple(sorted(names - {""})), cluster, namespace


def _entity(reserved: Iterable[str], identity: int | None) -> str:
    found = set(reserved)
    for entity in _BY_NEARNESS:
        if entity in found:
            return entity
    if found or identity is None:
        return ""
    if identity >= _FIRST_LOCAL_IDENTITY:
        return "remote-node" if identity >= _FIRST_REMOTE_NODE_IDENTITY else "world"
    return _RESERVED.get(identity, "")


def _workload(value: Json) -> tuple[str, str] | None:
    if not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
        return None
    kind, name = text(value[0].get("kind")), text(value[0].get("name"))
    return (kind, name) if name else None
