"""Which labels last: by name, by shape, by observation, and what a person says of them."""

from __future__ import annotations

import pytest

from recommender.learning.labels import LabelRules, moves_by_name, moves_by_shape, varying_keys
from recommender.policy.selector import Selector, labels_of

MOVING_KEYS = """pod-template-hash controller-revision-hash pod-template-generation rollouts-pod-template-hash
statefulset.kubernetes.io/pod-name apps.kubernetes.io/pod-index job-name batch.kubernetes.io/job-name
controller-uid batch.kubernetes.io/controller-uid batch.kubernetes.io/job-completion-index helm.sh/chart chart
app.kubernetes.io/version version app-version appVersion image-version gitCommit git-sha
example.com/config-hash checksum/config buildNumber release-date istio.io/rev service.istio.io/canonical-revision
kibana.k8s.elastic.co/config-checksum elasticsearch.k8s.elastic.co/version deployed-timestamp""".split()

LASTING_KEYS = """app app.kubernetes.io/name app.kubernetes.io/instance app.kubernetes.io/component k8s-app name
component role tier tenant team release track environment app.kubernetes.io/part-of
app.kubernetes.io/managed-by example.com/owner versioned chartered""".split()

MOVING_VALUES = """v1 v2 V3 v1beta1 1.2 1.2.3 v1.2.3 1.2.3-rc.1 2.0.0_4 nginx-1.25.3 redis-17.3.1 r12 build-7
3f2a9c1 da39a3ee5e6b4b0d3255bfef95601890afd80709 sha256-3f2a9c1b 7d9f8b6c5d 6bf8d4c9c7
2026-11-24 20261124 2026.11.24 release-2026-11-24 2026-11-24T08-00 backup-29384760 web-7848d6c4d5
web-7848d6c4d5-th9v2 1234 4711 100 0123456789 550e8400-e29b-41d4-a716-446655440000""".split()

LASTING_VALUES = """web frontend cartservice db-0 tenant-1 tenant-12 redis-master prod eu-west-1 s3 h2
postgres-14 kafka-2-8 backend postgresql mysql8 b2b blue green stable 1 12 true deadbeef accede
app-of-the-century team-2024 kube-dns coredns""".split()


@pytest.mark.parametrize("key", MOVING_KEYS)
def test_keys_known_to_move(key: str) -> None:
    assert moves_by_name(key)


@pytest.mark.parametrize("key", LASTING_KEYS)
def test_keys_that_last(key: str) -> None:
    assert not moves_by_name(key)


@pytest.mark.parametrize("value", MOVING_VALUES)
def test_values_of_a_moving_shape(value: str) -> None:
    assert moves_by_shape(value)


@pytest.mark.parametrize("value", LASTING_VALUES)
def test_values_that_last(value: str) -> None:
    assert not moves_by_shape(value)


def test_a_number_in_the_workloads_own_selector_is_a_name() -> None:
    rules = LabelRules()
    assert rules.moves("tenant", "1001")
    assert not rules.moves("tenant", "1001", Selector.of({"tenant": "1001"}))
    assert rules.moves("version", "1001", Selector.of({"version": "1001"})), "known by name all the same"
    assert rules.moves("release", "1.2.3", Selector.of({"release": "1.2.3"})), "a version is no name"


def test_a_person_adds_to_the_list_and_takes_from_it() -> None:
    rules = LabelRules(moving=("example.com/*", "track"), stable=("tenant-number", "version"))
    assert rules.moves("example.com/anything", "steady")
    assert rules.moves("track", "stable")
    assert not rules.moves("tenant-number", "1001")
    assert not rules.moves("version", "v1")


@pytest.mark.parametrize(
    ("key", "value"), [("app\n", "web"), ("app", "we b"), ("app", "x" * 64), ("", "web"), ("a/b/c", "d")]
)
def test_what_no_cluster_holds_is_never_selected_by(key: str, value: str) -> None:
    assert LabelRules(stable=("*",)).moves(key, value)


def test_lasting_labels_are_those_all_generations_share() -> None:
    generations = [
        labels_of({"app": "web", "track": "a", "helm.sh/chart": "web-1.0.0", "added": "x"}),
        labels_of({"app": "web", "track": "b", "helm.sh/chart": "web-1.1.0"}),
    ]
    assert LabelRules().stable_of(generations) == (("app", "web"),)
    assert varying_keys(generations) == {"track", "helm.sh/chart"}
    assert LabelRules().stable_of([]) == ()
