"""The peers and ports of one side of a workload -> the cheapest rules that admit exactly them.

Peers become **atoms**: a group of workloads that labels can name, or a block of addresses.
Atoms that share all their ports are one rule, or ports that share all their peers are,
whichever costs less; both are exact. A peer in another namespace is always one element with
``namespaceSelector`` and ``podSelector`` together, the AND form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recommender.cluster.inventory import Inventory, WorkloadRef
from recommender.learning.cover import Cover, Population
from recommender.learning.groups import Group
from recommender.learning.outside import Block, blocks, is_link_local, merged, node_blocks, public_subnets
from recommender.learning.parties import ApiServer, Link, NodeParty, Outside, Party, PortNumber, in_order
from recommender.policy.model import Direction, IPBlock, Peer, PortRange, Rule, protocol_of
from recommender.policy.selector import Selector, namespaces_named

_RUN: Final = 4
"""Consecutive ports from which on they are written as a range."""

Atom = Group | IPBlock


@dataclass(frozen=True)
class LearnedRule:
    """A rule, the links it stands on, and its blocks that hold more than was seen."""

    rule: Rule
    links: tuple[Link, ...]
    wide: tuple[Block, ...] = ()

    @property
    def cost(self) -> float:
        """Weighted structural complexity: the rule itself, its peers with their values, its ports."""
        total = 1.0 + 0.5 * len(self.rule.ports or ())
        for peer in self.rule.peers or ():
            total += 1
            for selector in (peer.namespaces, peer.pods):
                total += sum(1 + 0.25 * len(r.values) for r in selector.requirements) if selector else 0
        return total


class RuleMaker:
    """Makes rules in one cluster.

    Args:
        links: all that is to be admitted; they tell of the nodes where the inventory does not.
        many: from how many nameless outside addresses on one port they are one block.
    """

    def __init__(
        self, inventory: Inventory, population: Population, links: Iterable[Link], many: int
    ) -> None:
        self._population, self._many = population, many
        self._on_host = {ref for ref, workload in inventory.workloads.items() if workload.host_network}
        self._api_servers = {ip for ip, _ in inventory.api_servers}
        seen = {
            party.address
            for link in links
            for party in (link.source, link.destination)
            if isinstance(party, NodeParty) and party.address and not is_link_local(party.address)
        }
        pods = set(inventory.pod_at)
        self._own_networks = sorted(
            {cidr for node in inventory.nodes for cidr in node.pod_cidrs} | set(public_subnets(pods))
        )
        self._node_addresses = {ip for node in inventory.nodes for ip in node.addresses} or seen
        self.nodes = node_blocks(self._node_addresses, pods)

    def selectable(self, party: Party) -> bool:
        """Is it a workload whose pods have an address of their own, not their node's?"""
        return isinstance(party, WorkloadRef) and party not in self._on_host

    def rules(self, namespace: str, direction: Direction, links: Iterable[Link]) -> tuple[LearnedRule, ...]:
        """Rules for a policy of ``namespace`` that admit these links and nothing else labels can tell apart."""
        ports_of: dict[Atom, set[PortNumber]] = {}
        evidence: dict[tuple[Atom, PortNumber], tuple[set[Link], Block | None]] = {}
        for who, port, found in self._atoms(direction, tuple(links)):
            atom = who.block if isinstance(who, Block) else who
            ports_of.setdefault(atom, set()).add(port)
            evidence.setdefault((atom, port), (set(), who if isinstance(who, Block) else None))[0].update(
                found
            )
        partitions = (_by_ports(ports_of), _by_peers(ports_of))
        choices = [[self._rule(namespace, *part, evidence) for part in parts] for parts in partitions]
        cheapest = min(choices, key=lambda rules: sum(rule.cost for rule in rules))
        return tuple(sorted(cheapest, key=lambda learned: (learned.rule.why, str(learned.rule.ports))))

    def peers(self, groups: Iterable[Group], namespace: str) -> tuple[Peer, ...]:
        """Peers for groups of any namespaces; one selector that holds in several namespaces is one peer."""
        spaces: dict[Selector, set[str]] = {}
        for name, cover in self._covers(groups).items():
            for selector in cover.selectors:
                spaces.setdefault(selector, set()).add(name)
        peers = []
        for selector in sorted(spaces):
            if namespace in spaces[selector]:
                peers.append(Peer(pods=selector))
            if others := spaces[selector] - {namespace}:
                peers.append(Peer(namespaces_named(others), selector))
        return tuple(peers)

    def _covers(self, groups: Iterable[Group]) -> dict[str, Cover]:
        """The cheapest selectors for groups of any namespaces, by namespace."""
        by_namespace: dict[str, set[Group]] = {}
        for group in groups:
            by_namespace.setdefault(group.namespace, set()).add(group)
        return {name: self._population.cover(members) for name, members in sorted(by_namespace.items())}

    def _atoms(
        self, direction: Direction, links: tuple[Link, ...]
    ) -> Iterator[tuple[Group | Block, PortNumber, list[Link]]]:
        """Who may stand in a rule, a port, and the evidence: groups as they are, addresses as blocks."""
        outside: dict[PortNumber, dict[str, list[Link]]] = {}
        for link in links:
            peer = link.destination if direction == "egress" else link.source
            port = (link.protocol, link.port)
            if isinstance(peer, WorkloadRef) and self.selectable(peer):
                group = self._population.group_of(peer)
                assert group is not None, "every workload off the host network is in a group"
                yield group, port, [link]
            elif isinstance(peer, Outside) and peer.address not in self._node_addresses:
                outside.setdefault(port, {}).setdefault(peer.address, []).append(link)
            elif isinstance(peer, ApiServer):
                for ip in sorted(self._api_servers | ({peer.address} if peer.address else set())):
                    yield Block(IPBlock.of(ip), (ip,), (), "the API server"), port, [link]
            elif isinstance(peer, (NodeParty, Outside)) and peer.address in self._node_addresses:
                # A node, or clients outside whose address a load balancer made a node's.
                for node in self.nodes:
                    role = "the nodes" if node.single else "the nodes (a wide block)"
                    yield Block(node, (), (), role, wide=not node.single), port, [link]
            elif isinstance(peer, NodeParty):
                yield (
                    Block(IPBlock.of(peer.address), (peer.address,), (), "an address of a node's own"),
                    port,
                    [link],
                )
        for port, by_address in outside.items():
            names = {ip: frozenset(n for link in at for n in link.names) for ip, at in by_address.items()}
            for block in blocks(names, self._many, self._own_networks):
                inside = [link for ip, at in by_address.items() if ip in block.block for link in at]
                yield block, port, inside

    def _rule(
        self,
        namespace: str,
        atoms: tuple[Atom, ...],
        ports: frozenset[PortNumber],
        evidence: Mapping[tuple[Atom, PortNumber], tuple[set[Link], Block | None]],
    ) -> LearnedRule:
        pairs = [evidence[atom, port] for atom in atoms for port in sorted(ports)]
        groups = {atom for atom in atoms if isinstance(atom, Group)}
        outside = merged(block for _, block in pairs if block is not None)
        peers = (*self.peers(groups, namespace), *(Peer(block=block.block) for block in outside))
        links = in_order({link for links, _ in pairs for link in links})
        words = [*sorted(map(str, groups)), *dict.fromkeys(block.title for block in outside)]
        family = [str(group) for cover in self._covers(groups).values() for group in cover.added]
        why = f"observed: {_some(words)}" + (
            f"; not seen, but of their family: {_some(family)}" if family else ""
        )
        return LearnedRule(Rule(peers, port_ranges(ports), why), links, tuple(b for b in outside if b.wide))


def _some(words: Sequence[str], most: int = 6) -> str:
    return ", ".join(words[:most]) + (" and others" if len(words) > most else "")


Part = tuple[tuple[Atom, ...], frozenset[PortNumber]]


def _by_ports(ports_of: Mapping[Atom, set[PortNumber]]) -> list[Part]:
    """Peers that share all their ports, together."""
    shared: dict[frozenset[PortNumber], list[Atom]] = {}
    for atom, ports in ports_of.items():
        shared.setdefault(frozenset(ports), []).append(atom)
    return [(tuple(atoms), ports) for ports, atoms in shared.items()]


def _by_peers(ports_of: Mapping[Atom, set[PortNumber]]) -> list[Part]:
    """Ports that share all their peers, together."""
    peers_of: dict[PortNumber, list[Atom]] = {}
    for atom, ports in ports_of.items():
        for port in sorted(ports):
            peers_of.setdefault(port, []).append(atom)
    shared: dict[tuple[Atom, ...], set[PortNumber]] = {}
    for port, atoms in peers_of.items():
        shared.setdefault(tuple(atoms), set()).add(port)
    return [(atoms, frozenset(ports)) for atoms, ports in shared.items()]


def port_ranges(ports: Iterable[PortNumber]) -> tuple[PortRange, ...]:
    """Port ranges in order, runs of consecutive ports as one range."""
    runs: list[list[PortNumber]] = []
    for protocol, number in sorted(set(ports)):
        if runs and runs[-1][-1] == (protocol, number - 1):
            runs[-1].append((protocol, number))
        else:
            runs.append([(protocol, number)])
    spans = [
        span
        for run in runs
        for span in ([(*run[0], run[-1][1])] if len(run) >= _RUN else [(*port, None) for port in run])
    ]
    return tuple(PortRange(protocol_of(protocol), first, last) for protocol, first, last in spans)
