"""What policies let in that was not seen, asked of the judge: ours beyond the evidence, others' beyond ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recommender.cluster.inventory import Inventory, WorkloadRef
from recommender.learning.parties import Link
from recommender.policy.judge import Grant, Judge
from recommender.policy.model import DIRECTIONS, Direction, Endpoint, Policy


@dataclass(frozen=True, slots=True)
class Admitted:
    """Peers a rule admits: ``peers`` are workloads or blocks by name, ``subjects`` whom the rule is for."""

    policy: Policy
    direction: Direction
    index: int
    subjects: tuple[str, ...]
    peers: tuple[str, ...]
    ports: str
    why: str

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return (*self.policy.key, self.direction, self.index, self.why)


class Residents:
    """One endpoint for each distinct label set of each workload, and the workload each stands for."""

    def __init__(self, inventory: Inventory) -> None:
        self.of: dict[Endpoint, WorkloadRef] = {}
        for ref in sorted(inventory.workloads):
            workload = inventory.workloads[ref]
            if workload.host_network:
                continue
            pods = inventory.pods_of.get(ref, ())
            for labels in workload.label_sets:
                addresses = tuple(
                    sorted({ip for pod in pods if pod.labels == labels for ip in pod.addresses})
                )
                self.of[
                    Endpoint(
                        ref.namespace, labels, addresses, workload.named_ports, name=f"{ref.kind}/{ref.name}"
                    )
                ] = ref

    def named(self, endpoints: Iterable[Endpoint]) -> set[WorkloadRef]:
        return {self.of[endpoint] for endpoint in endpoints}


def beyond_evidence(judge: Judge, residents: Residents, links: Iterable[Link]) -> tuple[Admitted, ...]:
    """Everything the policies admit that no learned link stands for, a line for each rule and reason.

    Only the rules count: that a source may open a connection is told even where the
    destination would refuse it.
    """
    seen: dict[tuple[Direction, WorkloadRef, object], set[tuple[str, int]]] = {}
    for link in links:
        port = (link.protocol, link.port)
        if isinstance(link.source, WorkloadRef):
            seen.setdefault(("egress", link.source, link.destination), set()).add(port)
        if isinstance(link.destination, WorkloadRef):
            seen.setdefault(("ingress", link.destination, link.source), set()).add(port)
    found: list[Admitted] = []
    for direction in DIRECTIONS:
        for grant in judge.grants(residents.of, direction):
            found += _unseen(grant, direction, residents, seen)
    return tuple(sorted(found, key=lambda admitted: admitted.key))


def _unseen(
    grant: Grant,
    direction: Direction,
    residents: Residents,
    seen: Mapping[tuple[Direction, WorkloadRef, object], set[tuple[str, int]]],
) -> Iterable[Admitted]:
    subjects = residents.named(grant.subjects)
    ports = _ports_of(grant)
    mandatory = grant.rule.why.startswith("mandatory")

    def line(about: Iterable[WorkloadRef], peers: Iterable[str], why: str) -> Admitted:
        names = tuple(sorted(f"{ref.namespace}/{ref.name}" for ref in about))
        return Admitted(
            grant.policy, direction, grant.index, names, tuple(sorted(set(peers))), _ports(grant), why
        )

    if mandatory or grant.peers is None:
        names = ["anyone"] if grant.peers is None else [_name(ref) for ref in residents.named(grant.peers)]
        yield line(subjects, [*names, *map(str, grant.blocks)], grant.rule.why or "any peer")
        return
    unseen: dict[WorkloadRef, set[WorkloadRef]] = {}
    peers = residents.named(grant.peers)
    for subject in subjects:
        for peer in peers:
            if not ports or not ports <= seen.get((direction, subject, peer), set()):
                unseen.setdefault(peer, set()).add(subject)
    for peer in sorted(unseen):
        yield line(unseen[peer], [_name(peer)], _why(unseen[peer], subjects))
    wide = [block for block in grant.blocks if not block.single]
    if wide:
        yield line(subjects, map(str, wide), "a block wider than the addresses seen")


def _why(unseen: set[WorkloadRef], subjects: set[WorkloadRef]) -> str:
    if unseen < subjects:
        return "no lasting label tells the subjects apart"
    return (
        "not seen: of one family with those that were, or no lasting label tells it apart; "
        "where it is protected, its own side must open it too"
    )


def kept_open(
    others: Judge, ours: Judge, residents: Residents, protected: Sequence[str]
) -> tuple[Admitted, ...]:
    """What somebody else's policies go on admitting to protected workloads that ours do not.

    Policies add up, so no policy of ours can close it.
    """
    found = []
    for direction in DIRECTIONS:
        for grant in others.grants(residents.of, direction):
            if grant.policy.namespace not in protected or not grant.subjects:
                continue
            extra: set[str] = set()
            if grant.peers is None:
                extra.add("anyone")
            else:
                for subject in grant.subjects:
                    for peer in grant.peers:
                        if _opens_more(others, ours, subject, peer, direction):
                            extra.add(_name(residents.of[peer]))
                extra |= {str(block) for block in grant.blocks}
            if extra:
                names = tuple(sorted({_name(ref) for ref in residents.named(grant.subjects)}))
                why = _OR_FORM if _is_or_form(grant) else "wider than what was seen"
                found.append(
                    Admitted(
                        grant.policy, direction, grant.index, names, tuple(sorted(extra)), _ports(grant), why
                    )
                )
    return tuple(sorted(found, key=lambda admitted: admitted.key))


_OR_FORM = (
    "its namespaceSelector and podSelector are two elements: either one admits (OR). "
    "Were they meant together, they belong in one element"
)


def _is_or_form(grant: Grant) -> bool:
    """Namespaces in one element, pods in another: the classic way to open a door by accident."""
    peers = [peer for peer in grant.rule.peers or () if peer.block is None]
    return any(p.pods is None for p in peers) and any(p.namespaces is None for p in peers)


def _opens_more(others: Judge, ours: Judge, subject: Endpoint, peer: Endpoint, direction: Direction) -> bool:
    """Does their side of the connection admit a port that our side would not?"""
    source, destination = (subject, peer) if direction == "egress" else (peer, subject)
    theirs = others.admits(source, destination, direction)
    return theirs & ours.admits(source, destination, direction) != theirs


def _name(ref: WorkloadRef) -> str:
    return f"{ref.namespace}/{ref.name}"


def _ports_of(grant: Grant) -> set[tuple[str, int]]:
    """The ports of a rule as (protocol, number); empty if it names some otherwise."""
    found: set[tuple[str, int]] = set()
    for port in grant.rule.ports or ():
        if not isinstance(port.port, int):
            return set()
        found |= {(port.protocol, number) for number in range(port.port, (port.end or port.port) + 1)}
    return found


def _ports(grant: Grant) -> str:
    return ", ".join(map(str, grant.rule.ports)) if grant.rule.ports is not None else "every port"
