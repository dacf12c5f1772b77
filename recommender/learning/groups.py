"""Workloads that no lasting label tells apart, as groups; and which groups a selector matches.

A group is what a selector can mean: one app in two versions is one group, since whatever
admits one of them admits the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from recommender.cluster.inventory import Workload, WorkloadRef
from recommender.learning.labels import LabelRules, varying_keys
from recommender.policy.selector import Labels, Selector

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Group:
    """Workloads of one namespace that selectors cannot tell apart, and the labels that last."""

    namespace: str
    members: tuple[WorkloadRef, ...]
    labels: Labels

    @property
    def key(self) -> tuple[str, tuple[WorkloadRef, ...]]:
        """What groups are sorted by."""
        return (self.namespace, self.members)

    def __str__(self) -> str:
        return ", ".join(f"{ref.namespace}/{ref.name}" for ref in self.members)


class Groups:
    """The groups of one namespace. Sets of them are numbers: bit n stands for ``groups[n]``.

    Every label set counts, of pods that run and of older generations. A group *may* match a
    selector if one of its label sets does, and *must* if all do: exactness is a question of
    the first, completeness of the second.
    """

    def __init__(self, workloads: Iterable[Workload], rules: LabelRules) -> None:
        alike: dict[tuple[Labels, WorkloadRef | None], list[Workload]] = {}
        for workload in sorted(workloads, key=lambda workload: workload.ref):
            labels = rules.stable_of(workload.label_sets, workload.selector)
            # Without a lasting label it cannot be named; that does not make two of them one.
            alike.setdefault((labels, None if labels else workload.ref), []).append(workload)
        self.members: dict[Group, tuple[Workload, ...]] = {
            Group(same[0].ref.namespace, tuple(w.ref for w in same), labels): tuple(same)
            for (labels, _), same in alike.items()
        }
        self.groups = tuple(sorted(self.members, key=lambda group: group.key))
        self.varying: frozenset[str] = frozenset().union(
            *(varying_keys(workload.label_sets) for same in alike.values() for workload in same)
        )
        self._number = {group: number for number, group in enumerate(self.groups)}
        sets = [[set(labels) for w in self.members[g] for labels in w.label_sets] for g in self.groups]
        keys = [[{key for key, _ in labels} for labels in of_group] for of_group in sets]
        self._some, self._every = _bits(map(_union, sets)), _bits(map(_intersection, sets))
        self.with_key, self._always_with_key = _bits(map(_union, keys)), _bits(map(_intersection, keys))

    def bits(self, groups: Iterable[Group]) -> int:
        return sum(1 << self._number[group] for group in groups)

    def may_match(self, selector: Selector) -> int:
        """The groups of which a label set matches, never too few of them."""
        return self._match(selector, self._some, self._always_with_key)

    def must_match(self, selector: Selector) -> int:
        """The groups of which every label set matches, never too many of them."""
        return self._match(selector, self._every, self.with_key)

    def _match(
        self, selector: Selector, having: Mapping[tuple[str, str], int], not_lacking: Mapping[str, int]
    ) -> int:
        everyone = matching = (1 << len(self.groups)) - 1
        for r in selector.requirements:
            if r.operator == "DoesNotExist":
                matching &= everyone & ~not_lacking.get(r.key, 0)
            else:
                assert r.operator == "In", "selectors are learned from In and DoesNotExist alone"
                one_of = 0
                for value in r.values:
                    one_of |= having.get((r.key, value), 0)
                matching &= one_of
        return matching


def _union(sets: list[set[T]]) -> set[T]:
    return set().union(*sets)


def _intersection(sets: list[set[T]]) -> set[T]:
    return set.intersection(*sets) if sets else set()


def _bits(by_group: Iterable[set[T]]) -> dict[T, int]:
    """For each item the groups that have it."""
    found: dict[T, int] = {}
    for number, items in enumerate(by_group):
        for item in items:
            found[item] = found.get(item, 0) | 1 << number
    return found
