"""Evidence -> policies.

Each protected namespace gets one ``default-deny``, one ``allow-infra-egress`` for what the
contract always admits, and a policy for each group of workloads that was seen talking. A
connection is learned whole or not at all: where one of its protected ends cannot be named,
it is set aside, and says why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from recommender.cluster.inventory import Inventory, WorkloadRef
from recommender.errors import OptionError
from recommender.learning.contract import SYSTEM_NAMESPACES, Infrastructure, Place
from recommender.learning.cover import Population
from recommender.learning.groups import Group
from recommender.learning.names import policy_names
from recommender.learning.outside import Block
from recommender.learning.parties import Decision, Link, Outside, Party, in_order
from recommender.learning.rules import LearnedRule, RuleMaker, port_ranges
from recommender.options import Options
from recommender.policy.model import DIRECTIONS, Direction, IPBlock, Peer, Policy, Rule
from recommender.policy.selector import EVERYTHING, Selector, namespaces_named

MANAGED_BY: Final = ("app.kubernetes.io/managed-by", "zt-recommend")
OPT_OUT: Final = "zt-recommend.io/protect"
DEFAULT_DENY: Final = "default-deny"
INFRA: Final = "allow-infra-egress"

RuleId = tuple[str, str, Direction, int]
"""Namespace and name of the policy, direction, position of the rule."""


@dataclass(frozen=True)
class Learned:
    """The policies, and what each of their rules stands on.

    ``links`` are all that were learned; ``decisions`` tell of those that could not be.
    ``evidence`` and ``wide`` (blocks that hold more than was seen) are by rule.
    ``warnings`` are for the reviewer to know before merging.
    """

    policies: tuple[Policy, ...]
    evidence: Mapping[RuleId, tuple[Link, ...]]
    wide: Mapping[RuleId, tuple[Block, ...]]
    links: tuple[Link, ...]
    decisions: tuple[Decision, ...]
    protected: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def protected_namespaces(inventory: Inventory, options: Options) -> tuple[str, ...]:
    """The namespaces to write policies for.

    Raises:
        OptionError: a namespace was named that neither the snapshot nor the flows know.
    """
    known = {ref.namespace for ref in inventory.workloads}
    if options.namespaces:
        unknown = sorted(set(options.namespaces) - known - set(inventory.namespaces))
        if unknown:
            raise OptionError(
                f"namespace {unknown[0]!r} is neither in the snapshot nor in the flows; "
                f"known are {', '.join(sorted(known)) or 'none'}"
            )
        return tuple(sorted(set(options.namespaces)))
    annotated = {n.name for n in inventory.namespaces.values() if dict(n.annotations).get(OPT_OUT) == "false"}
    return tuple(sorted(known - set(SYSTEM_NAMESPACES) - set(options.exclude) - annotated))


def learn(
    links: Iterable[Link],
    inventory: Inventory,
    population: Population,
    infrastructure: tuple[Infrastructure, ...],
    options: Options,
) -> Learned:
    """The policies that admit ``links`` and the contract, and as little else as labels allow."""
    return _Learner(inventory, population, infrastructure, options, in_order(links)).learned()


class _Learner:
    def __init__(
        self,
        inventory: Inventory,
        population: Population,
        infrastructure: tuple[Infrastructure, ...],
        options: Options,
        links: tuple[Link, ...],
    ) -> None:
        self.inventory, self.population = inventory, population
        self.infrastructure = infrastructure
        self.always = [infra for infra in infrastructure if infra.destination.when == "always"]
        self.protected = protected_namespaces(inventory, options)
        self.maker = RuleMaker(inventory, population, links, options.many_addresses)
        self.links = links
        self.taken = {p.key for p in inventory.policies if MANAGED_BY not in p.labels}
        self.renamed: list[str] = []
        self.made: list[tuple[Policy, Mapping[Direction, tuple[LearnedRule, ...]]]] = []

    def learned(self) -> Learned:
        learnable: list[Link] = []
        refusals: dict[tuple[str, str], list[Link]] = {}
        for link in self.links:
            why = self._why_not(link)
            if why is None:
                learnable.append(link)
            else:
                refusals.setdefault(why, []).append(link)
        for namespace in self.protected:
            self._make(namespace, DEFAULT_DENY, EVERYTHING, {"ingress": (), "egress": ()})
            if rules := self._infra(namespace, learnable):
                self._make(namespace, INFRA, EVERYTHING, {"egress": rules})
        self._workloads(learnable)
        self.made.sort(key=lambda made: made[0].key)
        by_rule = {
            (*policy.key, direction, position): rule
            for policy, sides in self.made
            for direction, rules in sides.items()
            for position, rule in enumerate(rules)
        }
        return Learned(
            policies=tuple(policy for policy, _ in self.made),
            evidence={rule_id: rule.links for rule_id, rule in by_rule.items()},
            wide={rule_id: rule.wide for rule_id, rule in by_rule.items() if rule.wide},
            links=tuple(learnable),
            decisions=tuple(Decision(*why, in_order(found)) for why, found in sorted(refusals.items())),
            protected=self.protected,
            warnings=tuple(self._warnings()),
        )

    def _is_subject(self, party: Party) -> bool:
        return (
            isinstance(party, WorkloadRef)
            and party.namespace in self.protected
            and self.maker.selectable(party)
        )

    def _group(self, party: Party) -> Group | None:
        return self.population.group_of(party) if isinstance(party, WorkloadRef) else None

    def _nameable(self, party: Party) -> bool:
        group = self._group(party)
        return group is not None and self.population.subject(group) is not None

    def _why_not(self, link: Link) -> tuple[str, str] | None:
        """(action, reason) for a link that no policy here can admit, or need not."""
        ends = (link.source, link.destination)
        if not any(self._is_subject(party) for party in ends):
            return ("not needed", "neither end is a pod in a protected namespace")
        for infra in self.infrastructure:
            if infra.destination.when == "never" and infra.concerns(link):
                return ("set aside", f"the contract says never: {infra.title}")
        everybody_may = any(infra.admits(link) for infra in self.always)
        for party in ends:
            if party == link.source and everybody_may:
                continue
            if isinstance(party, WorkloadRef) and self.maker.selectable(party) and not self._nameable(party):
                name = f"{party.namespace}/{party.name}"
                return (
                    "inexpressible",
                    f"no lasting label selects {name} and nothing else: give its pods one, or name one "
                    "that looks as if it moved under labels.stable in the configuration",
                )
            if isinstance(party, Outside) and not party.address:
                return ("unattributed", "an outside address is not known")
        return None

    def _make(
        self,
        namespace: str,
        name: str,
        subjects: Selector,
        sides: Mapping[Direction, tuple[LearnedRule, ...]],
    ) -> None:
        plain = name
        while (namespace, name) in self.taken:
            # It is somebody else's; applying ours under its name would overwrite it.
            name += "-learned"
        if name != plain:
            self.renamed.append(f"{namespace}/{name} is called so because {plain} is somebody else's policy")
        rules = {d: tuple(each.rule for each in sides[d]) if d in sides else None for d in DIRECTIONS}
        policy = Policy(namespace, name, subjects, rules["ingress"], rules["egress"], (MANAGED_BY,))
        self.made.append((policy, sides))

    def _infra(self, namespace: str, links: list[Link]) -> tuple[LearnedRule, ...]:
        """What every pod of the namespace may reach, seen or not."""
        mine = [
            link
            for link in links
            if isinstance(link.source, WorkloadRef) and link.source.namespace == namespace
        ]
        rules = []
        for infra in self.always:
            for place in infra.places:
                peers = [*self.maker.peers(self._groups_of(place.workloads), namespace)]
                if infra.assumed and infra.destination.name == "dns" and not place.addresses:
                    peers.append(
                        Peer(namespaces_named(["kube-system"]), Selector.of({"k8s-app": "kube-dns"}))
                    )
                if any(not self.maker.selectable(ref) for ref in place.workloads):
                    peers += [Peer(block=block) for block in self.maker.nodes]
                peers += [Peer(block=IPBlock(address)) for address in place.addresses]
                if peers:
                    rules.append(_mandatory(infra, place, tuple(peers), filter(place.has, mine)))
        return tuple(rules)

    def _groups_of(self, workloads: Iterable[WorkloadRef]) -> set[Group]:
        return {group for ref in workloads if self._nameable(ref) and (group := self._group(ref))}

    def _workloads(self, links: list[Link]) -> None:
        """A policy for each group that talks, and for each that everybody must be able to reach."""
        sides: dict[Group, dict[Direction, list[Link]]] = {}
        for link in (*links, *self._dns_besides(links)):
            if self._is_subject(link.source) and not any(infra.admits(link) for infra in self.always):
                self._side(sides, link.source, "egress").append(link)
            if self._is_subject(link.destination):
                self._side(sides, link.destination, "ingress").append(link)
        for infra in self.always:
            for ref in infra.workloads:
                if self._is_subject(ref) and self._nameable(ref):
                    self._side(sides, ref, "ingress")
        subjects = {group: s for group in sides if (s := self.population.subject(group)) is not None}
        names = policy_names(subjects, (DEFAULT_DENY, INFRA))
        for group in sorted(sides, key=lambda group: group.key):
            found = {d: self._rules(group, d, sides[group][d]) for d in DIRECTIONS if d in sides[group]}
            self._make(group.namespace, names[group], subjects[group], {d: r for d, r in found.items() if r})

    def _dns_besides(self, links: list[Link]) -> Iterable[Link]:
        """Questions over the other protocol: a server answers what is too long for UDP over TCP."""
        seen = {link.key for link in links}
        for infra in self.infrastructure:
            if infra.destination.name == "dns" and infra.destination.when == "observed":
                for link in filter(infra.admits, links):
                    other = "TCP" if link.protocol == "UDP" else "UDP"
                    besides = Link(link.source, link.destination, other, link.port)
                    if besides.key not in seen:
                        yield besides

    def _side(
        self, sides: dict[Group, dict[Direction, list[Link]]], party: Party, direction: Direction
    ) -> list[Link]:
        group = self._group(party)
        assert group is not None, "links of workloads without a selector were set aside"
        return sides.setdefault(group, {}).setdefault(direction, [])

    def _rules(self, group: Group, direction: Direction, links: list[Link]) -> tuple[LearnedRule, ...]:
        """The rules of one side: first, at what everybody must reach, everybody."""
        mandatory = []
        for infra, place in ((i, p) for i in self.always for p in i.places):
            if direction == "ingress" and set(place.workloads) & set(group.members):
                covered = [link for link in links if isinstance(link.source, WorkloadRef) and place.has(link)]
                links = [link for link in links if link not in covered]
                mandatory.append(_mandatory(infra, place, (Peer(namespaces=EVERYTHING),), covered))
        return (*mandatory, *self.maker.rules(group.namespace, direction, links))

    def _warnings(self) -> Iterable[str]:
        groups = [group for namespace in self.protected for group in self.population.groups_in(namespace)]
        nameless = [str(group) for group in groups if self.population.subject(group) is None]
        if nameless:
            yield (
                f"{len(nameless)} workloads have no lasting label of their own, so default deny is all that can be "
                f"written for them: {', '.join(nameless[:10])}{' and others' if len(nameless) > 10 else ''}"
            )
        for infra in self.always:
            if infra.assumed:
                yield f"{infra.title}: {infra.assumed}"
        yield from self.renamed


def _mandatory(
    infra: Infrastructure, place: Place, peers: tuple[Peer, ...], links: Iterable[Link]
) -> LearnedRule:
    return LearnedRule(Rule(peers, port_ranges(place.ports), f"mandatory: {infra.title}"), in_order(links))


def replaced(
    policies: Iterable[Policy], protected: Collection[str]
) -> tuple[tuple[Policy, ...], tuple[Policy, ...]]:
    """(policies that a proposal takes the place of, those that stay): ours where it protects, and all others."""
    every = tuple(policies)
    ours = tuple(p for p in every if MANAGED_BY in p.labels and p.namespace in protected)
    return ours, tuple(p for p in every if p not in ours)
