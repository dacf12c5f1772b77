"""A set of workloads -> the cheapest selectors that select exactly them, checked against the whole inventory.

A selector is accepted only if no label set of any other group, of today or of an older
generation, matches it. Cost is weighted structural complexity: a requirement counts one and
a little for its key, each further value of an ``In`` a quarter, each further selector one.
Families are the one exception: where most of one was seen, its shared label stands for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final

from recommender.cluster.inventory import Inventory, Workload, WorkloadRef
from recommender.learning.families import families
from recommender.learning.groups import Group, Groups
from recommender.learning.labels import IDENTITY_KEYS, LabelRules
from recommender.policy.selector import Labels, Requirement, Selector

_MOST_REQUIREMENTS: Final = 3
_MOST_LABELS: Final = 12
_FAMILY_SEEN: Final = 3
_FAMILY_SHARE: Final = 0.7
"""How many of a family must have been seen, and how much of it, before the whole of it is admitted."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Selectors for a set of groups. ``added`` were not asked for: the rest of a family.

    ``unnameable`` were asked for, and have no labels by which they alone can be selected.
    """

    selectors: tuple[Selector, ...]
    added: tuple[Group, ...] = ()
    unnameable: tuple[Group, ...] = ()


class Population:
    """The groups of every namespace, and the selectors for any set of them.

    Workloads on the host network are in no group: no selector reaches them.
    """

    def __init__(self, inventory: Inventory, rules: LabelRules, *, use_families: bool = True) -> None:
        self._namespaces = {
            namespace: _Namespace([w for w in workloads if not w.host_network], rules, use_families)
            for namespace, workloads in inventory.workloads_in.items()
        }
        self._group_of = {
            ref: group
            for found in self._namespaces.values()
            for group in found.groups
            for ref in group.members
        }
        self._known: dict[frozenset[Group], Cover] = {}

    def group_of(self, ref: WorkloadRef) -> Group | None:
        """The group of a workload; None for one that no selector reaches."""
        return self._group_of.get(ref)

    def groups_in(self, namespace: str) -> tuple[Group, ...]:
        return self._namespaces[namespace].groups if namespace in self._namespaces else ()

    def families_in(self, namespace: str) -> tuple[frozenset[Group], ...]:
        return self._namespaces[namespace].families if namespace in self._namespaces else ()

    def cover(self, groups: Iterable[Group]) -> Cover:
        """The selectors for a set of groups of one namespace."""
        wanted = frozenset(groups)
        if wanted not in self._known:
            (namespace,) = {group.namespace for group in wanted}
            self._known[wanted] = self._namespaces[namespace].cover(wanted)
        return self._known[wanted]

    def subject(self, group: Group) -> Selector | None:
        """The selector of a policy for this group; None if it has no labels to be selected by alone.

        It is the workload's own ``spec.selector`` where that lasts and selects nothing else.
        """
        return self._namespaces[group.namespace].subject(group)


class _Namespace(Groups):
    """The covers of one namespace."""

    def __init__(self, workloads: list[Workload], rules: LabelRules, use_families: bool) -> None:
        super().__init__(workloads, rules)
        self._rules, self._use_families = rules, use_families

    @cached_property
    def families(self) -> tuple[frozenset[Group], ...]:
        if not self._use_families:
            return ()
        images = [self.members[group][0].images for group in self.groups]
        found = families([group.labels for group in self.groups], images)
        return tuple(frozenset(self.groups[n] for n in members) for members in found)

    def subject(self, group: Group) -> Selector | None:
        mine = self.bits([group])
        lasting = set(Selector.of(group.labels).requirements)
        for own in (workload.selector for workload in self.members[group]):
            if own and own.requirements and set(own.requirements) <= lasting and self.may_match(own) == mine:
                return own
        return min(self._exact(group, mine), key=self._order, default=None)

    def cover(self, wanted: frozenset[Group]) -> Cover:
        whole: dict[frozenset[Group], Selector] = {}
        for family in self.families:
            shared = self._shared(family)
            if shared and len(family & wanted) >= max(_FAMILY_SEEN, _FAMILY_SHARE * len(family)):
                whole[family] = shared
        admitted = frozenset[Group]().union(*whole)
        rest, unnameable = self._cheapest(wanted - admitted)
        added = tuple(sorted(admitted - wanted, key=lambda group: group.key))
        return Cover(tuple(sorted({*rest, *whole.values()})), added, unnameable)

    def _shared(self, family: frozenset[Group]) -> Selector | None:
        """The labels by which a whole family and nobody else is selected, if there are such."""
        target = self.bits(family)
        common = tuple(sorted(frozenset.intersection(*(frozenset(group.labels) for group in family))))
        found = [s for s in self._conjunctions(common, target) if self.may_match(s) == target]
        return min(found, key=self._order, default=None)

    def _cheapest(self, wanted: frozenset[Group]) -> tuple[list[Selector], tuple[Group, ...]]:
        """Weighted set cover: again and again the selector that costs least for each group it adds.

        Returns the selectors, and the groups that have none.
        """
        target = self.bits(wanted)
        exact = {group: self._exact(group, target) for group in sorted(wanted, key=lambda group: group.key)}
        unnameable = tuple(group for group, selectors in exact.items() if not selectors)
        candidates = {selector for selectors in exact.values() for selector in selectors}
        candidates |= set(_lists(candidates))
        covers = {selector: self.must_match(selector) for selector in sorted(candidates, key=self._order)}
        nameable = missing = target & ~self.bits(unnameable)
        chosen: list[Selector] = []
        while missing:
            best = min(
                (selector for selector in covers if covers[selector] & missing),
                key=lambda s: (1 + self._cost(s)) / (covers[s] & missing).bit_count(),
            )
            chosen.append(best)
            missing &= ~covers[best]
        for selector in sorted(chosen, key=self._order, reverse=True):
            others = 0
            for other in chosen:
                others |= covers[other] if other is not selector else 0
            if not nameable & ~others:
                chosen.remove(selector)
        return chosen, unnameable

    def _exact(self, group: Group, target: int) -> list[Selector]:
        """The shortest selectors for a group that match nothing outside ``target``."""
        return self._conjunctions(group.labels, target) or list(self._without(group, target))

    def _conjunctions(self, labels: Labels, target: int) -> list[Selector]:
        """The shortest conjunctions of these labels that match nothing outside ``target``."""
        found: list[Selector] = []
        shorter: list[frozenset[tuple[str, str]]] = []
        pairs = self._ranked(labels)
        for size in range(1, _MOST_REQUIREMENTS + 1):
            for chosen in combinations(pairs, size):
                if any(known <= set(chosen) for known in shorter):
                    continue
                selector = Selector.of(chosen)
                if not self.may_match(selector) & ~target:
                    found.append(selector)
                    shorter.append(frozenset(chosen))
        return found

    def _without(self, group: Group, target: int) -> Iterator[Selector]:
        """A selector that needs the absence of labels which only others have: the last resort."""
        pairs, mine = self._ranked(group.labels), self.bits([group])
        if not pairs:
            return
        theirs = self.may_match(Selector.of(pairs)) & ~target
        foreign = [
            key
            for key, having in sorted(self.with_key.items())
            if not having & mine and having & theirs and not self._rules.moves(key, "")
        ]
        for absent in (keys for size in (1, 2) for keys in combinations(foreign, size)):
            missing = tuple(Requirement(key, "DoesNotExist") for key in absent)
            for chosen in (c for size in range(1, _MOST_REQUIREMENTS + 1) for c in combinations(pairs, size)):
                selector = Selector((*Selector.of(chosen).requirements, *missing))
                if not self.may_match(selector) & ~target:
                    yield selector
                    return

    def _ranked(self, labels: Labels) -> list[tuple[str, str]]:
        return sorted(labels, key=lambda pair: (self._weight(pair[0]), pair))[:_MOST_LABELS]

    def _order(self, selector: Selector) -> tuple[float, Selector]:
        return (self._cost(selector), selector)

    def _cost(self, selector: Selector) -> float:
        return sum(
            1 + 0.25 * max(0, len(r.values) - 1) + self._weight(r.key) + (r.operator == "DoesNotExist") / 2
            for r in selector.requirements
        )

    def _weight(self, key: str) -> float:
        if key in self.varying:
            # It lasts here, yet another workload of the namespace shows that it can move.
            return 2.0
        if key in IDENTITY_KEYS:
            return 0.01 * IDENTITY_KEYS.index(key)
        return 0.8 if key.endswith("managed-by") or key == "heritage" else 0.3


def _lists(candidates: Iterable[Selector]) -> Iterator[Selector]:
    """Selectors that differ in one value of one key, as one selector with a list of values."""
    alike: dict[tuple[str, tuple[Requirement, ...]], set[str]] = {}
    for selector in candidates:
        for r in selector.requirements:
            if r.operator == "In":
                others = tuple(other for other in selector.requirements if other is not r)
                alike.setdefault((r.key, others), set()).update(r.values)
    for (key, others), values in alike.items():
        if len(values) > 1:
            yield Selector((Requirement(key, "In", tuple(values)), *others))
