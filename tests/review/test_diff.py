"""Connections before and after, and what is admitted besides."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from recommender.errors import BrokenRecommendation
from recommender.learning import learn
from recommender.policy.manifest import render
from recommender.policy.model import Peer, Policy, PortRange, Rule
from recommender.policy.selector import EVERYTHING, Selector
from scene import Scene


@pytest.fixture
def shop() -> Scene:
    scene = Scene()
    for name in ("web", "cart", "pay"):
        scene.workload(f"shop/{name}", {"app": name}, selector={"app": name})
    return scene


def closed(name: str, *rules: Rule) -> Policy:
    """A policy of somebody else's that isolates the ingress of shop/cart."""
    return Policy("shop", name, Selector.of({"app": "cart"}), rules, None)


def from_app(app: str, port: int) -> Rule:
    return Rule((Peer(pods=Selector.of({"app": app})),), (PortRange("TCP", port),))


def test_the_four_kinds_of_change(shop: Scene) -> None:
    shop.policies = [closed("cart-access", from_app("web", 8080), from_app("pay", 9999))]
    shop.talk("shop/web", "shop/cart", 8080)
    shop.talk("shop/web", "shop/cart", 9090, audited=1)
    shop.talk("shop/pay", "shop/web", 9999, answered=False)
    shop.talk("shop/pay", "shop/cart", 7070, answered=False, denied=1)
    found = {f"{c.link.source.name}>{c.link.port}": c.kind for c in shop.recommend().changes}  # type: ignore[union-attr]
    assert found == {
        "web>8080": "still allowed",
        "web>9090": "newly allowed",
        "pay>9999": "no longer allowed",
        "pay>7070": "still refused",
    }


def test_policies_of_others_go_on_counting_and_ours_are_replaced(shop: Scene) -> None:
    shop.talk("shop/web", "shop/cart", 8080)
    shop.talk("shop/pay", "shop/cart", 9090, answered=False)
    everyone = Policy("shop", "open", Selector.of({"app": "cart"}), (Rule(None, None),), None)
    egress = Policy("shop", "open-egress", EVERYTHING, None, (Rule(None, None),))
    shop.policies = [everyone, egress]
    kinds = {c.link.port: c.kind for c in shop.recommend().changes}
    assert kinds[9090] == "still allowed", "no policy of ours can close what theirs opens"
    shop.policies = [dataclasses.replace(p, labels=(learn.MANAGED_BY,)) for p in shop.policies]
    kinds = {c.link.port: c.kind for c in shop.recommend().changes}
    assert kinds[9090] == "no longer allowed"


def test_policies_of_ours_in_namespaces_left_alone_stay(shop: Scene) -> None:
    shop.workload("other/job", {"app": "job"}, selector={"app": "job"})
    shop.policies = [Policy("other", "default-deny", EVERYTHING, (), (), (learn.MANAGED_BY,))]
    shop.talk("other/job", "shop/cart", 8080, audited=1)
    (change,) = shop.recommend(namespaces=("shop",)).changes
    assert change.kind == "still refused"


def test_a_link_of_many_pods_is_allowed_if_it_is_for_all_of_them(shop: Scene) -> None:
    shop.workload(
        "shop/api", {"app": "api"}, pods=2, per_pod=[{"track": "a"}, {"track": "b"}], selector={"app": "api"}
    )
    shop.talk("shop/api", "shop/cart", 8080)
    shop.policies = [closed("some", Rule((Peer(pods=Selector.of({"track": "a"})),), None))]
    (change,) = shop.recommend().changes
    assert change.kind == "newly allowed"


def test_kept_open_names_the_or_form(shop: Scene) -> None:
    shop.talk("shop/web", "shop/cart", 8080)
    either = Rule((Peer(namespaces=EVERYTHING), Peer(pods=Selector.of({"app": "web"}))), None)
    shop.policies = [closed("meant-well", either)]
    (line,) = shop.recommend().kept_open
    assert "two elements" in line.why
    assert "shop/pay" in line.peers


def test_a_policy_that_opens_no_more_than_ours_is_not_named(shop: Scene) -> None:
    shop.talk("shop/web", "shop/cart", 8080)
    shop.policies = [closed("exact", from_app("web", 8080))]
    assert shop.recommend().kept_open == ()


def test_a_recommendation_that_would_break_something_is_never_given(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.talk("shop/web", "shop/cart", 8080)
    home = sys.modules["recommender.recommend"]
    monkeypatch.setattr(home, "render", lambda policies: render([p for p in policies if p.name != "web"]))
    monkeypatch.setattr(home, "_with_reasons", lambda read_back, written: read_back)
    with pytest.raises(BrokenRecommendation, match=r"shop/Deployment/web -> shop/Deployment/cart 8080/TCP"):
        shop.recommend()
