"""NetworkPolicy v1 as frozen values, and the connections that are held against it.

Three things that YAML makes easy to confuse are three values here:

* ``Policy.ingress is None`` does not isolate; ``()`` isolates and admits nothing.
* ``Rule.peers is None`` is anyone, ``Rule.ports is None`` any port; an empty tuple of
  either is refused when the value is made.
* ``Peer.namespaces is None`` is the policy's own namespace.

Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/#networkpolicy-v1-networking-k8s-io
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from recommender.policy.selector import EVERYTHING, Labels, Selector

Protocol = Literal["TCP", "UDP", "SCTP"]
PROTOCOLS: Final[tuple[Protocol, ...]] = ("TCP", "UDP", "SCTP")


def protocol_of(text: str) -> Protocol:
    """A protocol NetworkPolicy knows.

    Raises:
        ValueError: it is another one.
    """
    for protocol in PROTOCOLS:
        if text == protocol:
            return protocol
    raise ValueError(f"protocol {text!r} is none of {', '.join(PROTOCOLS)}")


Direction = Literal["ingress", "egress"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("ingress", "egress")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


AddressKey = tuple[int, int]
"""An address as (version, number): keys sort as addresses do, and versions never mix."""


@lru_cache(maxsize=65536)
def network(cidr: str) -> Network:
    """A network, an IPv4-mapped one as the IPv4 network it is; host bits are allowed, as in Kubernetes."""
    found = ipaddress.ip_network(cidr, strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, found.prefixlen - 96))
    return found


@lru_cache(maxsize=65536)
def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, an IPv4-mapped one as the IPv4 address it is; None for what is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=65536)
def address_key(text: str) -> AddressKey | None:
    """The key of an address, an IPv4-mapped one as the IPv4 address it is; None for what is none."""
    found = address(text)
    return None if found is None else (found.version, int(found))


def _span(cidr: str) -> tuple[AddressKey, AddressKey]:
    found = network(cidr)
    return (
        (found.version, int(found.network_address)),
        (found.version, int(found.broadcast_address)),
    )


@lru_cache(maxsize=65536)
def _spans(cidr: str, excepted: tuple[str, ...]) -> tuple[tuple[AddressKey, AddressKey], ...]:
    (version, start), (_, last) = _span(cidr)
    spans = []
    for (hole_version, first), (_, end) in sorted(map(_span, excepted)):
        if hole_version != version or end < start or first > last:
            continue
        if first > start:
            spans.append(((version, start), (version, first - 1)))
        start = end + 1
    if start <= last:
        spans.append(((version, start), (version, last)))
    return tuple(spans)


@dataclass(frozen=True, slots=True)
class IPBlock:
    """Addresses by CIDR, less the excepted ones."""

    cidr: str
    excepted: tuple[str, ...] = ()

    @property
    def spans(self) -> tuple[tuple[AddressKey, AddressKey], ...]:
        """What is left of the block: disjoint (first, last) address keys, in order."""
        return _spans(self.cidr, self.excepted)

    def __contains__(self, ip: str) -> bool:
        found = address_key(ip)
        return found is not None and any(first <= found <= last for first, last in self.spans)

    @classmethod
    def of(cls, ip: str) -> IPBlock:
        """The block that is one address."""
        return cls(f"{ip}/{'128' if ':' in ip else '32'}")

    @property
    def single(self) -> bool:
        """Is it one address?"""
        return network(self.cidr).num_addresses == 1

    def __str__(self) -> str:
        return self.cidr + (f" except {', '.join(self.excepted)}" if self.excepted else "")


@dataclass(frozen=True, slots=True)
class Peer:
    """One element of ``from`` or ``to``: pods by labels, or a block of addresses.

    With both selectors set it is the AND form: pods with these labels in namespaces with
    those labels.
    """

    namespaces: Selector | None = None
    pods: Selector | None = None
    block: IPBlock | None = None

    def __post_init__(self) -> None:
        selects = self.namespaces is not None or self.pods is not None
        if selects == (self.block is not None):
            raise ValueError("a peer is either selectors or an ipBlock")

    @property
    def pod_selector(self) -> Selector:
        """The pods meant in the namespaces meant; an absent podSelector means all of them."""
        return EVERYTHING if self.pods is None else self.pods


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports of one protocol: a number, ``number..end``, a pod's named port, or (None) all."""

    protocol: Protocol
    port: int | str | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        protocol_of(self.protocol)
        if isinstance(self.port, int) and not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is not within 1..65535")
        if self.end is not None and not (isinstance(self.port, int) and self.port <= self.end <= 65535):
            raise ValueError(f"endPort {self.end} needs a number port that is not above it")

    def __str__(self) -> str:
        port = "all" if self.port is None else str(self.port)
        return f"{port}{f'-{self.end}' if self.end is not None else ''}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Peers and ports that are admitted together.

    ``why`` is told in a comment beside the rule and is no part of its meaning.
    """

    peers: tuple[Peer, ...] | None
    ports: tuple[PortRange, ...] | None
    why: str = ""

    def __post_init__(self) -> None:
        if self.peers == () or self.ports == ():
            raise ValueError(
                "an empty tuple of peers or ports: None means any, and nothing is no rule at all"
            )


@dataclass(frozen=True, slots=True)
class Policy:
    """One NetworkPolicy. ``labels`` are those of the object; ``origin`` is the file it was read from."""

    namespace: str
    name: str
    subjects: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None
    labels: Labels = ()
    origin: str = ""

    def rules(self, direction: Direction) -> tuple[Rule, ...] | None:
        return self.ingress if direction == "ingress" else self.egress

    @property
    def key(self) -> tuple[str, str]:
        return (self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection as a policy sees it.

    A pod has a namespace. ``namespace=None`` is an address alone: a node, the API server,
    anything outside. A ``host_network`` pod is its node: no selector reaches it, only its
    address does. ``named_ports`` are (name, protocol, number).
    """

    namespace: str | None
    labels: Labels = ()
    addresses: tuple[str, ...] = ()
    named_ports: tuple[tuple[str, str, int], ...] = ()
    host_network: bool = False
    node: str = ""
    name: str = ""

    @property
    def selectable(self) -> bool:
        return self.namespace is not None and not self.host_network

    def __str__(self) -> str:
        if self.namespace is not None:
            return f"{self.namespace}/{self.name or Selector.of(self.labels)}"
        return self.name or ", ".join(self.addresses) or "an unknown address"


@dataclass(frozen=True, slots=True)
class Connection:
    """Who opened it, to whom, and the port on the destination itself (not a Service's)."""

    source: Endpoint
    destination: Endpoint
    protocol: Protocol
    port: int
