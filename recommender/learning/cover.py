"""A set of workloads -> the cheapest selectors that select exactly them, checked against the whole inventory.

Workloads of one namespace that no lasting label tells apart (one app in two versions) are one
**group**: whatever admits one admits the other. A selector is accepted only if no label
set of any other group, of today or of an older generation, matches it. Cost is weighted
structural complexity: a requirement counts one and a little for its key, each further
value of an ``In`` a quarter, each further selector one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final

from recommender.cluster.inventory import Inventory, Workload, WorkloadRef
from recommender.learning.families import families
from recommender.learning.labels import IDENTITY_KEYS, LabelRules, varying_keys
from recommender.policy.selector import Labels, Requirement, Selector

_MOST_REQUIREMENTS: Final = 3
_MOST_LABELS: Final = 12
_FAMILY_SEEN: Final = 3
_FAMILY_SHARE: Final = 0.7
"""How many of a family must have been seen, and how much of it, before the whole of it is admitted."""


@dataclass(frozen=True, slots=True)
class Group:
    """Workloads of one namespace that selectors cannot tell apart, and the labels that last."""

    namespace: str
    members: tuple[WorkloadRef, ...]
    labels: Labels

    def __str__(self) -> str:
        return ", ".join(f"{ref.namespace}/{ref.name}" for ref in self.members)

    @property
    def key(self) -> tuple[str, tuple[WorkloadRef, ...]]:
        return (self.namespace, self.members)


@dataclass(frozen=True, slots=True)
class Cover:
    """Selectors that together select ``selected``; ``added`` were not asked for (the rest of a family).

    ``unnameable`` were asked for and have no labels by which they alone can be selected.
    """

    selectors: tuple[Selector, ...]
    added: tuple[Group, ...] = ()
    unnameable: tuple[Group, ...] = ()


class Population:
    """The groups of every namespace, and the selectors for any set of them."""

    def __init__(self, inventory: Inventory, rules: LabelRules, *, use_families: bool = True) -> None:
        self._use_families = use_families
        self._spaces: dict[str, _Space] = {}
        self._group_of: dict[WorkloadRef, Group] = {}
        for namespace, workloads in inventory.workloads_in.items():
            space = _Space(namespace, [w for w in workloads if not w.host_network], rules)
            self._spaces[namespace] = space
            self._group_of |= {ref: group for group in space.groups for ref in group.members}
        self._known: dict[frozenset[Group], Cover] = {}

    def group_of(self, ref: WorkloadRef) -> Group | None:
        """The group of a workload; None for one that no selector reaches (it is on the host network)."""
        return self._group_of.get(ref)

    def groups_in(self, namespace: str) -> tuple[Group, ...]:
        return self._spaces[namespace].groups if namespace in self._spaces else ()

    def cover(self, groups: Iterable[Group]) -> Cover:
        """The selectors for a set of groups of one namespace, the rest of a family included."""
        wanted = frozenset(groups)
        if wanted not in self._known:
            (namespace,) = {group.namespace for group in wanted}
            self._known[wanted] = self._spaces[namespace].cover(wanted, self._use_families)
        return self._known[wanted]

    def subject(self, group: Group) -> Selector | None:
        """The selector of a policy for this group: its own ``spec.selector`` where that lasts and is exact."""
        return self._spaces[group.namespace].subject(group)


class _Space:
    """One namespace: its groups, and which of them each label may match, as bits."""

    def __init__(self, namespace: str, workloads: list[Workload], rules: LabelRules) -> None:
        self.rules = rules
        stable = {w.ref: rules.stable_of(w.label_sets, w.selector) for w in workloads}
        by_labels: dict[tuple[Labels, WorkloadRef | None], list[Workload]] = {}
        for workload in workloads:
            labels = stable[workload.ref]
            by_labels.setdefault((labels, None if labels else workload.ref), []).append(workload)
        self.groups = tuple(
            sorted(
                (
                    Group(namespace, tuple(sorted(w.ref for w in same)), labels)
                    for (labels, _), same in by_labels.items()
                ),
                key=lambda group: group.key,
            )
        )
        self.number = {group: n for n, group in enumerate(self.groups)}
        self.workloads: Mapping[Group, list[Workload]] = {
            group: [w for w in workloads if w.ref in set(group.members)] for group in self.groups
        }
        self.bits: dict[tuple[str, str], int] = {}
        self.has_key: dict[str, int] = {}
        self.lacks_key: dict[str, int] = {}
        self.varying: set[str] = set()
        for group, n in self.number.items():
            for workload in self.workloads[group]:
                self.varying |= varying_keys(workload.label_sets)
                for labels in workload.label_sets:
                    for key, value in labels:
                        self.bits[key, value] = self.bits.get((key, value), 0) | 1 << n
                        self.has_key[key] = self.has_key.get(key, 0) | 1 << n
        everyone = (1 << len(self.groups)) - 1
        for key in self.has_key:
            always = 0
            for group, n in self.number.items():
                sets = [labels for w in self.workloads[group] for labels in w.label_sets]
                if sets and all(any(k == key for k, _ in labels) for labels in sets):
                    always |= 1 << n
            self.lacks_key[key] = everyone & ~always

    @cached_property
    def families(self) -> tuple[frozenset[Group], ...]:
        images = [self.workloads[group][0].images for group in self.groups]
        found = families([group.labels for group in self.groups], images)
        return tuple(frozenset(self.groups[n] for n in members) for members in found)

    def may_match(self, selector: Selector) -> int:
        """The groups any of whose label sets may match: never too few of them."""
        matching = (1 << len(self.groups)) - 1
        for r in selector.requirements:
            if r.operator == "DoesNotExist":
                matching &= self.lacks_key.get(r.key, matching)
            elif r.operator == "In":
                one_of = 0
                for value in r.values:
                    one_of |= self.bits.get((r.key, value), 0)
                matching &= one_of
            else:
                raise NotImplementedError(f"selectors are learned from In and DoesNotExist, not {r.operator}")
        return matching

    def cost(self, selector: Selector) -> float:
        total = 0.0
        for r in selector.requirements:
            total += 1 + 0.25 * max(0, len(r.values) - 1) + self._weight(r.key)
            total += 0.5 if r.operator == "DoesNotExist" else 0
        return total

    def _weight(self, key: str) -> float:
        if key in self.varying:
            # It lasts here, yet another workload of the namespace shows that it can move.
            return 2.0
        if key in IDENTITY_KEYS:
            return 0.01 * IDENTITY_KEYS.index(key)
        return 0.8 if key.endswith("managed-by") or key == "heritage" else 0.3

    def subject(self, group: Group) -> Selector | None:
        mine = 1 << self.number[group]
        for workload in self.workloads[group]:
            own = workload.selector
            if (
                own is not None
                and own.requirements
                and all(r.operator == "In" and len(r.values) == 1 for r in own.requirements)
                and all((r.key, r.values[0]) in group.labels for r in own.requirements)
                and self.may_match(own) == mine
            ):
                return own
        return min(self.exact(group, mine), key=self._order, default=None)

    def cover(self, wanted: frozenset[Group], use_families: bool) -> Cover:
        shared: dict[frozenset[Group], Selector] = {}
        for family in self.families if use_families else ():
            seen = family & wanted
            selector = self._shared(family)
            if selector and len(seen) >= max(_FAMILY_SEEN, _FAMILY_SHARE * len(family)):
                shared[family] = selector
        whole = frozenset().union(*shared)
        rest = self._greedy(wanted - whole)
        added = tuple(sorted(whole - wanted, key=lambda group: group.key))
        return Cover(tuple(sorted({*rest.selectors, *shared.values()})), added, rest.unnameable)

    def _shared(self, family: frozenset[Group]) -> Selector | None:
        """The labels by which a whole family and nobody else is selected, if there are such."""
        target = sum(1 << self.number[group] for group in family)
        common = set.intersection(*(set(group.labels) for group in family))
        found = self._conjunctions(tuple(sorted(common)), target)
        return min((s for s in found if self.may_match(s) == target), key=self._order, default=None)

    def _order(self, selector: Selector) -> tuple[float, Selector]:
        return (self.cost(selector), selector)

    def _greedy(self, wanted: frozenset[Group]) -> Cover:
        """Weighted set cover: again and again the selector that costs least for each group it adds."""
        target = sum(1 << self.number[group] for group in wanted)
        candidates: dict[Selector, int] = {}
        unnameable = []
        for group in sorted(wanted, key=lambda group: group.key):
            found = self.exact(group, target)
            if not found:
                unnameable.append(group)
            for selector in found:
                candidates[selector] = self.may_match(selector)
        nameable = target & ~sum(1 << self.number[group] for group in unnameable)
        if nameable.bit_count() > 1:
            for selector in self._lists(candidates):
                candidates[selector] = self.may_match(selector)
        ranked = sorted(candidates, key=self._order)
        chosen, missing = [], nameable
        while missing:
            best = min(
                (s for s in ranked if candidates[s] & missing),
                key=lambda s: (1 + self.cost(s)) / (candidates[s] & missing).bit_count(),
            )
            chosen.append(best)
            missing &= ~candidates[best]
        for selector in sorted(chosen, key=self._order, reverse=True):
            others = 0
            for other in chosen:
                others |= candidates[other] if other is not selector else 0
            if not nameable & ~others:
                chosen.remove(selector)
        return Cover(tuple(sorted(chosen)), (), tuple(unnameable))

    def exact(self, group: Group, target: int) -> list[Selector]:
        """The shortest selectors for a group that match nothing outside ``target``."""
        return self._conjunctions(group.labels, target) or list(self._without(group, target))

    def _ranked(self, labels: Labels) -> list[tuple[str, str]]:
        return sorted(labels, key=lambda pair: (self._weight(pair[0]), pair))[:_MOST_LABELS]

    def _conjunctions(self, labels: Labels, target: int) -> list[Selector]:
        """The shortest conjunctions of these labels that match nothing outside ``target``."""
        pairs = self._ranked(labels)
        found: list[frozenset[tuple[str, str]]] = []
        for size in range(1, _MOST_REQUIREMENTS + 1):
            for chosen in combinations(pairs, size):
                if any(shorter <= set(chosen) for shorter in found):
                    continue
                matching = -1
                for pair in chosen:
                    matching &= self.bits[pair]
                if not matching & ~target:
                    found.append(frozenset(chosen))
        return [Selector.of(chosen) for chosen in found]

    def _without(self, group: Group, target: int) -> Iterator[Selector]:
        """Selectors that need the absence of labels which only others have: the last resort."""
        pairs = self._ranked(group.labels)
        if not pairs:
            return
        everything = Selector.of(pairs)
        theirs = self.may_match(everything) & ~target
        own = self.number[group]
        foreign = [
            key
            for key in sorted(self.has_key)
            if not self.has_key[key] >> own & 1
            and not self.rules.moves(key, "")
            and self.has_key[key] & theirs
        ]
        for size in (1, 2):
            for keys in combinations(foreign, size):
                absent = tuple(Requirement(key, "DoesNotExist") for key in keys)
                for count in range(1, _MOST_REQUIREMENTS + 1):
                    for chosen in combinations(pairs, count):
                        selector = Selector((*Selector.of(chosen).requirements, *absent))
                        if not self.may_match(selector) & ~target:
                            yield selector
                            return

    def _lists(self, candidates: Mapping[Selector, int]) -> Iterator[Selector]:
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
