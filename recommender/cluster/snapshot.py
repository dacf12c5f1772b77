"""The inventory from manifests: what kubectl prints of a cluster, or what people write for one.

Pods are joined to what a person deployed by their owners: ReplicaSet to Deployment, Job to
CronJob, a static pod to itself without its node. Where the owner is not in the files, the
name and the labels its controller gave tell (:mod:`recommender.cluster.attribution`).
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from recommender.cluster.attribution import GENERATION_LABELS, cron_job_of, replica_set_owner
from recommender.cluster.documents import COMMAND, Document, documents, elements, files_in, load
from recommender.cluster.inventory import (
    Backends,
    Inventory,
    Namespace,
    Node,
    Pod,
    Port,
    Service,
    Workload,
    WorkloadRef,
)
from recommender.cluster.kinds import KINDS, Kind, kind_of
from recommender.cluster.objects import READERS, About, Object, RunningPod, Template, object_of
from recommender.errors import InputError
from recommender.policy.model import Policy
from recommender.policy.selector import Selector

MAX_LISTS: Final = 10
_TWICE: Final = " (given twice)"
_MAX_OWNERS: Final = 5
_MADE_BY_OTHERS: Final = ("Pod", "ReplicaSet", "Job", "ReplicationController")
Key = tuple[str, str, str]
T = TypeVar("T")


def read_manifests(paths: Iterable[object]) -> Inventory:
    """The inventory in files and folders of YAML or JSON, also gzipped.

    Lists are unfolded; kinds that are not needed are counted in ``ignored``. Of an object
    given twice the one with the higher resourceVersion counts, else the later one.

    Raises:
        ManifestError: syntax, an unknown kind or an invalid field; with file, line and field.
        FormatError: a file holds flows.
        InputError: there is nothing to read.
    """
    found = _Found()
    for path in files_in([Path(os.fspath(path)) for path in paths]):  # type: ignore[call-overload]
        file = load(path)
        found.origin.append(file.name)
        for document in documents(file):
            found.add(document)
    if not found.objects and not found.ignored and not found.kinds:
        given = ", ".join(found.origin[:3]) or "no path was given"
        raise InputError(f"{given}: no Kubernetes objects; make a snapshot with: {COMMAND}")
    return found.inventory()


@dataclass(slots=True)
class _Found:
    """The objects read, by (kind, namespace, name), and what became of the others."""

    objects: dict[Key, Object] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    kinds: set[str] = field(default_factory=set)
    origin: list[str] = field(default_factory=list)
    places: dict[str, tuple[bool, str]] = field(default_factory=dict)

    def add(self, document: Document, listed: Kind | None = None, depth: int = 0) -> None:
        """Take in a document and, of a List, all that is in it."""
        kind = kind_of(document, listed)
        items = elements(document) if kind.name.endswith("List") else None
        if items is not None:
            if depth >= MAX_LISTS:
                raise document.error(f"is a List within more than {MAX_LISTS} Lists")
            single = Kind(kind.group, kind.version, kind.name.removesuffix("List"))
            if (single.group, single.name) in READERS:
                self.kinds.add(single.name)
            for item in items:
                self.add(item, single if single.name else None, depth + 1)
        elif (kind.group, kind.name) in READERS:
            self.keep(object_of(document, kind))
        elif kind.name == "NetworkPolicy" and kind.group == "extensions":
            raise document.error(
                "is served no longer: it is networking.k8s.io/v1 since Kubernetes 1.16", ("apiVersion",)
            )
        else:
            self.leave(document, kind)

    def leave(self, document: Document, kind: Kind) -> None:
        """Count what is not read; of policies and of what nobody here knows, say where the first one is."""
        self.ignored[str(kind)] += 1
        policy = "NetworkPolicy" in kind.name
        if (policy or kind.group not in KINDS) and str(kind) not in self.places:
            place = document.error("", ("kind",))
            where = f"{place.file}, line {place.line}" if place.line else place.file
            self.places[str(kind)] = (policy, where)

    def notes(self) -> Iterator[str]:
        for kind, (policy, where) in sorted(self.places.items()):
            what = f"{self.ignored[kind]} {kind} in the snapshot (the first in {where})"
            if policy:
                yield f"{what}: not judged here, so what it allows or refuses is in no verdict and no diff"
            else:
                yield f"{what}: a kind that is not known here, not read"
        for kind, times in sorted(self.ignored.items()):
            if kind.endswith(_TWICE):
                yield f"{times} {kind.removesuffix(_TWICE)} given more than once: the newest counts"

    def keep(self, made: Object) -> None:
        about = made.about
        self.kinds.add(about.kind.name)
        key = (about.kind.name, about.namespace, about.name)
        other = self.objects.get(key)
        if other is not None:
            self.ignored[about.kind.name + _TWICE] += 1
        if other is None or not other.about.version > about.version >= 0:
            self.objects[key] = made

    def inventory(self) -> Inventory:
        """Everything joined, sorted, so that the order of the files does not matter."""
        made = [self.objects[key] for key in sorted(self.objects)]
        nodes = {node.name: node for node in _values(made, Node)}
        owners = {
            WorkloadRef(o.about.namespace, o.about.kind.name, o.about.name): self.workload(o)
            for o in made
            if isinstance(o.value, (Template, RunningPod))
        }
        pods = _pods(made, owners, nodes)
        return Inventory(
            namespaces={namespace.name: namespace for namespace in _values(made, Namespace)},
            workloads=_workloads(made, owners, pods),
            pods=pods,
            services=tuple(_values(made, Service)),
            backends=_backends(made),
            nodes=tuple(nodes.values()),
            policies=tuple(_values(made, Policy)),
            origin=tuple(self.origin),
            ignored=dict(sorted(self.ignored.items())),
            notes=tuple(self.notes()),
            kinds=frozenset(self.kinds),
            owners={ref: owner for ref, owner in owners.items() if ref.kind != "Pod" and ref != owner},
        )

    def workload(self, made: Object) -> WorkloadRef:
        """What a person deployed that this object belongs to; itself where nothing owns it."""
        about = made.about
        kind, name, owner = about.kind.name, about.name, about.owner
        labels = dict(made.value.labels) if isinstance(made.value, (Template, RunningPod)) else {}
        for _ in range(_MAX_OWNERS):
            if owner is None or kind not in _MADE_BY_OTHERS:
                break
            if owner[0] == "Node":
                name = name.removesuffix(f"-{owner[1]}") or name
                break
            kind, name = owner
            above = self.objects.get((kind, about.namespace, name))
            if above is None:
                kind, name = self.maker(about.namespace, kind, name, labels)
                break
            owner = above.about.owner
        return WorkloadRef(about.namespace, kind, name)

    def maker(self, namespace: str, kind: str, name: str, labels: Mapping[str, str]) -> tuple[str, str]:
        """What made an owner that is not in the files itself; the owner where its name does not tell."""
        if kind == "ReplicaSet":
            return replica_set_owner(name, labels) or (kind, name)
        if kind == "Job":
            cron_job = cron_job_of(name, lambda made: ("CronJob", namespace, made) in self.objects)
            return ("CronJob", cron_job) if cron_job else (kind, name)
        return kind, name


def _values(made: Iterable[Object], kind: type[T]) -> Iterator[T]:
    return (o.value for o in made if isinstance(o.value, kind))


def _ref(about: About) -> WorkloadRef:
    return WorkloadRef(about.namespace, about.kind.name, about.name)


def _pods(
    made: list[Object], owners: Mapping[WorkloadRef, WorkloadRef], nodes: Mapping[str, Node]
) -> tuple[Pod, ...]:
    """The pods; an address belongs to the pod that was started last, since addresses are used again."""
    seen = [(o.about, o.value) for o in made if isinstance(o.value, RunningPod)]
    holder: dict[str, str] = {}
    for about, pod in sorted(seen, key=lambda p: (p[1].started or p[0].created, p[0].namespace, p[0].name)):
        if not (pod.finished or pod.host_network):
            holder.update(dict.fromkeys(pod.addresses, f"{about.namespace}/{about.name}"))
    found = []
    for about, pod in seen:
        if pod.finished:
            addresses: tuple[str, ...] = ()
        elif pod.host_network:
            addresses = pod.addresses or (nodes[pod.node].addresses if pod.node in nodes else ())
        else:
            addresses = tuple(ip for ip in pod.addresses if holder[ip] == f"{about.namespace}/{about.name}")
        ref = owners[_ref(about)]
        found.append(
            Pod(
                about.namespace,
                about.name,
                pod.labels,
                ref,
                addresses,
                pod.node,
                pod.host_network,
                pod.ports,
                pod.started or about.created,
            )
        )
    return tuple(found)


def _workloads(
    made: list[Object], owners: Mapping[WorkloadRef, WorkloadRef], pods: tuple[Pod, ...]
) -> dict[WorkloadRef, Workload]:
    """Workloads by name, each with its generations: its own template, then what it made, the newest first."""
    generations: dict[WorkloadRef, list[tuple[bool, str, str, Template]]] = defaultdict(list)
    for o in made:
        if isinstance(o.value, Template):
            own = owners[_ref(o.about)] == _ref(o.about)
            generations[owners[_ref(o.about)]].append((own, o.about.created, o.about.name, o.value))
    running: dict[WorkloadRef, list[Pod]] = defaultdict(list)
    for pod in pods:
        running[pod.workload].append(pod)
    found = {}
    for ref in sorted({*generations, *running}):
        templates = [g[-1] for g in sorted(generations[ref], key=lambda g: g[:3], reverse=True)]
        alive: list[Template | Pod] = [*templates[:1], *running[ref]]
        newest = templates[0] if templates else None
        found[ref] = Workload(
            ref,
            tuple(dict.fromkeys(one.labels for one in (*alive, *templates[1:]))),
            _selector(newest),
            tuple(sorted({port for one in alive for port in one.ports}, key=_by_number)),
            newest.host_network if newest else any(pod.host_network for pod in running[ref]),
            newest.schedule if newest else "",
            newest.images if newest else (),
        )
    return found


def _by_number(port: Port) -> tuple[int, str, str]:
    return port.number, port.protocol, port.name


def _selector(template: Template | None) -> Selector | None:
    """The workload's own selector; a ReplicaSet's is that of its Deployment and its generation."""
    if template is None or template.selector is None:
        return None
    kept = tuple(r for r in template.selector.requirements if r.key not in GENERATION_LABELS)
    return Selector(kept) if kept else None


def _backends(made: list[Object]) -> tuple[Backends, ...]:
    """EndpointSlices, and of the older Endpoints, which mirror them, only those without any slice."""
    slices = [b for o in made if o.about.kind.name == "EndpointSlice" for b in _of(o)]
    sliced = {(b.namespace, b.service) for b in slices}
    older = [b for o in made if o.about.kind.name == "Endpoints" for b in _of(o)]
    return (*slices, *(b for b in older if (b.namespace, b.service) not in sliced))


def _of(made: Object) -> tuple[Backends, ...]:
    return made.value if isinstance(made.value, tuple) else ()
