"""Manifests to an inventory: owners, generations, addresses, and what hostile or broken files say."""

from __future__ import annotations

import gzip
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recommender.cluster.inventory import Inventory, Port, WorkloadRef
from recommender.cluster.snapshot import read_manifests
from recommender.errors import FormatError, InputError, ManifestError
from recommender.policy.selector import Labels, Selector, labels_of

Object = dict[str, Any]
GROUPS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}


def obj(kind: str, name: str, namespace: str = "shop", **rest: Any) -> Object:
    """An object; ``owner`` is "Kind/name", ``labels`` and ``created`` go to the metadata."""
    meta: Object = {"name": name}
    if kind not in ("Namespace", "Node"):
        meta["namespace"] = namespace
    if "owner" in rest:
        owner, _, owner_name = rest.pop("owner").partition("/")
        meta["ownerReferences"] = [{"kind": owner, "name": owner_name, "controller": True, "uid": "1"}]
    for key, field in (
        ("labels", "labels"),
        ("created", "creationTimestamp"),
        ("version", "resourceVersion"),
    ):
        if key in rest:
            meta[field] = rest.pop(key)
    return {"apiVersion": GROUPS.get(kind, "v1"), "kind": kind, "metadata": meta, **rest}


def template(labels: dict[str, str], *ports: Any, **spec: Any) -> Object:
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "ports": list(ports)}], **spec},
    }


def controller(kind: str, name: str, labels: dict[str, str], *ports: Any, **rest: Any) -> Object:
    """A Deployment and the like that selects ``app: name`` and makes pods with these labels."""
    pods = template(labels, *ports, **rest.pop("pods", {}))
    return obj(kind, name, **rest, spec={"selector": {"matchLabels": {"app": name}}, "template": pods})


def pod(name: str, ip: str = "", **rest: Any) -> Object:
    status = {"phase": rest.pop("phase", "Running"), "podIP": ip, "podIPs": [{"ip": ip}]} if ip else {}
    status |= {"startTime": rest.pop("started")} if "started" in rest else {}
    return obj("Pod", name, **{"spec": {}, **rest}, status=status)


def listed(*objects: Object) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects), "metadata": {"resourceVersion": ""}}


def read(folder: Path, *objects: Object) -> Inventory:
    path = folder / "cluster.json"
    path.write_text(json.dumps(listed(*objects)))
    return read_manifests([path])


def read_text(folder: Path, text: str | bytes, name: str = "cluster.yaml") -> Inventory:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifests([path])


def sets(*labels: dict[str, str]) -> tuple[Labels, ...]:
    return tuple(map(labels_of, labels))


# ---- whose pod it is ----------------------------------------------------------------------------

HASH = "7848d6c4d5"


@pytest.mark.parametrize(
    ("objects", "owner"),
    [
        pytest.param([], "Pod/p", id="nobody's"),
        pytest.param(
            [obj("ReplicaSet", f"web-{HASH}", owner="Deployment/web"), obj("Deployment", "web")],
            f"ReplicaSet/web-{HASH} -> Deployment/web",
            id="ReplicaSet of a Deployment",
        ),
        pytest.param(
            [obj("ReplicaSet", f"web-{HASH}", owner="Deployment/web")],
            f"ReplicaSet/web-{HASH} -> Deployment/web",
            id="the Deployment is not in the files",
        ),
        pytest.param(
            [],
            f"ReplicaSet/web-{HASH} -> Deployment/web",
            id="nor is the ReplicaSet: the hash label tells",
        ),
        pytest.param(
            [obj("ReplicaSet", f"web-{HASH}")],
            f"ReplicaSet/web-{HASH} -> ReplicaSet/web-{HASH}",
            id="a ReplicaSet of its own",
        ),
        pytest.param([], "ReplicaSet/web -> ReplicaSet/web", id="a ReplicaSet without the hash in its name"),
        pytest.param(
            [obj("ReplicaSet", f"web-{HASH}", owner="Rollout/web")],
            f"ReplicaSet/web-{HASH} -> Rollout/web",
            id="Argo Rollout",
        ),
        pytest.param(
            [obj("Job", "backup-29384760", owner="CronJob/backup")],
            "Job/backup-29384760 -> CronJob/backup",
            id="Job of a CronJob",
        ),
        pytest.param([], "Job/backup-29384760 -> CronJob/backup", id="the Job is gone: minutes since 1970"),
        pytest.param(
            [], "Job/backup-1609459200 -> CronJob/backup", id="the Job is gone: seconds, before 1.21"
        ),
        pytest.param([], "Job/backup-20260131 -> Job/backup-20260131", id="a date is no schedule"),
        pytest.param(
            [obj("CronJob", "backup")],
            "Job/backup-20260131 -> CronJob/backup",
            id="unless there is such a CronJob",
        ),
        pytest.param([], "Job/migrate -> Job/migrate", id="a Job of its own"),
        pytest.param([], "StatefulSet/db -> StatefulSet/db", id="StatefulSet"),
        pytest.param([], "DaemonSet/agent -> DaemonSet/agent", id="DaemonSet"),
        pytest.param(
            [obj("StatefulSet", "db", owner="Postgres/main")],
            "StatefulSet/db -> StatefulSet/db",
            id="an operator's StatefulSet is the workload",
        ),
        pytest.param(
            [obj("ReplicationController", "web-1", owner="DeploymentConfig/web")],
            "ReplicationController/web-1 -> DeploymentConfig/web",
            id="OpenShift",
        ),
        pytest.param([], "StrimziPodSet/kafka -> StrimziPodSet/kafka", id="a foreign owner"),
        pytest.param(
            [
                obj("ReplicaSet", "a", owner="ReplicaSet/b"),
                obj("ReplicaSet", "b", owner="ReplicaSet/a"),
            ],
            "ReplicaSet/a -> ReplicaSet/a",
            id="owners that own each other come to an end",
        ),
    ],
)
def test_owner(tmp_path: Path, objects: list[Object], owner: str) -> None:
    first, _, workload = owner.partition(" -> ")
    rest = {"owner": first} if workload else {}
    found = read(tmp_path, *objects, pod("p", labels={"pod-template-hash": HASH}, **rest))
    kind, _, name = (workload or first).partition("/")
    assert found.pods[0].workload == WorkloadRef("shop", kind, name)
    assert found.pods[0].workload in found.workloads


def test_the_controller_owns_not_the_first_named(tmp_path: Path) -> None:
    made = pod("p", owner="StatefulSet/db")
    made["metadata"]["ownerReferences"].insert(0, {"kind": "Backup", "name": "x"})
    assert read(tmp_path, made).pods[0].workload.kind == "StatefulSet"
    del made["metadata"]["ownerReferences"][1]["controller"]
    assert read(tmp_path, made).pods[0].workload.kind == "Backup"


def test_static_pods_of_all_nodes_are_one_workload(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        *(pod(f"kube-proxy-{n}", owner=f"Node/{n}", spec={"hostNetwork": True}) for n in ("n-1", "n-2")),
    )
    (ref,) = found.workloads
    assert (ref.kind, ref.name, len(found.pods_of[ref])) == ("Pod", "kube-proxy", 2)
    assert found.workloads[ref].host_network


# ---- generations --------------------------------------------------------------------------------


def test_rollout_has_the_newest_template_first_and_both_generations(tmp_path: Path) -> None:
    new = {"app": "web", "version": "2"}
    old = {"app": "web", "version": "1"}
    found = read(
        tmp_path,
        controller(
            "ReplicaSet",
            "web-55555555",
            {**old, "pod-template-hash": "55555555"},
            owner="Deployment/web",
            created="2026-01-01T00:00:00Z",
        ),
        controller(
            "ReplicaSet",
            "web-66666666",
            {**new, "pod-template-hash": "66666666"},
            owner="Deployment/web",
            created="2026-02-01T00:00:00Z",
        ),
        controller("Deployment", "web", new, {"containerPort": 8080, "name": "http"}),
        pod(
            "web-55555555-bcdfg",
            "10.0.0.1",
            labels={**old, "pod-template-hash": "55555555"},
            owner="ReplicaSet/web-55555555",
        ),
        pod(
            "web-66666666-bcdfg",
            "10.0.0.2",
            labels={**new, "pod-template-hash": "66666666", "mesh": "on"},
            owner="ReplicaSet/web-66666666",
        ),
    )
    (web,) = found.workloads.values()
    assert web.label_sets == sets(
        new,
        {**old, "pod-template-hash": "55555555"},
        {**new, "pod-template-hash": "66666666", "mesh": "on"},
        {**new, "pod-template-hash": "66666666"},
    )
    assert web.selector == Selector.of({"app": "web"})
    assert web.ports == (Port("http", "TCP", 8080),)
    assert set(found.owners.values()) == {web.ref}
    assert len(found.owners) == 2


def test_without_the_deployment_the_newest_replica_set_speaks_for_it(tmp_path: Path) -> None:
    generations = [
        obj(
            "ReplicaSet",
            f"web-{n}",
            owner="Deployment/web",
            created=f"2026-0{n}-01T00:00:00Z",
            spec={
                "selector": {"matchLabels": {"app": "web", "pod-template-hash": str(n)}},
                "template": template({"app": "web", "v": str(n)}),
            },
        )
        for n in (1, 3, 2)
    ]
    (web,) = read(tmp_path, *generations).workloads.values()
    assert web.label_sets == sets(*({"app": "web", "v": v} for v in "321"))
    assert web.selector == Selector.of({"app": "web"})


def test_past_jobs_are_generations_of_their_cron_job(tmp_path: Path) -> None:
    jobs = [f"backup-2938476{n}" for n in (0, 1)]
    found = read(
        tmp_path,
        obj(
            "CronJob",
            "backup",
            spec={
                "schedule": "0 3 * * *",
                "jobTemplate": {"spec": {"template": template({"app": "backup"})}},
            },
        ),
        *(
            obj(
                "Job",
                job,
                owner="CronJob/backup",
                spec={"template": template({"app": "backup", "job-name": job})},
            )
            for job in jobs
        ),
        pod(
            f"{jobs[0]}-x7k2p",
            "10.0.0.9",
            phase="Succeeded",
            labels={"job-name": jobs[0]},
            owner=f"Job/{jobs[0]}",
        ),
    )
    (backup,) = found.workloads.values()
    assert str(backup.ref) == "shop/CronJob/backup"
    assert backup.schedule == "0 3 * * *"
    assert backup.selector is None
    assert backup.label_sets == sets(
        {"app": "backup"}, {"job-name": jobs[0]}, *({"app": "backup", "job-name": job} for job in jobs[::-1])
    )


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ({"matchLabels": {"a": "b"}}, "a=b"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["c", "b"]}]}, "a in (b, c)"),
        (
            {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]},
            "a=b, x exists",
        ),
        ({}, "None"),
        (None, "None"),
    ],
)
def test_selector(tmp_path: Path, selector: Any, told: str) -> None:
    made = obj("StatefulSet", "db", spec={"selector": selector, "template": template({"a": "b"})})
    (db,) = read(tmp_path, made).workloads.values()
    assert str(db.selector) == told


def test_declared_ports(tmp_path: Path) -> None:
    spec = {
        "containers": [
            {"ports": [{"containerPort": 53, "protocol": "UDP", "name": "dns"}, {"containerPort": 80}]}
        ],
        "initContainers": [
            {"restartPolicy": "Always", "ports": [{"containerPort": 15020}]},
            {"ports": [{"containerPort": 9999}]},
        ],
    }
    made = obj("DaemonSet", "dns", spec={"template": {"spec": spec}})
    (dns,) = read(tmp_path, made).workloads.values()
    assert dns.ports == (Port("dns", "UDP", 53), Port("", "TCP", 80), Port("", "TCP", 15020))


# ---- addresses ----------------------------------------------------------------------------------


def test_an_address_belongs_to_the_running_pod_that_started_last(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        pod("young", "10.0.0.1", started="2026-01-02T00:00:00Z"),
        pod("old", "10.0.0.1", started="2026-01-01T00:00:00Z"),
        pod("done", "10.0.0.1", started="2026-01-03T00:00:00Z", phase="Succeeded", labels={"app": "done"}),
        pod("failed", "10.0.0.2", phase="Failed"),
    )
    assert {p.name: p.addresses for p in found.pods} == {
        "young": ("10.0.0.1",),
        "old": (),
        "done": (),
        "failed": (),
    }
    assert found.pod_at["10.0.0.1"].name == "young"
    assert "10.0.0.2" not in found.pod_at
    assert found.workloads[WorkloadRef("shop", "Pod", "done")].label_sets == sets({"app": "done"})


def test_host_network_pods_have_their_nodes_address(tmp_path: Path) -> None:
    node = obj(
        "Node",
        "n1",
        spec={"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]},
        status={
            "addresses": [
                {"type": "Hostname", "address": "n1"},
                {"type": "InternalIP", "address": "192.168.0.1"},
                {"type": "ExternalIP", "address": "203.0.113.7"},
            ]
        },
    )
    agent = controller("DaemonSet", "agent", {"app": "agent"}, pods={"hostNetwork": True})
    spec = {"hostNetwork": True, "nodeName": "n1"}
    found = read(
        tmp_path,
        node,
        agent,
        pod("agent-bcdfg", "192.168.0.1", owner="DaemonSet/agent", spec=spec),
        pod("agent-new", owner="DaemonSet/agent", spec=spec),
    )
    assert (found.nodes[0].addresses, found.nodes[0].external) == (("192.168.0.1",), ("203.0.113.7",))
    assert found.nodes[0].pod_cidrs == ("10.1.0.0/24", "fd00:1::/64")
    assert found.node_at["192.168.0.1"].name == "n1"
    assert not found.pod_at
    assert [p.addresses for p in found.pods] == [("192.168.0.1",), ("192.168.0.1",)]
    assert all(p.host_network for p in found.pods)
    assert next(iter(found.workloads.values())).host_network


def test_both_families_and_one_spelling(tmp_path: Path) -> None:
    made = pod("p", "10.0.0.1")
    made["status"]["podIPs"].append({"ip": "FD00:0:0::0001"})
    assert read(tmp_path, made).pods[0].addresses == ("10.0.0.1", "fd00::1")


def test_services_resolve_by_every_address(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        obj(
            "Service",
            "web",
            labels={"app": "web"},
            spec={
                "type": "LoadBalancer",
                "selector": {"app": "web"},
                "clusterIP": "10.96.0.1",
                "clusterIPs": ["10.96.0.1", "fd00::96"],
                "externalIPs": ["203.0.113.1"],
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "web"},
                    {"port": 53, "protocol": "UDP", "nodePort": 30053},
                ],
            },
            status={"loadBalancer": {"ingress": [{"ip": "203.0.113.2"}, {"hostname": "lb.example"}]}},
        ),
        obj("Service", "headless", spec={"clusterIP": "None", "selector": {}, "ports": None}),
    )
    headless, web = found.services
    assert set(found.service_at) == {"10.96.0.1", "fd00::96", "203.0.113.1", "203.0.113.2"}
    assert [(p.name, p.protocol, p.port, p.target, p.node_port) for p in web.ports] == [
        ("http", "TCP", 80, "web", None),
        ("", "UDP", 53, 53, 30053),
    ]
    assert (web.type, web.labels, web.selector) == (
        "LoadBalancer",
        (("app", "web"),),
        Selector.of({"app": "web"}),
    )
    assert (headless.selector, headless.addresses, headless.type) == (None, (), "ClusterIP")


def test_backends_leave_out_what_is_ending(tmp_path: Path) -> None:
    slice_ = obj(
        "EndpointSlice",
        "web-abc",
        labels={"kubernetes.io/service-name": "web"},
        addressType="IPv4",
        endpoints=[
            {
                "addresses": ["10.0.0.1"],
                "targetRef": {"kind": "Pod", "name": "web-1"},
                "conditions": {"ready": True},
            },
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "terminating": True}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
        ],
        ports=[{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "all"}],
    )
    owned = obj("EndpointSlice", "x", owner="Service/db", addressType="IPv4", endpoints=None, ports=None)
    names = obj(
        "EndpointSlice", "y", owner="Service/z", addressType="FQDN", endpoints=[{"addresses": ["a.b"]}]
    )
    mirror = obj("Endpoints", "web", subsets=[{"addresses": [{"ip": "10.0.0.2"}], "ports": [{"port": 8080}]}])
    older = obj(
        "Endpoints",
        "legacy",
        subsets=[
            {
                "addresses": [{"ip": "10.0.0.7", "targetRef": {"kind": "Pod", "name": "l"}}],
                "notReadyAddresses": [{"ip": "10.0.0.8"}],
                "ports": [{"port": 1, "name": "a"}],
            }
        ],
    )
    found = {b.service: b for b in read(tmp_path, slice_, owned, names, mirror, older).backends}
    assert set(found) == {"web", "db", "legacy"}
    assert found["web"].addresses == ("10.0.0.1", "10.0.0.3")
    assert found["web"].pods == ("web-1",)
    assert found["web"].ports == (("http", "TCP", 8080),)
    assert (found["legacy"].addresses, found["legacy"].pods) == (("10.0.0.7", "10.0.0.8"), ("l",))


# ---- files --------------------------------------------------------------------------------------

PLAIN = """\
# as people write them
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, since: 2024-01-01}}
    spec: {containers: [{name: web, ports: [{containerPort: 80}]}]}
---
---
apiVersion: v1
kind: Pod
metadata: {generateName: try-, labels: null}
"""


def test_plain_manifests_are_in_the_default_namespace(tmp_path: Path) -> None:
    found = read_text(tmp_path, PLAIN)
    assert [str(ref) for ref in found.workloads] == ["default/Deployment/web", "default/Pod/try"]
    web = found.workloads[WorkloadRef("default", "Deployment", "web")]
    assert web.label_sets == sets({"app": "web", "since": "2024-01-01"})
    assert set(found.namespace_labels()) == {"default"}
    assert found.kinds == {"Deployment", "Pod"}
    assert found.origin == (str(tmp_path / "cluster.yaml"),)


AS_JSON = json.dumps(
    listed(*yaml.safe_load_all(PLAIN.replace(" 2024-01-01", " now").replace("---\n---", "---")))
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.yaml", PLAIN.encode()),
        ("a.yml", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("a.yaml.gz", gzip.compress(PLAIN.encode())),
        ("a.YAML", PLAIN.replace("\n", "\r\n").encode()),
        ("powershell.yaml", PLAIN.encode("utf-16")),
        ("deep/er/a.json", AS_JSON.encode()),
        (
            "tabs.json",
            json.dumps(
                listed(obj("Deployment", "web", "default"), pod("try", namespace="default")), indent="\t"
            ).encode(),
        ),
    ],
)
def test_every_form_of_file_in_a_folder(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data)
    (tmp_path / "README.md").write_text("not: read: this")
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]")
    found = read_manifests([str(tmp_path)])
    assert [str(ref) for ref in found.workloads] == ["default/Deployment/web", "default/Pod/try"]


def test_typed_lists_give_their_items_a_kind(tmp_path: Path) -> None:
    item = pod("p")
    del item["kind"], item["apiVersion"]
    typed = {"kind": "PodList", "apiVersion": "v1", "items": [item]}
    empty = {"kind": "NetworkPolicyList", "apiVersion": "networking.k8s.io/v1", "items": None}
    found = read(tmp_path, typed, empty, listed(listed()))
    assert [p.name for p in found.pods] == ["p"]
    assert found.kinds == {"Pod", "NetworkPolicy"}


def test_what_is_not_needed_is_counted_and_secrets_are_not_kept(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        obj("Secret", "s", data={"password": "aHVudGVyMg=="}),
        obj("ConfigMap", "c"),
        {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "x"}},
        {"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "x"}},
        obj("Service", "web", spec={"type": "ExternalName", "externalName": "example.com"}),
    )
    assert found.ignored == {
        "AllowList (example.com)": 1,
        "CiliumNetworkPolicy (cilium.io)": 1,
        "ConfigMap (v1)": 1,
        "Secret (v1)": 1,
    }
    assert "aHVudGVyMg" not in repr(found)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("9", "10", "second"),
        ("10", "9", "first"),
        ("9", "9", "second"),
        ("9", None, "second"),
        (None, None, "second"),
    ],
)
def test_of_an_object_given_twice_the_newer_counts(
    tmp_path: Path, first: str | None, second: str | None, kept: str
) -> None:
    for name, version in (("first", first), ("second", second)):
        rest = {"version": version} if version else {}
        made = pod("p", labels={"from": name}, **rest)
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    found = read_manifests([tmp_path / "first.json", tmp_path / "second.json"])
    assert [dict(p.labels)["from"] for p in found.pods] == [kept]
    assert found.ignored == {"Pod (given twice)": 1}


def test_policies_are_read_with_their_file_and_line(tmp_path: Path) -> None:
    policy = obj("NetworkPolicy", "deny", spec={"podSelector": {}, "policyTypes": ["Ingress"]})
    found = read(tmp_path, policy)
    assert [str(p) for p in found.policies] == ["shop/deny"]
    assert found.policies[0].origin == str(tmp_path / "cluster.json")
    policy["spec"]["ingress"] = [{"ports": [{"port": 70000}]}]
    with pytest.raises(ManifestError) as caught:
        read_text(tmp_path, yaml.safe_dump(listed(pod("p"), policy)))
    assert caught.value.field == "items[1].spec.ingress[0].ports[0].port"
    assert caught.value.line is not None
    text = (tmp_path / "cluster.yaml").read_text().splitlines()
    assert text[caught.value.line - 1].strip(" -") == "port: 70000"


# ---- what is refused ----------------------------------------------------------------------------

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nstatus:\n"
NODE = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
PORT = "spec.template.spec.containers[0].ports[0].containerPort"
PORT_IN_JSON_STYLE = "spec: {template: {spec: {containers: [{ports: [{containerPort: %s}]}]}}}\n"
EXPRESSION = "spec:\n  selector:\n    matchExpressions:\n    - {key: a, operator: %s}\n"
EXPRESSIONS = "spec.selector.matchExpressions[0]"
OWNERS = "  ownerReferences:\n"
HEAD = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n"


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        pytest.param("a: [1\nb: 2\n", 2, "", "YAML", id="YAML syntax"),
        pytest.param("kind: {{ .Values.kind }}\n", 1, "", "helm template", id="a template"),
        pytest.param("- a\n- b\n", 1, "", "must be a mapping, is a list", id="a list"),
        pytest.param("No resources found\n", 1, "", "must be a mapping, is a string", id="a sentence"),
        pytest.param(HEAD + "---\nreplicas: 3\n", 6, "kind", "no Kubernetes object", id="values of a chart"),
        pytest.param("kind: Pod\nmetadata: {name: p}\n", 1, "apiVersion", "is missing", id="no apiVersion"),
        pytest.param("apiVersion: v1\nkind: Pod\n", 1, "metadata.name", "is missing", id="no name"),
        pytest.param("apiVersion: v1\nkind: Podd\n", 2, "kind", "did you mean Pod?", id="Podd"),
        pytest.param(
            "apiVersion: apps/v1\nkind: Deploymnt\n", 2, "kind", "did you mean Deployment?", id="Deploymnt"
        ),
        pytest.param(
            "apiVersion: v1\nkind: Deployment\n", 2, "kind", "it belongs to apps", id="another group's kind"
        ),
        pytest.param(
            "apiVersion: v1\nkind: PoddList\nitems: []\n", 2, "kind", "no kind PoddList", id="a list of Podd"
        ),
        pytest.param(
            "apiVersion: v1\nkind: 3\n", 2, "kind", "must be a string, is a whole number", id="kind 3"
        ),
        pytest.param("apiVersion: v1\nkind: List\nitems: 3\n", 3, "items", "must be a list", id="items 3"),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems:\n- 3\n", 4, "items[0]", "must be a mapping", id="item 3"
        ),
        pytest.param(
            HEAD + "  labels:\n    a.b/c: 1\n",
            6,
            "metadata.labels['a.b/c']",
            "put it in quotes",
            id="label 1",
        ),
        pytest.param(
            HEAD + "  labels:\n    on: x\n", 5, "metadata.labels", "a key must be a string", id="label on"
        ),
        pytest.param(
            HEAD + "  labels: [a]\n", 5, "metadata.labels", "must be a mapping, is a list", id="labels a list"
        ),
        pytest.param(
            HEAD + OWNERS + "  - kind: X\n",
            6,
            "metadata.ownerReferences[0].name",
            "is missing",
            id="owner without name",
        ),
        pytest.param(
            HEAD + OWNERS + "  - kind: 'a b'\n    name: x\n",
            6,
            "metadata.ownerReferences[0].kind",
            "is no kind",
            id="owner of no kind",
        ),
        pytest.param(
            HEAD.replace("web", "../../etc"), 4, "metadata.name", "is not a name", id="a path for a name"
        ),
        pytest.param(
            HEAD + "  namespace: A/../b\n",
            5,
            "metadata.namespace",
            "is not a name",
            id="a path for a namespace",
        ),
        pytest.param(
            HEAD + "  namespace: a.b\n", 5, "metadata.namespace", "is not a name", id="dots in a namespace"
        ),
        pytest.param(
            HEAD.replace("web", "a..b"), 4, "metadata.name", "is not a name", id="two dots in a name"
        ),
        pytest.param(HEAD + EXPRESSION % "In", 8, EXPRESSIONS, "needs values", id="In without values"),
        pytest.param(HEAD + EXPRESSION % "Is", 8, EXPRESSIONS + ".operator", "'Is'", id="operator Is"),
        pytest.param(
            HEAD + PORT_IN_JSON_STYLE % "'80'",
            5,
            PORT,
            "must be a whole number, is a string",
            id="port in quotes",
        ),
        pytest.param(HEAD + PORT_IN_JSON_STYLE % 70000, 5, PORT, "<= 65535", id="port 70000"),
        pytest.param(
            SERVICE + "  ports:\n  - port: 80\n    protocol: tcp\n",
            7,
            "spec.ports[0].protocol",
            "'tcp'",
            id="protocol tcp",
        ),
        pytest.param(
            SERVICE + "  ports:\n  - port: 80\n    targetPort: '70000'\n",
            7,
            "spec.ports[0].targetPort",
            "within 1..65535",
            id="target port 70000",
        ),
        pytest.param(
            SERVICE + "  clusterIP: 10.0.0\n",
            5,
            "spec.clusterIP",
            "is not an IP address",
            id="half an address",
        ),
        pytest.param(
            POD + "  podIP: '::1%\\u202e'\n",
            5,
            "status.podIP",
            "is not an IP address",
            id="an address with a scope",
        ),
        pytest.param(NODE + "  podCIDR: x\n", 4, "spec.podCIDRs", "is no network", id="no network"),
        pytest.param(HEAD + "  name: again\n", 5, "", "key 'name' is given twice", id="a key twice"),
        pytest.param("a: &a [*a]\n", 1, "", "stands for nothing, or for itself", id="an alias of itself"),
        pytest.param(
            "a: !!python/object/apply:os.system [id]\n", 1, "", "has no meaning here", id="a Python object"
        ),
        pytest.param("a: !!python/name:os.system x\n", 1, "", "has no meaning here", id="a Python name"),
        pytest.param("a: 1\nb: \x07\n", 2, "", "control characters", id="a control character"),
        pytest.param("? [a]\n: b\n", 1, "", "must be a word", id="a list for a key"),
        pytest.param("[" * 100_000, 1, "", "nested deeper", id="deep flow"),
        pytest.param("- " * 100_000, 1, "", "nested deeper", id="deep block"),
        pytest.param('{"a":' * 100_000, 1, "", "nested deeper", id="deep JSON in YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, line: int | None, field: str, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_text(tmp_path, text)
    error = caught.value
    assert (error.file, error.line, error.field) == (str(tmp_path / "cluster.yaml"), line, field)
    assert words in error.reason
    assert "\u202e" not in str(error)


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        pytest.param('{"apiVersion": "v1",\n"kind": }', 2, "", "JSON is malformed", id="syntax"),
        pytest.param('{"apiVersion": "v1",\n"kind": "L', 2, "", "cut off", id="cut off"),
        pytest.param('{"a": 1}\n{"a":\n 2}\nx', 4, "", "invalid character", id="objects and a word"),
        pytest.param('{"a": 1}\n{"a":\n 2', 3, "", "cut off", id="objects, cut off"),
        pytest.param(
            '{"kind": "Pod", "apiVersion": "v1"}\n[1]', 1, "metadata.name", "is missing", id="no name"
        ),
        pytest.param('\n{"items": ' + "[" * 100_000, None, "", "nested too deeply", id="deep"),
        pytest.param(
            '{"kind": "List", "apiVersion": "v1", "items": [\n{"kind": "Pod", "apiVersion": "v1",\n'
            '"metadata": {"name": "p",\n"labels": {"a": null}}}]}',
            4,
            "items[0].metadata.labels.a",
            "must be a string, is nothing",
            id="a label of nothing",
        ),
        pytest.param(b'{"kind": "Pod\xff"}', 1, "", "not UTF-8", id="not UTF-8"),
    ],
)
def test_wrong_json(tmp_path: Path, text: str | bytes, line: int | None, field: str, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_text(tmp_path, text, "cluster.json")
    assert words in caught.value.reason
    assert caught.value.field == field
    assert caught.value.line == line


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "m0: &m0 {k0: 1}\n" + "".join(
    f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize("text", [pytest.param(BOMB, id="aliases"), pytest.param(MERGES, id="merges")])
def test_bombs_are_refused_at_once(tmp_path: Path, text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ManifestError, match="aliases expand to more than 1,000,000 nodes"):
        read_text(tmp_path, text)
    assert time.perf_counter() - began < 5


def test_json_objects_that_follow_each_other_are_read(tmp_path: Path) -> None:
    """As ``kubectl get -o json | jq '.items[]'`` prints them, or with one on each line."""
    objects = cluster()
    expected = read(tmp_path, *objects)
    for indent, between in ((4, "\n"), (None, "\n"), (None, "")):
        text = between.join(json.dumps(one, indent=indent) for one in objects)
        assert read_text(tmp_path, text, "cluster.json") == expected
    broken = [pod("p"), obj("Service", "s", spec={"clusterIP": "x"})]
    with pytest.raises(ManifestError) as caught:
        read_text(tmp_path, "\n".join(json.dumps(one, indent=1) for one in broken), "cluster.json")
    assert caught.value.field == "spec.clusterIP"
    assert caught.value.line is not None
    assert "clusterIP" in (tmp_path / "cluster.json").read_text().splitlines()[caught.value.line - 1]


@pytest.mark.parametrize(
    ("given_target", "target"),
    [
        (None, 80),
        (0, 80),
        ("", 80),
        (8080, 8080),
        ("8080", 8080),
        ("0", 80),
        ("web", "web"),
        ("8080-tcp", "8080-tcp"),
    ],
)
def test_a_target_port_in_quotes_is_the_number(tmp_path: Path, given_target: Any, target: int | str) -> None:
    found = read(tmp_path, obj("Service", "s", spec={"ports": [{"port": 80, "targetPort": given_target}]}))
    assert [port.target for port in found.services[0].ports] == [target]


def test_lists_within_lists_come_to_an_end(tmp_path: Path) -> None:
    deep = listed()
    for _ in range(30):
        deep = listed(deep)
    with pytest.raises(ManifestError, match="List within"):
        read(tmp_path, deep)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"flow":{"verdict":"FORWARDED"},"node_name":"n"}\n' * 3, "flows.json"),
        ('{"flow":{"verdict":"FORWARDED"},"node_name":"n"}\n', "flows.yaml"),
        ('{"lost_events":{"num_events_lost":"1"}}\n{"flow":{}}\n', "flows.log"),
        ('{\n "flow": {\n}\n}\n{\n "flow": {\n}\n}\n', "flows.json"),
    ],
)
def test_flows_are_named_as_such(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(FormatError, match="holds recorded flows"):
        read_text(tmp_path, text, name)


def test_nothing_to_read_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n---\n")
    (tmp_path / "none").mkdir()
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bxxxx")
    for paths in ([], [tmp_path / "absent"], [tmp_path / "none"], [tmp_path / "empty.yaml"]):
        with pytest.raises(InputError) as caught:
            read_manifests(paths)
        assert "kubectl get ns,nodes,pods" in str(caught.value)
    for path in (tmp_path / "broken.gz", tmp_path / ("x" * 5000)):
        with pytest.raises(InputError, match="cannot be read"):
            read_manifests([path])


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.cluster.documents.MAX_BYTES", 1 << 20)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_text(tmp_path, gzip.compress(b" " * (64 << 20)), "bomb.yaml.gz")


def test_a_cluster_with_nothing_in_it_is_an_answer(tmp_path: Path) -> None:
    found = read_text(tmp_path, "apiVersion: v1\nkind: PodList\nitems: []\n")
    assert not found.pods
    assert found.kinds == {"Pod"}


# ---- what always holds --------------------------------------------------------------------------


def cluster() -> list[Object]:
    return [
        obj("Namespace", "shop", labels={"team": "a"}),
        obj("Node", "n1", status={"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]}),
        controller("Deployment", "web", {"app": "web"}, {"containerPort": 8080}),
        *(
            controller("ReplicaSet", f"web-{n}", {"app": "web", "v": n}, owner="Deployment/web", created=n)
            for n in ("1", "2")
        ),
        *(
            pod(f"web-1-{n}", "10.0.0.1", labels={"app": "web", "n": n}, owner="ReplicaSet/web-1")
            for n in "abc"
        ),
        obj("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        obj("ConfigMap", "c"),
    ]


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_objects_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("order")
    objects = cluster()
    before = read(folder, *objects)
    rng.shuffle(objects)
    after = read(folder, *objects)
    assert after == before
    assert [*after.workloads, *after.namespaces, *after.owners] == [
        *before.workloads,
        *before.namespaces,
        *before.owners,
    ]


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(yaml.safe_dump(listed(*cluster())))
    as_yaml = read_manifests([tmp_path / "a"])
    (tmp_path / "a").write_text(json.dumps(listed(*cluster())))
    assert read_manifests([tmp_path / "a"]) == as_yaml


@pytest.mark.parametrize(
    ("folder", "workloads", "policies"), [("online-boutique", 12, 13), ("sock-shop", 14, 13)]
)
def test_real_manifests(real_samples: Path, folder: str, workloads: int, policies: int) -> None:
    found = read_manifests([real_samples / folder])
    assert (len(found.workloads), len(found.policies)) == (workloads, policies)
    assert all(w.selector is not None and w.label_sets[0] for w in found.workloads.values())
