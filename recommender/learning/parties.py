"""Who can stand at the end of a connection, as a person would name them.

A party is a workload, or one of four things no pod selector reaches: an address outside the
cluster, a node, the API server, or something that could not be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from recommender.cluster.inventory import WorkloadRef
from recommender.policy.model import Endpoint


@dataclass(frozen=True, slots=True)
class Outside:
    """An address that belongs to nothing in the cluster."""

    address: str

    def __str__(self) -> str:
        return self.address or "an unknown address"


@dataclass(frozen=True, slots=True)
class NodeParty:
    """A node, and with it every pod on its host network. ``address`` is empty for "the pod's own node"."""

    address: str

    def __str__(self) -> str:
        return f"node {self.address}" if self.address else "the pod's own node"


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The Kubernetes API server at one of its addresses."""

    address: str

    def __str__(self) -> str:
        return f"API server {self.address}".rstrip()


@dataclass(frozen=True, slots=True)
class Unattributed:
    """An end that could not be told, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return self.what


PortNumber = tuple[str, int]
"""(protocol, number)"""

Party = WorkloadRef | Outside | NodeParty | ApiServer | Unattributed


@dataclass(frozen=True, slots=True)
class Link:
    """The evidence for one (source, destination, protocol, port) over the whole window.

    ``connections``, ``flows``, ``audited`` and ``denied`` are counts, ``hours`` is in how
    many different hours it was seen, ``answered`` None where the recording cannot tell.
    ``port`` is the port on the destination itself, 0 where the protocol has none.
    ``names`` are the DNS names the outside end was looked up by.
    """

    source: Party
    destination: Party
    protocol: str
    port: int
    flows: int = 0
    connections: int = 0
    hours: int = 0
    first: datetime | None = None
    last: datetime | None = None
    answered: bool | None = None
    audited: int = 0
    denied: int = 0
    names: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What links are sorted by."""
        return (str(self.source), str(self.destination), self.protocol, self.port)

    @property
    def service(self) -> str:
        """The port as it is written: ``8080/TCP``."""
        return f"{self.port}/{self.protocol}" if self.port else self.protocol

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.service}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Why evidence is not learned from.

    ``action`` is "refused" (today's policies refuse it), "set aside" (it looks unwanted),
    "inexpressible" (NetworkPolicy cannot say it), "not needed" (it needs no rule) or
    "unattributed" (an end could not be told).
    """

    action: str
    reason: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A distinct connection as it was seen, pod by pod, and the link it is evidence for."""

    link: Link
    source: Endpoint
    destination: Endpoint


def in_order(links: Iterable[Link]) -> tuple[Link, ...]:
    return tuple(sorted(links, key=lambda link: link.key))
