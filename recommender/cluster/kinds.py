"""Which kinds of object there are, so that a misspelt one is an error and an unneeded one is counted."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from recommender.cluster import shapes
from recommender.cluster.documents import Document
from recommender.text import printable

KINDS: Final[Mapping[str, frozenset[str]]] = {
    group: frozenset(kinds.split())
    for group, kinds in {
        "": "Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume "
        "PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service "
        "ServiceAccount Status",
        "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
        "autoscaling": "HorizontalPodAutoscaler Scale",
        "batch": "CronJob Job",
        "discovery.k8s.io": "EndpointSlice",
        "extensions": "DaemonSet Deployment Ingress NetworkPolicy PodSecurityPolicy ReplicaSet Scale",
        "networking.k8s.io": "ClusterCIDR IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR",
        "policy": "Eviction PodDisruptionBudget PodSecurityPolicy",
        "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding Role RoleBinding",
    }.items()
}
"""The kinds of the groups that are read from, and of their neighbours. Other groups are not judged."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind, with the API group and version it was given in."""

    group: str
    version: str
    name: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return printable(f"{self.name} ({self.group or self.version})")


def kind_of(document: Document, listed: Kind | None = None) -> Kind:
    """What an object is; ``listed`` is what a typed list says of an item that does not say it itself.

    Raises:
        ManifestError: it is no Kubernetes object, or there is no such kind; a similar one is named.
    """
    head = document.read(shapes.Head)
    name = head.kind or (listed.name if listed else "")
    version = head.api_version or (listed.api_version if listed else "")
    if not name:
        raise document.error("is missing: this is no Kubernetes object", ("kind",))
    if not version:
        raise document.error("is missing", ("apiVersion",))
    group, _, version = version.rpartition("/")
    kind = Kind(group, version, name)
    known = KINDS.get(group)
    if known is not None and name != "List" and name not in known and name.removesuffix("List") not in known:
        raise document.error(_unknown(name, group, version), ("kind",))
    return kind


def _unknown(kind: str, group: str, version: str) -> str:
    shown = printable(kind, 60)
    elsewhere = sorted(g for g, kinds in KINDS.items() if kind in kinds and g != "extensions")
    if elsewhere:
        return f"{shown} is no kind of {group or version}: it belongs to {elsewhere[0] or 'v1'}"
    similar = difflib.get_close_matches(kind[:60], sorted(set().union(*KINDS.values())), 1, 0.6)
    return f"there is no kind {shown}" + (f": did you mean {similar[0]}?" if similar else "")
