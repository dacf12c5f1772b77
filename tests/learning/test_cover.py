"""Selectors that select exactly the workloads asked for, and the families that may be more."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.cluster.inventory import Inventory, Workload, WorkloadRef
from recommender.learning.cover import Population
from recommender.learning.labels import LabelRules
from recommender.policy.selector import Selector, labels_of


def population(
    workloads: Mapping[str, object], *, images: Mapping[str, str] | None = None, use_families: bool = True
) -> Population:
    """Workloads of the namespace ``shop``: name -> labels, or a list of label sets (pods, generations)."""
    made = {}
    for name, labels in workloads.items():
        sets = labels if isinstance(labels, list) else [labels]
        ref = WorkloadRef("shop", "Deployment", name)
        made[ref] = Workload(
            ref, tuple(labels_of(each) for each in sets), images=((images or {}).get(name, name),)
        )
    return Population(Inventory(workloads=made), LabelRules(), use_families=use_families)


def cover(found: Population, *names: str) -> tuple[set[str], set[str]]:
    """(selectors as text, names of what is added)"""
    groups = [found.group_of(WorkloadRef("shop", "Deployment", name)) for name in names]
    result = found.cover([group for group in groups if group is not None])
    assert not result.unnameable
    return {str(s) for s in result.selectors}, {ref.name for group in result.added for ref in group.members}


CASES = {
    "one label is enough": (
        {"web": {"app": "web", "tier": "front"}, "db": {"app": "db", "tier": "back"}},
        ["web"],
        {"app=web"},
    ),
    "a shared label is never used for a part of those who share it": (
        {n: {"part-of": "shop", "app": n} for n in ("web", "cart", "db")},
        ["web", "cart"],
        {"app in (cart, web)"},
    ),
    "two by name rather than by a label that a third may get": (
        {n: {"app": n, "tier": t} for n, t in [("web", "front"), ("cart", "front"), ("db", "back")]},
        ["web", "cart"],
        {"app in (cart, web)"},
    ),
    "many by the label that they share and nobody else has": (
        {**{n: {"app": n, "tier": "front"} for n in "abcde"}, "db": {"app": "db", "tier": "back"}},
        list("abcde"),
        {"tier=front"},
    ),
    "two labels together, where neither is enough": (
        {
            "web-api": {"app": "web", "component": "api"},
            "web-ui": {"app": "web", "component": "ui"},
            "db-api": {"app": "db", "component": "api"},
        },
        ["web-api"],
        {"app=web, component=api"},
    ),
    "a label that others have and this one lacks": (
        {"web": {"app": "web"}, "web-admin": {"app": "web", "area": "admin"}},
        ["web"],
        {"app=web, no area"},
    ),
    "a version moves, so it does not tell two apart": (
        {"a": {"app": "a", "version": "v1"}, "b": {"app": "b", "version": "v1"}},
        ["a"],
        {"app=a"},
    ),
    "a key that differs between pods of the workload is not used": (
        {"db": [{"app": "db", "role": "primary"}, {"app": "db", "role": "replica"}], "x": {"app": "x"}},
        ["db"],
        {"app=db"},
    ),
    "an older generation of another workload still counts": (
        {"web": {"app": "web", "t": "x"}, "old": [{"app": "old", "t": "y"}, {"app": "old", "t": "x"}]},
        ["web"],
        {"app=web"},
    ),
    "a key that moves elsewhere is the last choice": (
        {"db": [{"app": "db", "role": "a"}, {"app": "db", "role": "b"}], "api": {"role": "api", "team": "t"}},
        ["api"],
        {"team=t"},
    ),
}


@pytest.mark.parametrize(("workloads", "wanted", "expected"), CASES.values(), ids=CASES)
def test_cheapest_exact_selectors(
    workloads: Mapping[str, object], wanted: list[str], expected: set[str]
) -> None:
    assert cover(population(workloads), *wanted) == (expected, set())


def test_one_app_in_two_versions_is_one_group() -> None:
    found = population({"web-v1": {"app": "web", "version": "v1"}, "web-v2": {"app": "web", "version": "v2"}})
    one, other = (found.group_of(WorkloadRef("shop", "Deployment", n)) for n in ("web-v1", "web-v2"))
    assert one == other
    assert cover(found, "web-v1") == ({"app=web"}, set())


def test_a_workload_without_lasting_labels_cannot_be_named() -> None:
    found = population({"bare": {}, "build": {"build": "4711"}, "web": {"app": "web"}})
    for name in ("bare", "build"):
        group = found.group_of(WorkloadRef("shop", "Deployment", name))
        assert group is not None
        assert found.subject(group) is None
        assert found.cover([group]).unnameable == (group,)


TENANTS = {f"worker-{t}": {"app": "worker", "tenant": t} for t in "abcdefghijkl"}


def test_most_of_a_family_stands_for_all_of_it() -> None:
    found = population({**TENANTS, "web": {"app": "web"}}, images=dict.fromkeys(TENANTS, "worker"))
    nine = list(TENANTS)[:9]
    assert cover(found, *nine) == ({"app=worker"}, set(TENANTS) - set(nine))
    assert cover(found, "web", *nine)[0] == {"app=worker", "app=web"}


@pytest.mark.parametrize(
    ("names", "images", "use_families"),
    [
        pytest.param(list(TENANTS)[:8], "worker", True, id="too few of them were seen"),
        pytest.param(list(TENANTS)[:9], "worker", False, id="families are switched off"),
        pytest.param(list(TENANTS)[:9], "", True, id="they run different images"),
    ],
)
def test_otherwise_a_family_is_a_list(names: list[str], images: str, use_families: bool) -> None:
    same = dict.fromkeys(TENANTS, images) if images else None
    found = population({**TENANTS, "web": {"app": "web"}}, images=same, use_families=use_families)
    selectors, added = cover(found, *names)
    assert not added
    assert selectors == {f"tenant in ({', '.join(sorted(TENANTS[n]['tenant'] for n in names))})"}


def test_components_of_one_product_are_no_family_even_with_one_image() -> None:
    parts = {n: {"app": n, "tier": "back", "part-of": "shop"} for n in ("cart", "catalog", "pay", "ship")}
    found = population({**parts, "web": {"app": "web"}}, images=dict.fromkeys(parts, "monolith"))
    assert cover(found, "cart", "catalog", "pay") == ({"app in (cart, catalog, pay)"}, set())


def test_a_tenant_in_the_name_of_the_program_does_not_hide_the_family() -> None:
    workers = {
        f"worker-{t}": {"app": f"worker-{t}", "component": "worker", "tenant": t}
        for t in ("ash", "elm", "fir", "oak")
    }
    found = population({**workers, "web": {"app": "web"}}, images=dict.fromkeys(workers, "worker"))
    assert cover(found, "worker-ash", "worker-elm", "worker-fir") == ({"component=worker"}, {"worker-oak"})


label_sets = st.dictionaries(
    st.sampled_from(["app", "tier", "team", "area"]), st.sampled_from(["p", "q", "r"]), max_size=4
)


@given(st.lists(st.lists(label_sets, min_size=1, max_size=2), min_size=1, max_size=7), st.data())
def test_a_cover_selects_all_that_was_asked_for_and_nobody_else(
    workloads: list[list[dict[str, str]]], data: st.DataObject
) -> None:
    found = population({f"w{n}": sets for n, sets in enumerate(workloads)}, use_families=False)
    groups = found.groups_in("shop")
    wanted = data.draw(st.sets(st.sampled_from(groups), min_size=1))
    result = found.cover(wanted)
    named = wanted - set(result.unnameable)
    for number, sets in enumerate(workloads):
        group = found.group_of(WorkloadRef("shop", "Deployment", f"w{number}"))
        for labels in sets:
            selected = any(selector.matches(labels) for selector in result.selectors)
            if group in named:
                assert selected
            elif group not in wanted:
                assert not selected
    for selector in result.selectors:
        assert selector != Selector(), "the selector for everything is never learned"
