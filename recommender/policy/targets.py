"""What policies point at, as numbers: a selector of pods in some namespaces, or a block of addresses.

All who point at the same share its number, and what is asked of a pod or an address is
answered with numbers, so that holding one against the other is a look-up. Selectors and blocks
are read by ``Selector.matches`` and ``IPBlock.spans`` alone; what is here only keeps the number
of questions small.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from recommender.policy.model import AddressKey, IPBlock, address_key
from recommender.policy.selector import NAMESPACE_NAME, Labels, Selector

T = TypeVar("T")


class Targets:
    """What policies point at, numbered; and the numbers that point at a pod, or at an address.

    Number everything first, ask afterwards: the first question files what there is by then.
    """

    def __init__(self, namespaces: Mapping[str, Labels]) -> None:
        self._namespaces = namespaces
        self._pods: dict[Selector, dict[Selector, int]] = {}
        self._blocks: dict[IPBlock, int] = {}
        self._count = 0
        self._near: dict[str, tuple[Filed[int], ...]] = {}
        self._in_segment: dict[int, frozenset[int]] = {}

    def pods(self, namespaces: Selector, pods: Selector) -> int:
        """The number of "these pods in these namespaces"."""
        return self._number(self._pods.setdefault(namespaces, {}), pods)

    def block(self, block: IPBlock) -> int:
        """The number of a block of addresses."""
        return self._number(self._blocks, block)

    def _number(self, known: dict[T, int], item: T) -> int:
        if item not in known:
            known[item] = self._count
            self._count += 1
        return known[item]

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> Iterator[int]:
        """The numbers that point at pods with these labels in this namespace."""
        if namespace not in self._near:
            named = {**dict(self._namespaces.get(namespace, ())), NAMESPACE_NAME: namespace}
            self._near[namespace] = tuple(self._filed.matching(named))
        for pods in self._near[namespace]:
            yield from pods.matching(labels)

    def at(self, addresses: Iterable[str]) -> frozenset[int]:
        """The numbers of the blocks that hold any of these addresses."""
        keys = [key for key in map(address_key, addresses) if key is not None]
        return frozenset[int]().union(*map(self._holding, keys))

    def _holding(self, key: AddressKey) -> frozenset[int]:
        segment = bisect_right(self._cuts, key)
        if segment not in self._in_segment:
            self._in_segment[segment] = frozenset(
                number
                for block, number in self._blocks.items()
                if any(first <= key <= last for first, last in block.spans)
            )
        return self._in_segment[segment]

    @cached_property
    def _filed(self) -> Filed[Filed[int]]:
        return Filed({namespaces: Filed(pods) for namespaces, pods in self._pods.items()})

    @cached_property
    def _cuts(self) -> list[AddressKey]:
        """Where a block begins or has ended: between two neighbours all addresses are in the same blocks."""
        spans = [span for block in self._blocks for span in block.spans]
        return sorted({first for first, _ in spans} | {(version, last + 1) for _, (version, last) in spans})


class Filed(Generic[T]):
    """Values by selector, filed under a label each needs, so that labels are tried on few of them."""

    def __init__(self, items: Mapping[Selector, T]) -> None:
        self._by_label: dict[tuple[str, str], list[tuple[Selector, T]]] = {}
        self._anywhere: list[tuple[Selector, T]] = []
        needs = [[r for r in selector.requirements if r.operator == "In"] for selector in items]
        common = Counter((r.key, value) for needed in needs for r in needed for value in r.values)
        for item, needed in zip(items.items(), needs, strict=True):
            if not needed:
                self._anywhere.append(item)
                continue
            rarest = min(needed, key=lambda r: sum(common[r.key, value] for value in r.values))
            for value in rarest.values:
                self._by_label.setdefault((rarest.key, value), []).append(item)

    def matching(self, labels: Mapping[str, str]) -> Iterator[T]:
        """The values of the selectors that match these labels, each once."""
        for label in labels.items():
            for selector, value in self._by_label.get(label, ()):
                if selector.matches(labels):
                    yield value
        for selector, value in self._anywhere:
            if selector.matches(labels):
                yield value
