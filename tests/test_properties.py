"""What must hold for any cluster and any traffic."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.cluster.inventory import WorkloadRef
from recommender.learning.labels import IDENTITY_KEYS, moves_by_name, moves_by_shape
from recommender.policy.judge import Judge
from recommender.policy.manifest import load
from recommender.recommend import Recommendation, recommend
from recommender.review.admitted import Residents, beyond_evidence
from recommender.review.replay import replay
from scene import Scene

NAMES = ("web", "cart", "db", "pay", "worker")
ADDRESSES = ("93.184.216.34", "198.51.100.7", "10.99.0.1", "2606:4700::1", "169.254.169.254")


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A few workloads in two namespaces, with labels that overlap, move and are missing; and what they say."""
    scene = Scene()
    spaces = [f"{namespace}/{name}" for namespace in ("one", "two") for name in NAMES]
    workloads = draw(st.lists(st.sampled_from(spaces), min_size=2, max_size=6, unique=True))
    for name in workloads:
        labels = draw(
            st.dictionaries(
                st.sampled_from(("app", "tier", "team", "version", "helm.sh/chart")),
                st.sampled_from(("a", "b", "v1", "x-1.2.3")),
                max_size=4,
            )
        )
        own = draw(st.sampled_from([None, {k: v for k, v in labels.items() if k == "app"} or None]))
        pods = draw(st.integers(1, 2))
        moving = [{"pod-template-hash": f"7848d6c4{n}5"} for n in range(pods)]
        scene.workload(name, labels, pods=pods, selector=own, per_pod=moving)
    ends = st.sampled_from([*workloads, "kube-system/coredns", *(f"ip:{ip}" for ip in ADDRESSES)])
    for _ in range(draw(st.integers(1, 8))):
        source, destination = draw(ends), draw(ends)
        port = draw(st.sampled_from((53, 80, 443, 5432, 8080)))
        protocol = draw(st.sampled_from(("TCP", "UDP", "SCTP")))
        answered = draw(st.sampled_from((True, True, None, False)))
        scene.talk(source, destination, port, protocol, answered=answered, hour=draw(st.integers(0, 20)))
    return scene


many = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@many
@given(scenes())
def test_the_yaml_read_back_admits_all_that_was_learned(scene: Scene) -> None:
    found = scene.recommend()  # raises if it does not: this asks again, from the text alone
    judge = Judge(load(found.yaml), found.inventory.namespace_labels())
    assert replay(judge, ()) == ()
    assert found.replayed >= len({link.key for link in found.links})


@many
@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(scene: Scene, chance: random.Random) -> None:
    edges, inventory = scene.edges(), scene.inventory()
    order = list(range(len(edges)))
    chance.shuffle(order)
    refs = list(inventory.workloads)
    chance.shuffle(refs)
    shuffled = replace(
        inventory,
        workloads={ref: inventory.workloads[ref] for ref in refs},
        pods=tuple(chance.sample(inventory.pods, len(inventory.pods))),
    )
    one, other = recommend(edges, inventory), recommend(edges.iloc[order], shuffled)
    assert one.yaml == other.yaml
    assert one.changes == other.changes
    assert one.decisions == other.decisions
    assert one.widened == other.widened


@many
@given(scenes())
def test_no_selector_uses_a_label_that_moves(scene: Scene) -> None:
    found = scene.recommend()
    for policy in found.policies:
        peers = [p for rule in (*(policy.ingress or ()), *(policy.egress or ())) for p in rule.peers or ()]
        for selector in (policy.subjects, *(peer.pod_selector for peer in peers)):
            for requirement in selector.requirements:
                assert not moves_by_name(requirement.key)
                # In a workload's own selector, what the program is called may look like a version.
                if requirement.key not in IDENTITY_KEYS:
                    assert not any(moves_by_shape(value) for value in requirement.values)


def pairs_admitted(found: Recommendation) -> set[tuple[str, WorkloadRef, WorkloadRef]]:
    """(direction, subject, peer) of every pair of workloads that a rule that is not mandatory admits."""
    judge = Judge(found.policies, found.inventory.namespace_labels())
    residents = Residents(found.inventory)
    return {
        (direction, subject, peer)
        for direction in ("ingress", "egress")
        for grant in judge.grants(residents.of, direction)  # type: ignore[arg-type]
        if not grant.rule.why.startswith("mandatory")
        for subject in residents.named(grant.subjects)
        for peer in residents.named(grant.peers or ())
    }


@many
@given(scenes())
def test_what_is_admitted_beyond_the_evidence_is_exactly_what_is_named(scene: Scene) -> None:
    found = scene.recommend()
    seen = {("egress", link.source, link.destination) for link in found.links}
    seen |= {("ingress", link.destination, link.source) for link in found.links}
    beyond = {
        (d, f"{s.namespace}/{s.name}", f"{p.namespace}/{p.name}") for d, s, p in pairs_admitted(found) - seen
    }
    named = {
        (line.direction, subject, peer)
        for line in found.widened
        if not line.why.startswith("mandatory")
        for subject in line.subjects
        for peer in line.peers
    }
    assert beyond <= named
    assert found.widened == beyond_evidence(
        Judge(found.policies, found.inventory.namespace_labels()), Residents(found.inventory), found.links
    )


@many
@given(scenes())
def test_a_second_run_on_its_own_policies_changes_nothing(scene: Scene) -> None:
    first = scene.recommend()
    scene.policies = list(first.policies)
    second = scene.recommend()
    assert second.yaml == first.yaml
    assert not second.kept_open
    assert {change.kind for change in second.changes} <= {"still allowed", "still refused"}


@pytest.mark.parametrize("families", [True, False])
@many
@given(scene=scenes())
def test_nobody_is_admitted_who_looks_like_nobody_seen(families: bool, scene: Scene) -> None:
    """A workload with labels of its own in a namespace of its own is never a peer."""
    scene.workload("three/stranger", {"app": "a", "tier": "a", "team": "a"})
    found = scene.recommend(families=families)
    assert not any(peer.namespace == "three" for _, _, peer in pairs_admitted(found))
