"""From traffic to policies: what they admit, and that nobody else gets in."""

from __future__ import annotations

import dataclasses

import pytest

from recommender.cluster.inventory import Node
from recommender.errors import OptionError
from recommender.learning.learn import MANAGED_BY
from recommender.options import Destination, Options
from recommender.policy.judge import Judge
from recommender.policy.model import Endpoint, Policy, Rule
from recommender.policy.selector import EVERYTHING, labels_of
from recommender.recommend import Recommendation
from scene import Scene

WEB = {
    "app": "web",
    "pod-template-hash": "7848d6c4d5",
    "helm.sh/chart": "web-1.0.0",
    "app.kubernetes.io/version": "1.0",
}
NEXT_WEB = WEB | {
    "pod-template-hash": "5c9d8b7f66",
    "helm.sh/chart": "web-2.0.0",
    "app.kubernetes.io/version": "2.0",
}


def policy(found: Recommendation, name: str) -> Policy:
    (one,) = [p for p in found.policies if str(p) == name]
    return one


def pod(namespace: str, labels: dict[str, str], name: str = "", **more: object) -> Endpoint:
    return Endpoint(namespace, labels_of(labels), name=name, **more)  # type: ignore[arg-type]


def address(ip: str) -> Endpoint:
    return Endpoint(None, (), (ip,))


def allowed(
    found: Recommendation, source: Endpoint, destination: Endpoint, port: int, protocol: str = "TCP"
) -> bool:
    judge = Judge(found.policies, found.inventory.namespace_labels())
    return judge.verdict(source, destination, protocol, port).allowed  # type: ignore[arg-type]


@pytest.fixture
def shop() -> Scene:
    scene = Scene()
    scene.workload("shop/web", WEB, pods=2, selector={"app": "web"})
    scene.workload("shop/cart", {"app": "cart"}, selector={"app": "cart"})
    scene.workload("data/db", {"app": "db"}, kind="StatefulSet", pods=3, selector={"app": "db"})
    scene.talk("shop/web", "shop/cart", 8080)
    scene.talk("shop/cart", "data/db", 5432)
    return scene


def test_what_was_seen_is_admitted_and_nothing_else(shop: Scene) -> None:
    found = shop.recommend()
    web, cart, db = pod("shop", WEB), pod("shop", {"app": "cart"}), pod("data", {"app": "db"})
    assert allowed(found, web, cart, 8080)
    assert allowed(found, cart, db, 5432)
    for source, destination, port in [
        (cart, web, 8080),
        (web, cart, 8081),
        (web, db, 5432),
        (db, cart, 8080),
    ]:
        assert not allowed(found, source, destination, port)
    assert not allowed(found, cart, address("1.1.1.1"), 443)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(NEXT_WEB, id="rollout and chart upgrade"),
        pytest.param(WEB | {"added-later": "yes"}, id="a label is added"),
    ],
)
def test_policies_hold_for_the_next_generation(shop: Scene, labels: dict[str, str]) -> None:
    found = shop.recommend()
    assert allowed(found, pod("shop", labels, "web-99"), pod("shop", {"app": "cart"}), 8080)
    assert "7848d6c4d5" not in found.yaml
    assert "1.0" not in found.yaml


def test_a_generation_seen_only_in_the_flows_shows_what_moves(shop: Scene) -> None:
    shop.workload("shop/api", {"app": "api", "stage": "b"}, selector={"app": "api"})
    old = {**shop._ends("shop/api")[0], "pod": "api-7848d6c4d5-th9v2", "ip": "10.244.9.9"}
    shop.edge({**old, "labels": labels_of({"app": "api", "stage": "a"})}, shop._ends("shop/cart")[0], 8080)
    shop.talk("shop/api", "shop/cart", 8080)
    found = shop.recommend()
    assert "stage" not in found.yaml
    assert allowed(found, pod("shop", {"app": "api", "stage": "c"}), pod("shop", {"app": "cart"}), 8080)


def test_a_stateful_sets_pod_keeps_its_name_but_not_its_labels(shop: Scene) -> None:
    before = {**shop._ends("data/db")[0], "labels": labels_of({"app": "db", "stage": "a"})}
    for end in (before, {**before, "labels": labels_of({"app": "db", "stage": "b"})}):
        shop.edge(end, shop._ends("shop/cart")[0], 8080)
    found = shop.recommend()
    assert "stage" not in found.yaml
    assert allowed(found, pod("data", {"app": "db"}), pod("shop", {"app": "cart"}), 8080)


def test_the_next_run_of_a_cron_job_is_admitted() -> None:
    scene = Scene()
    run = {"app": "report", "job-name": "report-29384760", "batch.kubernetes.io/controller-uid": "6f1c1c1e"}
    scene.workload("batch/report", run, kind="CronJob", schedule="0 3 * * *")
    scene.workload("data/db", {"app": "db"}, kind="StatefulSet", selector={"app": "db"})
    scene.talk("batch/report", "data/db", 5432)
    found = scene.recommend()
    following = {"app": "report", "job-name": "report-29386200", "batch.kubernetes.io/controller-uid": "aa"}
    assert allowed(found, pod("batch", following), pod("data", {"app": "db"}), 5432)
    assert "29384760" not in found.yaml


def test_stateful_set_peers_talk_to_each_other(shop: Scene) -> None:
    shop.talk("data/db", "data/db", 7000)
    found = shop.recommend()
    assert allowed(found, pod("data", {"app": "db"}, "db-0"), pod("data", {"app": "db"}, "db-7"), 7000)
    assert "db-0" not in found.yaml


def test_one_app_in_two_versions_is_one_subject() -> None:
    scene = Scene()
    for version in ("v1", "v2"):
        labels = {"app": "web", "version": version}
        scene.workload(f"shop/web-{version}", labels, selector=labels)
    scene.workload("shop/cart", {"app": "cart"}, selector={"app": "cart"})
    scene.talk("shop/web-v1", "shop/cart", 8080)
    found = scene.recommend()
    web = policy(found, "shop/web")
    assert str(web.subjects) == "app=web"
    assert allowed(found, pod("shop", {"app": "web", "version": "v3"}), pod("shop", {"app": "cart"}), 8080)
    assert any("web-v2" in str(line.subjects) + str(line.peers) for line in found.widened), (
        "and it is said so"
    )


def test_look_alikes_in_another_namespace_are_never_admitted(shop: Scene) -> None:
    shop.workload("staging/web", WEB, selector={"app": "web"})
    shop.workload("staging/cart", {"app": "cart"}, selector={"app": "cart"})
    shop.talk("staging/web", "staging/cart", 8080)
    found = shop.recommend()
    assert not allowed(found, pod("staging", WEB), pod("shop", {"app": "cart"}), 8080)
    assert not allowed(found, pod("staging", {"app": "cart"}), pod("data", {"app": "db"}), 5432)
    assert allowed(found, pod("staging", WEB), pod("staging", {"app": "cart"}), 8080)


def test_the_same_name_in_two_namespaces_is_admitted_from_where_it_was_seen(shop: Scene) -> None:
    labels = {"app.kubernetes.io/name": "redis"}
    for namespace in ("one", "two", "three"):
        shop.workload(f"{namespace}/redis", labels, selector=labels)
    shop.talk("one/redis", "shop/cart", 9000)
    shop.talk("two/redis", "shop/cart", 9000)
    found = shop.recommend()
    cart = pod("shop", {"app": "cart"})
    assert allowed(found, pod("one", labels), cart, 9000)
    assert allowed(found, pod("two", labels), cart, 9000)
    assert not allowed(found, pod("three", labels), cart, 9000)
    assert not allowed(found, pod("shop", labels), cart, 9000)
    (rule,) = [r for r in policy(found, "shop/cart").ingress or () if "9000" in str(r.ports[0])]  # type: ignore[index]
    assert rule.peers is not None
    assert len(rule.peers) == 1, "one selector that holds in two namespaces is one peer"


def test_a_peer_elsewhere_is_one_element_with_both_selectors(shop: Scene) -> None:
    for each in shop.recommend().policies:
        for rule in (*(each.ingress or ()), *(each.egress or ())):
            for peer in rule.peers or ():
                if peer.block is None and peer.namespaces is not None:
                    assert peer.pods is not None
                    assert peer.pods != EVERYTHING


def test_peers_that_share_ports_and_ports_that_share_peers_are_one_rule(shop: Scene) -> None:
    for name in ("a", "b"):
        shop.workload(f"shop/{name}", {"app": name}, selector={"app": name})
        shop.talk(f"shop/{name}", "shop/cart", 8080)
        shop.talk(f"shop/{name}", "shop/cart", 9090)
    shop.talk("shop/web", "shop/cart", 9090)
    (rule,) = policy(shop.recommend(), "shop/cart").ingress or ()
    assert [str(port) for port in rule.ports or ()] == ["8080/TCP", "9090/TCP"]
    assert [str(peer.pods) for peer in rule.peers or ()] == ["app in (a, b, web)"]


def test_consecutive_ports_are_a_range(shop: Scene) -> None:
    for port in range(7000, 7006):
        shop.talk("data/db", "data/db", port)
    rules = policy(shop.recommend(), "data/db").egress or ()
    assert [[str(p) for p in rule.ports or ()] for rule in rules] == [["7000-7005/TCP"]]


def test_protocols_are_kept_apart(shop: Scene) -> None:
    shop.talk("shop/web", "shop/cart", 3868, "SCTP")
    shop.talk("shop/web", "shop/cart", 8125, "UDP")
    found = shop.recommend()
    web, cart = pod("shop", WEB), pod("shop", {"app": "cart"})
    assert allowed(found, web, cart, 3868, "SCTP")
    assert not allowed(found, web, cart, 3868, "TCP")
    assert allowed(found, web, cart, 8125, "UDP")


# The contract


def test_every_protected_namespace_gets_default_deny_and_dns(shop: Scene) -> None:
    found = shop.recommend()
    assert {p.namespace for p in found.policies} == {"shop", "data"}, (
        "the system's own namespaces are left alone"
    )
    for namespace in ("shop", "data"):
        deny = policy(found, f"{namespace}/default-deny")
        assert (deny.subjects, deny.ingress, deny.egress) == (EVERYTHING, (), ())
        (rule,) = policy(found, f"{namespace}/allow-infra-egress").egress or ()
        assert rule.why == "mandatory: DNS"
        assert [str(port) for port in rule.ports or ()] == ["53/TCP", "53/UDP"]
        assert [(str(p.namespaces), str(p.pods)) for p in rule.peers or ()] == [
            ("kubernetes.io/metadata.name=kube-system", "k8s-app=kube-dns")
        ]


def test_dns_is_admitted_on_the_port_it_really_listens_on() -> None:
    scene = Scene(dns=False)
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
    scene.workload("openshift-dns/dns-default", labels, kind="DaemonSet", ports={"dns": ("UDP", 5353)})
    scene.service("openshift-dns/dns-default", labels, "172.30.0.10", {53: "dns"}, protocol="UDP")
    scene.workload("shop/web", WEB, selector={"app": "web"})
    scene.talk("shop/web", "openshift-dns/dns-default", 5353, "UDP")
    found = scene.recommend(namespaces=("shop",))
    (rule,) = policy(found, "shop/allow-infra-egress").egress or ()
    assert [str(port) for port in rule.ports or ()] == ["5353/TCP", "5353/UDP"]


def test_a_flow_to_the_service_address_becomes_the_pods_port() -> None:
    scene = Scene(dns=False)
    labels = {"k8s-app": "kube-dns"}
    scene.workload("kube-system/coredns", labels, ports={"dns": ("UDP", 5353)})
    scene.service("kube-system/kube-dns", labels, "10.96.0.10", {53: "dns"}, protocol="UDP")
    scene.workload("shop/web", WEB, selector={"app": "web"})
    scene.workload("shop/cart", {"app": "cart"}, selector={"app": "cart"}, ports={"http": ("TCP", 8080)})
    scene.service("shop/cart", {"app": "cart"}, "10.96.0.20", {80: "http"})
    scene.talk("shop/web", "ip:10.96.0.10", 53, "UDP")
    scene.talk("shop/web", "ip:10.96.0.20", 80)
    found = scene.recommend()
    (rule,) = policy(found, "shop/web").egress or ()
    assert [str(port) for port in rule.ports or ()] == ["8080/TCP"]
    assert "10.96.0" not in found.yaml


@pytest.mark.parametrize("seen", [True, False])
def test_node_local_dns_is_admitted_where_it_is_seen(shop: Scene, seen: bool) -> None:
    if seen:
        shop.talk("shop/web", "host@169.254.20.10", 53, "UDP")
    found = shop.recommend()
    assert ("169.254.20.10/32" in found.yaml) is seen
    if seen:
        assert allowed(found, pod("data", {"app": "db"}), address("169.254.20.10"), 53, "UDP"), (
            "for all, as DNS is"
        )


def test_dns_is_assumed_and_said_so_where_nothing_is_known() -> None:
    scene = Scene(dns=False, known=False)
    scene.workload("shop/web", WEB)
    scene.workload("shop/cart", {"app": "cart"})
    scene.talk("shop/web", "shop/cart", 8080)
    found = scene.recommend()
    assert any("assumed" in warning for warning in found.warnings)
    assert allowed(found, pod("shop", WEB), pod("kube-system", {"k8s-app": "kube-dns"}), 53, "UDP")


def test_dns_servers_in_a_protected_namespace_answer_everybody(shop: Scene) -> None:
    found = shop.recommend(namespaces=("kube-system", "shop"))
    assert allowed(
        found, pod("anywhere", {"app": "new"}), pod("kube-system", {"k8s-app": "kube-dns"}), 53, "UDP"
    )
    assert not allowed(
        found, pod("anywhere", {"app": "new"}), pod("kube-system", {"k8s-app": "kube-dns"}), 8080
    )


def test_the_api_server_is_an_address_for_those_who_use_it(shop: Scene) -> None:
    shop.api_server("192.168.0.11", "192.168.0.12")
    shop.talk("shop/cart", "kube-apiserver@192.168.0.11", 6443)
    found = shop.recommend()
    cart, web = pod("shop", {"app": "cart"}), pod("shop", WEB)
    for ip in ("192.168.0.11", "192.168.0.12"):
        assert allowed(found, cart, address(ip), 6443)
        assert not allowed(found, web, address(ip), 6443)
    assert not allowed(found, cart, address("192.168.0.11"), 443)
    assert not allowed(found, cart, address("192.168.0.13"), 6443)


def test_the_service_address_of_the_api_server_becomes_its_own(shop: Scene) -> None:
    shop.api_server("203.0.113.9")
    shop.service("default/kubernetes", {}, "10.96.0.1", {443: 6443})
    shop.talk("shop/cart", "ip:10.96.0.1", 443)
    found = shop.recommend()
    assert allowed(found, pod("shop", {"app": "cart"}), address("203.0.113.9"), 6443)
    assert "10.96.0.1/32" not in found.yaml


def test_metadata_is_for_those_seen_using_it(shop: Scene) -> None:
    shop.talk("shop/cart", "ip:169.254.169.254", 80)
    found = shop.recommend()
    assert allowed(found, pod("shop", {"app": "cart"}), address("169.254.169.254"), 80)
    assert not allowed(found, pod("shop", WEB), address("169.254.169.254"), 80)


def contract(**said: str) -> tuple[Destination, ...]:
    base = {entry.name: entry for entry in Options().contract}
    changed = {k.replace("_", "-"): v for k, v in said.items()}
    return tuple(dataclasses.replace(e, when=changed.get(n, e.when)) for n, e in base.items())  # type: ignore[arg-type]


def test_the_contract_says_always_observed_or_never(shop: Scene) -> None:
    shop.api_server("192.168.0.11")
    shop.talk("shop/cart", "kube-apiserver@192.168.0.11", 6443)
    shop.talk("shop/cart", "ip:169.254.169.254", 80)
    found = shop.recommend(contract=contract(api_server="always", metadata="never", dns="observed"))
    assert allowed(found, pod("data", {"app": "db"}), address("192.168.0.11"), 6443)
    assert not allowed(found, pod("shop", {"app": "cart"}), address("169.254.169.254"), 80)
    assert not allowed(found, pod("shop", WEB), pod("kube-system", {"k8s-app": "kube-dns"}), 53, "UDP")
    assert [d.reason for d in found.decisions] == ["the contract says never: cloud metadata"]
    (rule,) = policy(found, "shop/allow-infra-egress").egress or ()
    assert rule.why == "mandatory: the API server"


def test_a_destination_of_ones_own_is_always_there(shop: Scene) -> None:
    shop.workload("vault/vault", {"app": "vault"}, selector={"app": "vault"})
    own = (
        Destination("vault", "always", "vault", (("app", "vault"),), "", (("TCP", 8200),)),
        Destination("proxy", "always", "", (), "192.0.2.8/32", (("TCP", 3128),)),
    )
    found = shop.recommend(contract=(*Options().contract, *own))
    assert allowed(found, pod("data", {"app": "db"}), pod("vault", {"app": "vault"}), 8200), (
        "and it lets them in"
    )
    assert allowed(found, pod("data", {"app": "db"}), address("192.0.2.8"), 3128)


def test_monitoring_that_is_always_there_still_reaches_what_it_scrapes(shop: Scene) -> None:
    shop.workload(
        "monitoring/prometheus",
        {"app": "prometheus"},
        selector={"app": "prometheus"},
        ports={"web": ("TCP", 9090)},
    )
    shop.talk("monitoring/prometheus", "shop/cart", 9100)
    prometheus, cart = pod("monitoring", {"app": "prometheus"}), pod("shop", {"app": "cart"})
    found = shop.recommend(contract=contract(monitoring="always"))
    assert allowed(found, prometheus, cart, 9100)
    assert allowed(found, cart, prometheus, 9090), "always is for everybody, and lets them in"
    assert "9090" in str(policy(found, "shop/allow-infra-egress").egress)
    found = shop.recommend(contract=contract(monitoring="never"))
    assert not allowed(found, prometheus, cart, 9100)


def test_node_local_dns_listens_elsewhere_than_the_dns_pods() -> None:
    scene = Scene(dns=False)
    labels = {"k8s-app": "kube-dns"}
    scene.workload("kube-system/coredns", labels, ports={"dns": ("UDP", 5353)})
    scene.service("kube-system/kube-dns", labels, "10.96.0.10", {53: "dns"}, protocol="UDP")
    scene.workload("shop/web", WEB, selector={"app": "web"})
    scene.talk("shop/web", "host@169.254.20.10", 53, "UDP")
    web, dns = pod("shop", WEB), pod("kube-system", labels)
    found = scene.recommend()
    assert allowed(found, web, dns, 5353, "UDP")
    assert not allowed(found, web, dns, 53, "UDP")
    assert allowed(found, web, address("169.254.20.10"), 53, "UDP")
    assert not allowed(found, web, address("169.254.20.10"), 5353, "UDP")


# What is outside, and nodes


def test_a_name_behind_many_addresses_is_one_wide_block(shop: Scene) -> None:
    for n in range(1, 41):
        shop.talk("shop/cart", f"ip:{50 + n}.1.2.3", 443, names=("api.example.com",))
    found = shop.recommend()
    rules = policy(found, "shop/cart").egress or ()
    (block,) = [peer.block for rule in rules for peer in rule.peers or () if peer.block]
    assert str(block).startswith("0.0.0.0/0 except 10.0.0.0/8, 100.64.0.0/10")
    assert "/32" not in found.yaml
    assert not allowed(found, pod("shop", {"app": "cart"}), address("169.254.169.254"), 443)
    assert not allowed(found, pod("shop", {"app": "cart"}), address("1.2.3.4"), 80)
    assert any("0.0.0.0/0" in str(line.peers) for line in found.widened)
    ((_, wide),) = found.learned.wide.items()
    assert wide[0].names == ("api.example.com",)


@pytest.mark.parametrize(
    ("addresses", "names", "expected"),
    [
        pytest.param(["93.184.216.34"], (), ["93.184.216.34/32"], id="a fixed address alone"),
        pytest.param(["93.184.216.34"], ("a.example",), ["93.184.216.34/32"], id="a name with one address"),
        pytest.param(["93.1.1.1", "94.1.1.1"], (), ["93.1.1.1/32", "94.1.1.1/32"], id="two without a name"),
        pytest.param(["93.1.1.1", "93.1.1.9"], ("a.example",), ["93.1.1.0/24"], id="a name within one /24"),
        pytest.param(["93.1.1.1", "93.1.7.9"], ("a.example",), ["93.1.0.0/16"], id="a name within one /16"),
        pytest.param(
            ["10.9.0.5", "10.9.7.6"], ("db.corp",), ["10.9.0.5/32", "10.9.7.6/32"], id="private ones stay"
        ),
        pytest.param(["2606:4700::1", "2606:4700::9"], ("a.example",), ["2606:4700::/64"], id="IPv6"),
    ],
)
def test_blocks_for_what_is_outside(
    shop: Scene, addresses: list[str], names: tuple[str, ...], expected: list[str]
) -> None:
    for ip in addresses:
        shop.talk("shop/cart", f"ip:{ip}", 443, names=names)
    rules = policy(shop.recommend(), "shop/cart").egress or ()
    blocks = [peer.block.cidr for rule in rules for peer in rule.peers or () if peer.block]
    assert blocks == expected


def test_many_clients_outside_are_one_block(shop: Scene) -> None:
    for n in range(1, 9):
        shop.talk(f"ip:{n}0.9.8.7", "shop/web", 443)
    found = shop.recommend()
    assert allowed(found, address("99.9.9.9"), pod("shop", WEB), 443)
    assert not allowed(found, address("192.168.0.77"), pod("shop", WEB), 443)


def test_other_nodes_are_admitted_by_address_and_the_own_one_needs_no_rule(shop: Scene) -> None:
    (web,) = shop.pods_of("shop/web")[:1]
    shop.edge(shop._ends("host@192.168.0.11")[0], shop._ends("shop/web")[0], 8081)
    assert web.node == "node-1"
    found = shop.recommend()
    assert policy(found, "shop/web").ingress is None
    assert "a pod's own node always reaches it" in {d.reason for d in found.decisions}
    shop.talk("remote-node@192.168.0.12", "shop/cart", 30080)
    assert allowed(shop.recommend(), address("192.168.0.12"), pod("shop", {"app": "cart"}), 30080)


def test_a_pod_on_the_host_network_is_its_node(shop: Scene) -> None:
    shop.workload("monitoring/exporter", {"app": "exporter"}, kind="DaemonSet", pods=2, host_network=True)
    shop.talk("monitoring/exporter", "shop/cart", 9100)
    gone = {**shop._ends("monitoring/exporter")[0], "pod": "exporter-x7k2p", "ip": "192.168.0.12"}
    shop.edge(
        {**gone, "workload_kind": "DaemonSet", "workload": "exporter"}, shop._ends("shop/cart")[0], 9101
    )
    found = shop.recommend()
    assert allowed(found, address("192.168.0.12"), pod("shop", {"app": "cart"}), 9101)
    assert allowed(found, address("192.168.0.11"), pod("shop", {"app": "cart"}), 9100)
    assert not allowed(found, pod("monitoring", {"app": "exporter"}), pod("shop", {"app": "cart"}), 9100)
    assert "monitoring" not in found.by_namespace or not any(
        str(p.subjects) == "app=exporter" for p in found.policies
    )


@pytest.mark.parametrize(
    ("internal", "external", "expected"),
    [
        pytest.param(["192.168.0.11", "192.168.0.12"], [], ["192.168.0.8/29"], id="one subnet"),
        pytest.param(
            ["172.18.0.10", "172.18.0.11", "192.168.7.9"], [], ["172.18.0.10/31", "192.168.7.9/32"], id="two"
        ),
        pytest.param(
            ["172.18.0.10", "172.18.0.11"], ["131.7.8.9", "198.51.100.4"], ["172.18.0.10/31"], id="external"
        ),
        pytest.param(
            ["10.244.0.1", "10.244.0.9"], [], ["10.244.0.1/32", "10.244.0.9/32"], id="among the pods"
        ),
    ],
)
def test_nodes_are_a_block_for_each_subnet_and_never_wider(
    shop: Scene, internal: list[str], external: list[str], expected: list[str]
) -> None:
    shop.nodes = [Node(f"n{ip}", (ip,), (), tuple(external)) for ip in internal]
    shop.talk(f"remote-node@{internal[0]}", "shop/cart", 30080)
    rules = policy(shop.recommend(), "shop/cart").ingress or ()
    assert [p.block.cidr for rule in rules for p in rule.peers or () if p.block] == expected


def test_labels_that_look_like_versions_are_names_in_the_workloads_own_selector() -> None:
    scene = Scene()
    for name in ("python-3.11", "web-1.0", "feedface1"):
        scene.workload(f"shop/{name}", {"app": name}, selector={"app": name})
    scene.talk("shop/python-3.11", "shop/web-1.0", 80)
    scene.talk("shop/web-1.0", "shop/feedface1", 80)
    assert len(scene.recommend().links) == 2


def test_dns_for_pods_without_labels_is_learned_with_everybodys(shop: Scene) -> None:
    shop.workload("shop/bare", {}, kind="Pod")
    shop.talk("shop/bare", "kube-system/coredns", 53, "UDP")
    found = shop.recommend()
    assert not found.decisions
    assert len(found.links) == 3


def test_dns_that_is_observed_is_admitted_over_both_protocols(shop: Scene) -> None:
    shop.talk("shop/web", "kube-system/coredns", 53, "UDP")
    found = shop.recommend(contract=contract(dns="observed"))
    dns = pod("kube-system", {"k8s-app": "kube-dns"})
    assert allowed(found, pod("shop", WEB), dns, 53, "TCP")
    assert not allowed(found, pod("shop", {"app": "cart"}), dns, 53, "UDP")


# Which namespaces, which names


def test_namespaces_are_chosen_by_hand_by_configuration_and_by_annotation(shop: Scene) -> None:
    assert set(shop.recommend(namespaces=("shop",)).by_namespace) == {"shop"}
    assert set(shop.recommend(exclude=("shop",)).by_namespace) == {"data"}
    shop.namespaces["data"] = dataclasses.replace(
        shop.namespaces["data"], annotations=(("zt-recommend.io/protect", "false"),)
    )
    assert set(shop.recommend().by_namespace) == {"shop"}
    assert set(shop.recommend(namespaces=("data",)).by_namespace) == {"data"}, "naming it includes it"
    with pytest.raises(
        OptionError, match=r"namespace 'shpo' is neither .* known are data, kube-system, shop"
    ):
        shop.recommend(namespaces=("shpo",))


def test_a_policy_of_somebody_elses_is_never_overwritten(shop: Scene) -> None:
    shop.policies += [
        Policy("shop", "cart", EVERYTHING, (), None),
        Policy("shop", "web", EVERYTHING, (), None, (MANAGED_BY,)),
        Policy("shop", "default-deny", EVERYTHING, (), None),
    ]
    shop.policies.append(Policy("shop", "cart-learned", EVERYTHING, (), None))
    found = shop.recommend()
    names = {str(p) for p in found.policies}
    assert {"shop/cart-learned-learned", "shop/web", "shop/default-deny-learned"} <= names
    assert not names & {"shop/cart", "shop/cart-learned"}
    assert sum("is somebody else's policy" in warning for warning in found.warnings) == 2


def test_two_kinds_of_one_name_get_two_policies(shop: Scene) -> None:
    for kind, name, labels in (
        ("Deployment", "shop/x", {"app": "api"}),
        ("StatefulSet", "shop/x", {"app": "store"}),
    ):
        shop.workload(name, labels, kind=kind, selector=labels)
        shop.workloads[f"{name} {kind}"] = shop.workloads.pop(name)
    shop.talk("shop/x", "shop/cart", 80)
    names = {p.name for p in shop.recommend().policies}
    assert {"x-deployment", "x-statefulset"} <= names


# What is kept open, what is said besides


def test_what_others_policies_keep_open_is_named(shop: Scene) -> None:
    shop.policies.append(Policy("data", "open", EVERYTHING, (Rule(None, None),), None))
    (line,) = shop.recommend().kept_open
    assert (str(line.policy), line.peers, line.ports) == ("data/open", ("anyone",), "every port")


def test_every_rule_has_evidence_or_is_mandatory(shop: Scene) -> None:
    found = shop.recommend()
    for each in found.policies:
        for direction in ("ingress", "egress"):
            for n, rule in enumerate(each.rules(direction) or ()):  # type: ignore[arg-type]
                links = found.learned.evidence[each.namespace, each.name, direction, n]  # type: ignore[index]
                assert rule.why.startswith("mandatory: ") or links


def test_workloads_that_nothing_was_seen_of_are_named(shop: Scene) -> None:
    ref = shop.workload("batch/monthly", {"app": "monthly"}, kind="CronJob", schedule="0 0 1 * *", pods=0)
    assert ref in shop.recommend().unseen


def test_pods_without_labels_are_inexpressible_and_said_so(shop: Scene) -> None:
    shop.workload("shop/bare", {}, kind="Pod")
    shop.talk("shop/bare", "shop/cart", 8080)
    (decision,) = shop.recommend().decisions
    assert decision.action == "inexpressible"
    assert decision.reason == (
        "no lasting label selects shop/bare and nothing else: give its pods one, or name one "
        "that looks as if it moved under labels.stable in the configuration"
    )


def test_without_a_snapshot_the_labels_in_the_flows_are_enough(shop: Scene) -> None:
    shop.known = False
    found = shop.recommend()
    assert allowed(found, pod("shop", NEXT_WEB), pod("shop", {"app": "cart"}), 8080)
    assert not allowed(found, pod("other", NEXT_WEB), pod("shop", {"app": "cart"}), 8080)
    assert any("no snapshot was given" in warning for warning in found.warnings)


@pytest.mark.parametrize("known", [True, False], ids=["snapshot", "no snapshot"])
def test_workloads_only_the_flows_know_of_are_learned_too(shop: Scene, known: bool) -> None:
    shop.known = known
    new = {**shop._ends("shop/web")[0], "pod": "late-7848d6c4d5-th9v2", "ip": "10.244.7.7"}
    for told in ({}, {"workload_kind": "Deployment", "workload": "late"}):
        shop.edge({**new, **told, "labels": labels_of({"app": "late"})}, shop._ends("shop/cart")[0], 7070)
    found = shop.recommend()
    assert allowed(found, pod("shop", {"app": "late"}), pod("shop", {"app": "cart"}), 7070)
    assert policy(found, "shop/late").egress
