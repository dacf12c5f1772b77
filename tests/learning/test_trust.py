"""What is not learned, and why."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from recommender.recommend import Recommendation
from scene import Scene


@pytest.fixture
def shop() -> Scene:
    scene = Scene()
    for name in ("web", "cart", "pay"):
        scene.workload(f"shop/{name}", {"app": name}, selector={"app": name}, ports={"http": ("TCP", 8080)})
    scene.talk("shop/web", "shop/cart", 8080)
    return scene


def reasons(found: Recommendation) -> dict[str, int]:
    """Why not -> how many links."""
    return {f"{d.action}: {d.reason}": len(d.links) for d in found.decisions}


def learned(found: Recommendation) -> set[str]:
    return {
        f"{link.source}>{link.destination}:{link.port}".replace("Deployment/", "") for link in found.links
    }


def test_what_a_policy_refuses_today_is_not_learned(shop: Scene) -> None:
    shop.talk("shop/web", "shop/pay", 8080, answered=False, denied=1, hours=3)
    found = shop.recommend()
    assert reasons(found) == {"refused: a policy refuses it today": 1}
    assert learned(found) == {"shop/web>shop/cart:8080"}


@pytest.mark.parametrize(
    ("denied_hour", "allowed_hour", "is_learned"),
    [
        pytest.param(2, 5, True, id="a policy refused it once, and no longer does"),
        pytest.param(5, 2, False, id="a policy refuses it since"),
    ],
)
def test_today_is_the_newest_hour_it_was_tried_in(
    shop: Scene, denied_hour: int, allowed_hour: int, is_learned: bool
) -> None:
    shop.talk("shop/web", "shop/pay", 8080, hour=denied_hour, answered=False, denied=1)
    shop.talk("shop/web", "shop/pay", 8080, hour=allowed_hour)
    assert ("shop/web>shop/pay:8080" in learned(shop.recommend())) is is_learned


@pytest.mark.parametrize(("denied_minute", "is_learned"), [(10, True), (50, False)])
def test_within_an_hour_the_last_attempt_tells(shop: Scene, denied_minute: int, is_learned: bool) -> None:
    shop.talk("shop/web", "shop/pay", 8080, minute=30)
    shop.talk("shop/web", "shop/pay", 8080, minute=denied_minute, answered=False, denied=1)
    assert ("shop/web>shop/pay:8080" in learned(shop.recommend())) is is_learned


def test_audited_connections_are_learned(shop: Scene) -> None:
    shop.talk("shop/web", "shop/pay", 8080, answered=None, audited=1)
    assert "shop/web>shop/pay:8080" in learned(shop.recommend())


def test_a_port_nobody_answers_on_is_not_learned(shop: Scene) -> None:
    shop.talk("shop/web", "shop/pay", 9999, answered=False, hours=20)
    assert reasons(shop.recommend()) == {"set aside: nobody was seen to answer on this port": 1}


@pytest.mark.parametrize(
    ("answered", "others", "is_learned"),
    [
        pytest.param(False, True, True, id="it answers others"),
        pytest.param(None, None, True, id="the recording cannot tell"),
        pytest.param(False, None, True, id="it may have answered others"),
        pytest.param(False, False, False, id="it answers nobody"),
    ],
)
def test_unanswered_is_a_matter_of_the_port(
    shop: Scene, answered: bool | None, others: bool | None, is_learned: bool
) -> None:
    shop.talk("shop/web", "shop/pay", 9999, answered=answered)
    shop.talk("shop/cart", "shop/pay", 9999, answered=others)
    assert ("shop/web>shop/pay:9999" in learned(shop.recommend())) is is_learned


@pytest.mark.parametrize(
    ("port", "is_learned"),
    [
        pytest.param(8125, True, id="StatsD is never answered"),
        pytest.param(7777, True, id="a declared port"),
        pytest.param(7778, False, id="any other port"),
    ],
)
def test_udp_may_be_one_way(shop: Scene, port: int, is_learned: bool) -> None:
    shop.workload("shop/sink", {"app": "sink"}, selector={"app": "sink"}, ports={"in": ("UDP", 7777)})
    shop.talk("shop/web", "shop/sink", port, "UDP", answered=False)
    assert (f"shop/web>shop/sink:{port}" in learned(shop.recommend())) is is_learned


def scan(scene: Scene, targets: int = 30, *, answered: bool | None = False, every: float = 0.05) -> None:
    for n in range(targets):
        scene.talk("shop/pay", f"ip:10.60.0.{n + 1}", 22, answered=answered, hour=3, minute=1 + n * every)


def test_a_scan_is_not_learned_nor_what_it_touched_in_passing(shop: Scene) -> None:
    scan(shop)
    shop.talk("shop/pay", "shop/web", 8080, hour=3, minute=1.5)
    shop.talk("shop/pay", "shop/cart", 8080, hours=20)
    found = shop.recommend()
    assert learned(found) == {"shop/web>shop/cart:8080", "shop/pay>shop/cart:8080"}
    (decision,) = found.decisions
    assert decision.reason == (
        "scan by shop/Deployment/pay (pod pay-3): 31 targets within 1 min, 30 of them without an answer"
    )


def test_what_is_touched_by_each_of_several_scans_is_not_learned(shop: Scene) -> None:
    for hour in (3, 9, 15):
        for n in range(30):
            shop.talk("shop/pay", f"ip:10.60.0.{n + 1}", 22, answered=False, hour=hour, minute=1 + n / 20)
        shop.talk("shop/pay", "shop/web", 8080, hour=hour, minute=1.5)
    found = shop.recommend()
    assert learned(found) == {"shop/web>shop/cart:8080"}
    (decision,) = found.decisions
    assert decision.reason.endswith("31 targets within 1 min, 30 of them without an answer, and 2 times more")


def test_only_the_pod_that_scans_is_suspected(shop: Scene) -> None:
    shop.workload("shop/pay", {"app": "pay"}, pods=2, selector={"app": "pay"})
    bad, good = shop._ends("shop/pay")[0], shop._ends("shop/pay")[-1]
    for n in range(30):
        shop.edge(bad, shop._ends(f"ip:10.60.0.{n + 1}")[0], 22, answered=False, minute=n / 10)
    shop.edge(bad, shop._ends("shop/web")[0], 8080, minute=1)
    shop.edge(good, shop._ends("shop/web")[0], 8080, minute=1)
    assert "shop/pay>shop/web:8080" in learned(shop.recommend()), "its sister calls there too"


def test_refused_attempts_are_part_of_a_scan(shop: Scene) -> None:
    for n in range(12):
        shop.talk("shop/pay", "shop/web", 1000 + n, answered=False, denied=1, minute=n / 10)
    assert list(reasons(shop.recommend()).values()) == [12]
    assert "scan by" in next(iter(reasons(shop.recommend())))


def no_scan_few(scene: Scene) -> None:
    scan(scene, 7)


def no_scan_slow(scene: Scene) -> None:
    scan(scene, 30, every=1.5)


def no_scan_answered(scene: Scene) -> None:
    scan(scene, answered=True)


def no_scan_mostly_answered(scene: Scene) -> None:
    scan(scene, 12)
    for n in range(13):
        scene.talk("shop/pay", f"ip:10.61.0.{n + 1}", 22, hour=3, minute=1.2)


@pytest.mark.parametrize(
    "happens",
    [no_scan_few, no_scan_slow, no_scan_answered, no_scan_mostly_answered],
    ids=lambda f: f.__name__,
)
def test_no_scan(shop: Scene, happens: object) -> None:
    happens(shop)  # type: ignore[operator]
    assert not any("scan" in reason for reason in reasons(shop.recommend()))


def test_a_collector_whose_targets_are_partly_down_is_no_scan(shop: Scene) -> None:
    shop.workload("monitoring/prometheus", {"app": "prometheus"}, selector={"app": "prometheus"})
    for n in range(40):
        answered = n % 3 > 0
        shop.talk(
            "monitoring/prometheus", f"ip:10.62.0.{n + 1}", 9100, answered=answered, hours=24, lasting=59
        )
    assert not any("scan" in reason for reason in reasons(shop.recommend()))


def test_where_answers_are_unknown_ports_nobody_declares_tell_a_scan(shop: Scene) -> None:
    for port in range(1, 16):
        shop.talk("shop/pay", "shop/web", port, answered=None, audited=1, minute=port / 10)
    shop.talk("shop/web", "shop/pay", 8080, answered=None, audited=1)
    found = shop.recommend()
    assert "shop/web>shop/pay:8080" in learned(found)
    assert not any("shop/pay>" in link for link in learned(found))


def test_the_options_say_what_a_scan_is(shop: Scene) -> None:
    scan(shop, 6)
    assert any("scan" in reason for reason in reasons(shop.recommend(scan_targets=6)))
    within = pd.Timedelta(seconds=1).to_pytimedelta()
    assert not any("scan" in reason for reason in reasons(shop.recommend(scan_targets=6, scan_within=within)))


def test_what_network_policy_cannot_say_is_kept_and_said(shop: Scene) -> None:
    shop.talk("shop/web", "shop/cart", None, "ICMPv4")
    assert reasons(shop.recommend()) == {"inexpressible: NetworkPolicy cannot say ICMPv4": 1}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("health@10.0.0.1", "it is the CNI's own health check"),
        (
            "ingress@10.0.0.1",
            "it is the CNI's own ingress proxy, which no selector and no lasting address names",
        ),
        ("init@10.0.0.1", "the pod had no identity yet"),
        ("@", "the log line names neither pod nor address"),
        ("@not-an-address", "it is no address"),
    ],
)
def test_ends_that_cannot_be_told(shop: Scene, source: str, reason: str) -> None:
    shop.talk(source, "shop/cart", 8080)
    assert reasons(shop.recommend()) == {f"unattributed: {reason}": 1}


@pytest.mark.parametrize(
    ("started", "is_learned"), [("2026-11-23T07:00:00Z", True), ("2026-11-23T20:00:00Z", False)]
)
def test_an_address_is_the_pods_only_since_it_was_started(
    shop: Scene, started: str, is_learned: bool
) -> None:
    shop.pods = [dataclasses.replace(pod, started=started) for pod in shop.pods]
    (pay,) = shop.pods_of("shop/pay")
    shop.talk("shop/web", f"@{pay.addresses[0]}", 8080)
    assert ("shop/web>shop/pay:8080" in learned(shop.recommend())) is is_learned


def test_a_pod_of_another_cluster_is_not_one_of_ours(shop: Scene) -> None:
    here = dict(shop._ends("shop/web")[0], cluster="here", workload="x")
    there = dict(shop._ends("shop/pay")[0], cluster="there")
    shop.edge(here, shop._ends("shop/cart")[0], 8080)
    shop.edge(there, shop._ends("shop/cart")[0], 8080)
    assert reasons(shop.recommend()) == {"unattributed: the peer is in another cluster": 1}


def test_every_row_ends_as_a_link_or_a_decision(shop: Scene) -> None:
    scan(shop)
    shop.talk("shop/web", "shop/pay", 8080, answered=False, denied=1)
    shop.talk("shop/web", "shop/pay", 9999, answered=False)
    shop.talk("@", "shop/cart", 8080)
    shop.talk("shop/web", "shop/cart", None, "ICMPv4")
    found = shop.recommend()
    links = [*found.links, *(link for decision in found.decisions for link in decision.links)]
    assert sum(link.connections for link in links) == shop.edges()["connections"].sum()
    assert sum(link.flows for link in links) == shop.edges()["flows"].sum()
