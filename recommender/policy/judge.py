"""The one evaluator of NetworkPolicy v1.

What it holds to, from https://kubernetes.io/docs/concepts/services-networking/network-policies/
and the NetworkPolicy API reference:

* A pod is isolated in a direction by every policy of its namespace that selects it and speaks
  of that direction; not isolated means everything is admitted. Policies add up.
* A connection is admitted if the source's egress side and the destination's ingress side both
  admit it. Ports, also those of egress rules, are the destination pod's.
* A named port is every number the destination pod gives that name for the rule's protocol. An
  address, a node and a hostNetwork pod have none.
* An ``ipBlock`` matches any address of the other end, that of a pod too. Cilium differs: there
  an ``ipBlock`` never matches pods or nodes of the cluster.
* A hostNetwork pod is its node: it is never isolated and no selector reaches it.
* A pod always reaches itself, and a pod's own node always reaches the pod. The text of
  Kubernetes also exempts a pod's connections *to* its node; CNIs refuse those under egress
  isolation, so they are judged here like any other.

Point questions (``verdict``) and set questions (``reach``, ``grants``) are answered from one
compiled form. What a policy can point at (a selector of pods in some namespaces, a block of
addresses) is a *target* with a number, one for all who point at the same. Pods with the same
namespace, labels and named ports are one *class*, which knows the targets that select it;
addresses know the blocks they are in. Whether a policy isolates or a peer admits is then a
look-up of numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from recommender.policy.model import (
    DIRECTIONS,
    PROTOCOLS,
    Connection,
    Direction,
    Endpoint,
    IPBlock,
    Policy,
    PortRange,
    Protocol,
    Rule,
)
from recommender.policy.selector import Labels, namespaces_named
from recommender.policy.targets import Targets

NamedPorts = tuple[tuple[str, str, int], ...]
Span = tuple[Protocol, int, int]
"""Ports first..last of one protocol, both included."""

EVERY_PORT: Final[tuple[Span, ...]] = tuple((protocol, 1, 65535) for protocol in sorted(PROTOCOLS))
ITSELF: Final = "a pod always reaches itself"
OWN_NODE: Final = "a pod's own node always reaches it"


@dataclass(frozen=True, slots=True)
class Side:
    """What one end has to say of a connection.

    ``isolating`` are the policies that isolate the end in this direction, by namespace and
    name; ``admitting`` the (policy, index of its rule) that admit the connection; ``exempt``
    why no policy applies, if none does.
    """

    isolating: tuple[Policy, ...]
    admitting: tuple[tuple[Policy, int], ...]
    exempt: str = ""

    @property
    def allowed(self) -> bool:
        return bool(self.exempt) or not self.isolating or bool(self.admitting)

    @property
    def reason(self) -> str:
        """Why, without a full stop. Rules are counted from 1."""
        if self.exempt:
            return self.exempt
        if not self.isolating:
            return "not isolated"
        isolated = "isolated by " + ", ".join(map(str, self.isolating))
        if not self.admitting:
            return f"{isolated}; admitted by no rule"
        return f"{isolated}; admitted by " + ", ".join(
            f"{policy} rule {index + 1}" for policy, index in self.admitting
        )

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a connection is allowed, and what each of its ends says."""

    egress: Side
    ingress: Side

    @property
    def allowed(self) -> bool:
        return self.egress.allowed and self.ingress.allowed

    @property
    def reason(self) -> str:
        return f"egress: {self.egress.reason}; ingress: {self.ingress.reason}"

    def __str__(self) -> str:
        return f"{'allowed' if self.allowed else 'refused'} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Reach:
    """The ports on a destination that a source is admitted to: sorted, disjoint, not adjoining spans."""

    spans: tuple[Span, ...]

    @property
    def everything(self) -> bool:
        return self.spans == EVERY_PORT

    @property
    def nothing(self) -> bool:
        return not self.spans

    def __contains__(self, port: tuple[Protocol, int]) -> bool:
        protocol, number = port
        return any(p == protocol and first <= number <= last for p, first, last in self.spans)

    def __and__(self, other: Reach) -> Reach:
        return Reach(
            tuple(
                (protocol, max(first, start), min(last, end))
                for protocol, first, last in self.spans
                for name, start, end in other.spans
                if protocol == name and max(first, start) <= min(last, end)
            )
        )

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Reach:
        """The reach of spans in any order, overlapping or not."""
        merged: list[Span] = []
        for protocol, first, last in sorted(spans):
            if merged and merged[-1][0] == protocol and first <= merged[-1][2] + 1:
                merged[-1] = (protocol, merged[-1][1], max(last, merged[-1][2]))
            else:
                merged.append((protocol, first, last))
        return cls(tuple(merged))

    def __str__(self) -> str:
        if self.everything:
            return "every port"
        return ", ".join(str(PortRange(p, a, None if a == b else b)) for p, a, b in self.spans) or "no port"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one rule gives, asked of a set of endpoints.

    ``subjects`` are the endpoints its policy selects, ``peers`` those it admits, both in the
    order given (None: anyone at all). ``blocks`` are its ipBlocks, which also admit addresses
    that no endpoint stands for.
    """

    policy: Policy
    index: int
    rule: Rule
    subjects: tuple[Endpoint, ...]
    peers: tuple[Endpoint, ...] | None
    blocks: tuple[IPBlock, ...]


class Judge:
    """Verdicts under a set of policies.

    Args:
        policies: in any order; verdicts name them by namespace and name.
        namespaces: labels of the namespaces. Each also has ``kubernetes.io/metadata.name``,
            and that alone if it is not in here.
    """

    def __init__(self, policies: Iterable[Policy], namespaces: Mapping[str, Labels]) -> None:
        self.policies: Final = tuple(sorted(policies, key=lambda policy: policy.key))
        self._targets = Targets(namespaces)
        self._compiled = [_compile(policy, self._targets) for policy in self.policies]
        self._isolating: dict[int, list[int]] = {}
        for place, compiled in enumerate(self._compiled):
            self._isolating.setdefault(compiled.subjects, []).append(place)
        self._classes: dict[tuple[str, Labels, NamedPorts], _Class] = {}
        self._nobody = _Class(frozenset(), (), dict.fromkeys(DIRECTIONS, _Isolation((), (), frozenset())))
        self._opened: dict[tuple[Direction, _Class, _Class, frozenset[int]], tuple[_Opened, ...]] = {}

    def judge(self, connection: Connection) -> Verdict:
        """The verdict on a connection."""
        return self.verdict(connection.source, connection.destination, connection.protocol, connection.port)

    def verdict(self, source: Endpoint, destination: Endpoint, protocol: Protocol, port: int) -> Verdict:
        """The verdict on a connection to ``port`` of the destination itself, not of a Service before it.

        An endpoint's ``name`` is that of one pod, or empty: two ends with one namespace and
        name are the same pod, which always reaches itself.
        """
        sides: dict[Direction, Side] = {}
        for direction, (exempt, subject, peer) in self._sides(source, destination).items():
            policies = subject.sides[direction].policies
            admitting = tuple(
                opened.rule
                for opened in (self._open(direction, subject, peer, source, destination) if policies else ())
                if opened.spans is None
                or any(name == protocol and first <= port <= last for name, first, last in opened.spans)
            )
            sides[direction] = Side(policies, admitting, exempt)
        return Verdict(**sides)

    def reach(self, source: Endpoint, destination: Endpoint) -> Reach:
        """The ports of the destination that a source is admitted to by both sides."""
        return self.admits(source, destination, "egress") & self.admits(source, destination, "ingress")

    def admits(self, source: Endpoint, destination: Endpoint, direction: Direction) -> Reach:
        """The ports that one side alone admits: the source's egress, or the destination's ingress."""
        exempt, subject, peer = self._sides(source, destination)[direction]
        if exempt or not subject.sides[direction].policies:
            return Reach(EVERY_PORT)
        return Reach.of(
            span
            for opened in self._open(direction, subject, peer, source, destination)
            for span in (EVERY_PORT if opened.spans is None else opened.spans)
        )

    def isolating(self, endpoint: Endpoint, direction: Direction) -> tuple[Policy, ...]:
        """The policies that isolate an endpoint in a direction, by namespace and name."""
        return self._class_of(endpoint).sides[direction].policies

    def grants(self, endpoints: Collection[Endpoint], direction: Direction) -> Iterator[Grant]:
        """Every rule of every policy in a direction, with the given endpoints it is for and about.

        Rules come by policy (namespace, name) and in their own order, also where they select
        none of the endpoints.
        """
        given = tuple(endpoints)
        found: dict[int, list[int]] = {}
        for place, endpoint in enumerate(given):
            for target in self._class_of(endpoint).targets | self._targets.at(endpoint.addresses):
                found.setdefault(target, []).append(place)

        @cache
        def pointed_at(targets: frozenset[int]) -> tuple[Endpoint, ...]:
            places = sorted({place for target in targets for place in found.get(target, ())})
            return tuple(given[place] for place in places)

        for compiled in self._compiled:
            subjects = pointed_at(frozenset((compiled.subjects,)))
            for rule in compiled.rules[direction]:
                peers = None if rule.targets is None else pointed_at(rule.targets)
                yield Grant(compiled.policy, rule.index, rule.rule, subjects, peers, rule.blocks)

    def _sides(self, source: Endpoint, destination: Endpoint) -> dict[Direction, tuple[str, _Class, _Class]]:
        """Why a side is exempt (or ""), the class judged and the class at the other end."""
        outgoing, incoming = self._class_of(source), self._class_of(destination)
        itself = own_node = ""
        if source.name == destination.name != "" and source.namespace == destination.namespace is not None:
            itself = ITSELF
        if source.node == destination.node != "" and (source.namespace is None or source.host_network):
            own_node = OWN_NODE
        return {"egress": (itself, outgoing, incoming), "ingress": (itself or own_node, incoming, outgoing)}

    def _class_of(self, endpoint: Endpoint) -> _Class:
        if endpoint.namespace is None or endpoint.host_network:
            return self._nobody
        key = (endpoint.namespace, endpoint.labels, endpoint.named_ports)
        found = self._classes.get(key)
        if found is None:
            targets = frozenset(self._targets.selecting(endpoint.namespace, dict(endpoint.labels)))
            places = sorted(place for target in targets for place in self._isolating.get(target, ()))
            isolating = [self._compiled[place] for place in places]
            sides = {direction: _Isolation.by(isolating, direction) for direction in DIRECTIONS}
            found = self._classes[key] = _Class(targets, endpoint.named_ports, sides)
        return found

    def _open(
        self, direction: Direction, subject: _Class, peer: _Class, source: Endpoint, destination: Endpoint
    ) -> tuple[_Opened, ...]:
        """The rules isolating the subject whose peers include the other end, with the ports they open.

        Remembered by classes and by the blocks the other end is in, never by its address.
        """
        isolation = subject.sides[direction]
        egress = direction == "egress"
        hits = frozenset[int]()
        if isolation.blocks:
            hits = isolation.blocks & self._targets.at((destination if egress else source).addresses)
        key = (direction, subject, peer, hits)
        found = self._opened.get(key)
        if found is None:
            named = (peer if egress else subject).named_ports
            pointed_at = peer.targets | hits
            found = self._opened[key] = tuple(
                _Opened((policy, rule.index), _spans(rule.rule.ports, named))
                for policy, rule in isolation.rules
                if rule.targets is None or not rule.targets.isdisjoint(pointed_at)
            )
        return found


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule whose peers are targets; None is anyone, as in the rule."""

    index: int
    rule: Rule
    targets: frozenset[int] | None
    blocks: tuple[IPBlock, ...]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A policy whose subjects are a target."""

    policy: Policy
    subjects: int
    rules: Mapping[Direction, tuple[_Rule, ...]]


@dataclass(frozen=True, slots=True)
class _Isolation:
    """What isolates a class in a direction: the policies, their rules, the blocks in those."""

    policies: tuple[Policy, ...]
    rules: tuple[tuple[Policy, _Rule], ...]
    blocks: frozenset[int]

    @classmethod
    def by(cls, policies: Iterable[_Compiled], direction: Direction) -> _Isolation:
        isolating = [p for p in policies if p.policy.rules(direction) is not None]
        rules = tuple((p.policy, rule) for p in isolating for rule in p.rules[direction])
        blocks = frozenset(n for _, rule in rules if rule.blocks for n in rule.targets or ())
        return cls(tuple(p.policy for p in isolating), rules, blocks)


@dataclass(frozen=True, slots=True, eq=False)
class _Class:
    """Pods that policies can tell apart by nothing but their addresses."""

    targets: frozenset[int]
    named_ports: NamedPorts
    sides: Mapping[Direction, _Isolation]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A rule, as (policy, index), and the ports it opens; None is any port of any protocol."""

    rule: tuple[Policy, int]
    spans: tuple[Span, ...] | None


@lru_cache(maxsize=65536)
def _spans(ports: tuple[PortRange, ...] | None, named: NamedPorts) -> tuple[Span, ...] | None:
    """What a rule's ports are in numbers on a destination with these named ports."""
    if ports is None:
        return None
    spans: list[Span] = []
    for port in ports:
        if port.port is None:
            spans.append((port.protocol, 1, 65535))
        elif isinstance(port.port, int):
            spans.append((port.protocol, port.port, port.end or port.port))
        else:
            numbers = [n for name, protocol, n in named if (name, protocol) == (port.port, port.protocol)]
            spans.extend((port.protocol, number, number) for number in numbers)
    return tuple(spans)


def _compile(policy: Policy, targets: Targets) -> _Compiled:
    own = namespaces_named((policy.namespace,))

    def compiled(index: int, rule: Rule) -> _Rule:
        if rule.peers is None:
            return _Rule(index, rule, None, ())
        numbers = frozenset(
            targets.block(peer.block)
            if peer.block is not None
            else targets.pods(own if peer.namespaces is None else peer.namespaces, peer.pod_selector)
            for peer in rule.peers
        )
        return _Rule(index, rule, numbers, tuple(p.block for p in rule.peers if p.block is not None))

    return _Compiled(
        policy,
        targets.pods(own, policy.subjects),
        {d: tuple(compiled(*item) for item in enumerate(policy.rules(d) or ())) for d in DIRECTIONS},
    )
