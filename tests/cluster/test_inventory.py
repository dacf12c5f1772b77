"""Look-ups of the inventory, and the workload of pods that are gone."""

from __future__ import annotations

import time

import pytest

from recommender.cluster.attribution import cron_job_of, name_pattern, replica_set_owner, workload_of
from recommender.cluster.inventory import (
    Backends,
    Inventory,
    Namespace,
    Node,
    Pod,
    Port,
    Service,
    ServicePort,
    Workload,
    WorkloadRef,
)
from recommender.policy.selector import Requirement, Selector, labels_of


def ref(text: str) -> WorkloadRef:
    """ "Deployment/web" in the namespace shop."""
    kind, _, name = text.partition("/")
    return WorkloadRef("shop", kind, name)


def workload(
    name: str, *label_sets: dict[str, str], selector: Selector | None = None, ports: tuple[Port, ...] = ()
) -> Workload:
    return Workload(ref(name), tuple(map(labels_of, label_sets)), selector, ports)


WEB = {"app": "web", "tier": "front"}
SHOP = Inventory(
    namespaces={"shop": Namespace("shop", (("team", "a"),))},
    workloads={
        w.ref: w
        for w in (
            workload(
                "Deployment/web",
                WEB,
                {**WEB, "pod-template-hash": "7848d6c4d5"},
                selector=Selector.of({"app": "web"}),
            ),
            workload(
                "Deployment/web-canary",
                {**WEB, "track": "canary"},
                selector=Selector.of({"app": "web", "track": "canary"}),
            ),
            workload(
                "Deployment/api",
                {"app": "api", "release": "r1"},
                selector=Selector((Requirement("app", "In", ("api", "api2")),)),
            ),
            workload(
                "Deployment/odd", {"x": "1", "app": "odd"}, selector=Selector((Requirement("x", "Exists"),))
            ),
            workload("Rollout/paid", {"app": "paid"}),
            workload("StatefulSet/db", {"app": "db", "release": "r1"}, selector=Selector.of({"app": "db"})),
            workload("StrimziPodSet/kafka", {"strimzi.io/name": "kafka"}),
            workload("DaemonSet/agent", {"app": "agent"}),
            workload("CronJob/backup", {"job": "backup"}, {"job": "backup", "job-name": "backup-29384760"}),
            workload("CronJob/nightly", {}),
            workload("Job/migrate", {}),
            workload("Deployment/" + "l" * 58, {"app": "long"}),
            workload("Deployment/" + "m" * 50, {"app": "long"}),
            workload("Pod/etcd", {"component": "etcd"}),
        )
    },
    pods=(
        Pod("shop", "db-0", labels_of({"app": "db"}), ref("StatefulSet/db"), ("10.0.0.1",)),
        Pod("shop", "odd-name", (), ref("Pod/etcd"), ("192.168.0.1",), host_network=True),
    ),
    nodes=(Node("ip-10-0-0-1.internal", ("192.168.0.1",)),),
    owners={ref("ReplicaSet/old"): ref("Deployment/web"), ref("Job/by-hand"): ref("CronJob/backup")},
)


@pytest.mark.parametrize(
    ("pod", "labels", "told", "expected"),
    [
        pytest.param("db-0", WEB, "Deployment/web", "StatefulSet/db", id="the pod itself comes first"),
        pytest.param("x", {}, "Deployment/web", "Deployment/web", id="what the log says"),
        pytest.param(
            "x", {}, "Deployment/gone", "Deployment/gone", id="what the log says, also of what is gone"
        ),
        pytest.param("x", {}, "ReplicaSet/old", "Deployment/web", id="a ReplicaSet in the files"),
        pytest.param("x", {}, "ReplicaSet/new-7848d6c4d5", "Deployment/new", id="a ReplicaSet that is gone"),
        pytest.param(
            "x",
            {"pod-template-hash": "abc"},
            "ReplicaSet/new-abc",
            "Deployment/new",
            id="its hash in the labels",
        ),
        pytest.param("x", {}, "ReplicaSet/paid-7848d6c4d5", "Rollout/paid", id="a ReplicaSet of a Rollout"),
        pytest.param("x", {}, "ReplicaSet/plain", "ReplicaSet/plain", id="a ReplicaSet without hash"),
        pytest.param("x", {}, "Job/by-hand", "CronJob/backup", id="a Job in the files"),
        pytest.param("x", {}, "Job/backup-29384761", "CronJob/backup", id="a Job that is gone"),
        pytest.param(
            "x", {}, "Job/nightly-20260131", "CronJob/nightly", id="any digits where the CronJob is there"
        ),
        pytest.param("x", {}, "Job/import-20260131", "Job/import-20260131", id="else a date is a name"),
        pytest.param("x", WEB, "", "Deployment/web", id="the one that selects the labels"),
        pytest.param(
            "x", {**WEB, "istio": "on"}, "", "Deployment/web", id="labels added since do not matter to it"
        ),
        pytest.param("x", {"app": "api2"}, "", "Deployment/api", id="In of several values"),
        pytest.param(
            "x", {**WEB, "track": "canary"}, "", "Deployment/web-canary", id="two select, one has them all"
        ),
        pytest.param(
            "x", {"tier": "front", "track": "canary"}, "", "Deployment/web-canary", id="the CNI dropped app"
        ),
        pytest.param("x", {"tier": "front"}, "", "None", id="it dropped too much"),
        pytest.param("x", {"release": "r1"}, "", "None", id="two have it"),
        pytest.param("x", {"release": "r1", "new": "y"}, "", "None", id="a label nobody has"),
        pytest.param("x", {"x": "1"}, "", "Deployment/odd", id="a selector that no value leads to"),
        pytest.param(
            "x",
            {"job": "backup", "job-name": "backup-29384760"},
            "",
            "CronJob/backup",
            id="an older generation",
        ),
        pytest.param(
            "x",
            {"app": "paid", "rollouts-pod-template-hash": "9"},
            "",
            "Rollout/paid",
            id="a hash never seen",
        ),
        pytest.param(
            "web-canary-7848d6c4d5-x7k2p",
            {"app": "web"},
            "",
            "Deployment/web-canary",
            id="the name decides where the CNI may have dropped the label that tells",
        ),
        pytest.param(
            "api-7848d6c4d5-x7k2p",
            {"app": "odd"},
            "",
            "Deployment/odd",
            id="labels that fit one alone stand above the name",
        ),
        pytest.param("web-7848d6c4d5-x7k2p", {}, "", "Deployment/web", id="name: Deployment"),
        pytest.param(
            "web-7848d6c4d5-x7k2p",
            {"release": "r1"},
            "",
            "Deployment/web",
            id="name, where labels do not tell",
        ),
        pytest.param("paid-7848d6c4d5-x7k2p", {}, "", "Rollout/paid", id="name: Rollout"),
        pytest.param("gone-7848d6c4d5-x7k2p", {}, "", "None", id="name: of what is not there"),
        pytest.param("old-x7k2p", {}, "", "Deployment/web", id="name: a known ReplicaSet"),
        pytest.param("web-7848d6c4d5-x7k2o", {}, "", "None", id="name: o is not in the alphabet"),
        pytest.param("web-1848d6c4d5-x7k2p", {}, "", "None", id="name: 1 is not in a hash"),
        pytest.param("db-12", {}, "", "StatefulSet/db", id="name: StatefulSet"),
        pytest.param("db-01", {}, "", "None", id="name: ordinals have no zero before them"),
        pytest.param("kafka-2", {}, "", "StrimziPodSet/kafka", id="name: a foreign set"),
        pytest.param("web-2", {}, "", "None", id="name: a Deployment numbers none"),
        pytest.param("agent-x7k2p", {}, "", "DaemonSet/agent", id="name: DaemonSet"),
        pytest.param("backup-29384760-x7k2p", {}, "", "CronJob/backup", id="name: CronJob"),
        pytest.param("backup-29384760-3-x7k2p", {}, "", "CronJob/backup", id="name: CronJob of indexed Jobs"),
        pytest.param("migrate-x7k2p", {}, "", "Job/migrate", id="name: Job"),
        pytest.param("migrate-0-x7k2p", {}, "", "Job/migrate", id="name: indexed Job"),
        pytest.param("l" * 58 + "x7k2p", {}, "", "Deployment/" + "l" * 58, id="name: cut at 63"),
        pytest.param(
            "m" * 50 + "-7848d6cx7k2p", {}, "", "Deployment/" + "m" * 50, id="name: cut within the hash"
        ),
        pytest.param("m" * 50 + "-1848d6cx7k2p", {}, "", "None", id="name: cut, and no hash"),
        pytest.param("etcd-ip-10-0-0-1.internal", {}, "", "Pod/etcd", id="name: static pod"),
        pytest.param("etcd-elsewhere", {}, "", "None", id="name: static pod of no known node"),
        pytest.param("", {}, "", "None", id="nothing known"),
    ],
)
def test_workload_of(pod: str, labels: dict[str, str], told: str, expected: str) -> None:
    kind, _, name = told.partition("/")
    found = workload_of(SHOP, "shop", pod, labels_of(labels), kind, name)
    assert (f"{found.kind}/{found.name}" if found else "None") == expected
    elsewhere = workload_of(SHOP, "other", pod, labels_of(labels), "", "")
    assert elsewhere is None


@pytest.mark.parametrize(
    ("pod", "kind", "name"),
    [
        ("deathstar-7848d6c4d5-th9v2", "Deployment", "deathstar"),
        ("a-b-c-56b8cd9f74-22222", "Deployment", "a-b-c"),
        ("web-7848d6c4d5f-th9v2", "Pod", "web-7848d6c4d5f-th9v2"),
        ("web-abcdef-th9v2", "Pod", "web-abcdef-th9v2"),
        ("backup-29384760-x7k2p", "CronJob", "backup"),
        ("backup-1609459200-x7k2p", "CronJob", "backup"),
        ("backup-20260131-x7k2p", "Pod", "backup-20260131-x7k2p"),
        ("db-0", "StatefulSet", "db"),
        ("db-00", "Pod", "db-00"),
        ("tiefighter", "Pod", "tiefighter"),
        ("agent-x7k2p", "Pod", "agent-x7k2p"),
        ("n" * 47 + "-7848d6c4d5" + "x7k2p", "Pod", "n" * 47 + "-7848d6c4d5x7k2p"),
        ("", "Pod", ""),
        ("-0", "Pod", "-0"),
    ],
)
def test_name_pattern(pod: str, kind: str, name: str) -> None:
    assert name_pattern(pod) == (kind, name)


@pytest.mark.parametrize(
    ("name", "labels", "owner"),
    [
        ("web-abc", {"pod-template-hash": "abc"}, ("Deployment", "web")),
        ("web-abc", {"rollouts-pod-template-hash": "abc"}, ("Rollout", "web")),
        ("web-abc", {"pod-template-hash": "bc"}, None),
        ("-abc", {"pod-template-hash": "abc"}, None),
        ("web-", {"pod-template-hash": ""}, None),
        ("web-abc", {}, None),
    ],
)
def test_replica_set_owner(name: str, labels: dict[str, str], owner: tuple[str, str] | None) -> None:
    assert replica_set_owner(name, labels) == owner


def test_cron_job_of() -> None:
    assert cron_job_of("a-29384760") == "a"
    assert cron_job_of("a-20260131") is None
    assert cron_job_of("a-20260131", {"a"}.__contains__) == "a"
    assert cron_job_of("a-2026013", {"a"}.__contains__) is None
    assert cron_job_of("a-20260131", {"b"}.__contains__) is None


def test_twenty_thousand_pods_that_are_gone_are_attributed_in_seconds() -> None:
    count = 2_000
    workloads = [
        Workload(
            WorkloadRef("big", "Deployment", f"w{n}"),
            (labels_of({"app": f"w{n}", "all": "x"}),),
            Selector.of({"app": f"w{n}"}),
        )
        for n in range(count)
    ]
    inventory = Inventory(workloads={w.ref: w for w in workloads})
    began = time.perf_counter()
    for n in range(20_000):
        labels = labels_of({"app": f"w{n % count}", "all": "x", "pod": str(n)})
        found = workload_of(inventory, "big", f"p{n}", labels, "", "")
        assert found == workloads[n % count].ref
    assert time.perf_counter() - began < 5


# ---- look-ups -----------------------------------------------------------------------------------

HTTP = Service(
    "shop",
    "web",
    Selector.of({"app": "web"}),
    ("10.96.0.1",),
    (ServicePort("http", "TCP", 80, "http"), ServicePort("admin", "TCP", 81, 9000)),
)


@pytest.mark.parametrize(
    ("backends", "ports", "expected"),
    [
        pytest.param([], [Port("http", "TCP", 8080)], {8080}, id="declared on the pods"),
        pytest.param([("shop", "web", "http", "TCP", 8081)], [], {8081}, id="told by the EndpointSlice"),
        pytest.param(
            [("shop", "web", "http", "TCP", 8081)],
            [Port("http", "TCP", 8080)],
            {8080, 8081},
            id="both, during a rollout",
        ),
        pytest.param(
            [
                ("shop", "web", "http", "UDP", 1),
                ("shop", "web", "admin", "TCP", 2),
                ("dev", "web", "http", "TCP", 3),
            ],
            [Port("http", "UDP", 4)],
            set(),
            id="another protocol, port or namespace",
        ),
    ],
)
def test_target_ports_of_a_named_port(
    backends: list[tuple[str, str, str, str, int]], ports: list[Port], expected: set[int]
) -> None:
    web = workload("Deployment/web", WEB, ports=tuple(ports))
    api = workload("Deployment/api", {"app": "api"}, ports=(Port("http", "TCP", 7),))
    inventory = Inventory(
        workloads={web.ref: web, api.ref: api},
        services=(HTTP,),
        backends=tuple(
            Backends(ns, service, (), ((name, protocol, number),))
            for ns, service, name, protocol, number in backends
        ),
    )
    assert inventory.target_ports(HTTP, HTTP.ports[0]) == expected
    assert inventory.target_ports(HTTP, HTTP.ports[1]) == {9000}
    assert [w.ref for w in inventory.workloads_behind(HTTP)] == [web.ref]


def test_a_service_without_a_selector_has_no_workloads() -> None:
    assert SHOP.workloads_behind(Service("shop", "x", None, (), ())) == ()


def test_look_ups_by_address() -> None:
    assert SHOP.pod_at == {"10.0.0.1": SHOP.pods[0]}, "a pod on the host network is its node"
    assert SHOP.node_at["192.168.0.1"] is SHOP.nodes[0]
    assert SHOP.pod_named["shop", "db-0"] is SHOP.pods[0]
    assert SHOP.pods_of[ref("StatefulSet/db")] == (SHOP.pods[0],)


def test_api_servers() -> None:
    ports = (("https", "TCP", 6443), ("x", "UDP", 1))
    slices = tuple(Backends(ns, "kubernetes", ("192.168.0.9",), ports) for ns in ("default", "shop"))
    assert Inventory(backends=slices).api_servers == {("192.168.0.9", 6443)}


def test_namespaces_have_their_name_as_a_label() -> None:
    other = workload("Deployment/web", WEB)
    moved = Workload(WorkloadRef("unlisted", "Deployment", "web"), other.label_sets)
    inventory = Inventory(namespaces=SHOP.namespaces, workloads={moved.ref: moved, other.ref: other})
    assert inventory.namespace_labels() == {
        "shop": (("kubernetes.io/metadata.name", "shop"), ("team", "a")),
        "unlisted": (("kubernetes.io/metadata.name", "unlisted"),),
    }
    assert Inventory.unknown().unknown_because
    assert not Inventory.unknown().workloads
