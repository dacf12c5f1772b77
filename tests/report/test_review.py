"""REVIEW.md holds what a reviewer needs, and stays short however large the input is."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd

from recommender.policy.model import Peer, Policy, PortRange, Rule
from recommender.policy.selector import Selector, namespaces_named
from recommender.recommend import Recommendation
from recommender.report.review import review
from recommender.traffic.tables import Reading, Reject
from scene import Scene

OURS = (("app.kubernetes.io/managed-by", "zt-recommend"),)


def shop() -> Scene:
    scene = Scene()
    scene.workload("shop/web", {"app": "web"})
    scene.workload("shop/api", {"app": "api"}, ports={"http": ("TCP", 8080)})
    scene.workload("shop/nightly", {"app": "nightly"}, kind="CronJob", schedule="0 4 * * 0")
    scene.talk("shop/web", "shop/api", 8080, hours=24, connections=5)
    return scene


def section(text: str, title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}.*?$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def read(found: Recommendation, **more: object) -> Recommendation:
    return dataclasses.replace(found, reading=dataclasses.replace(found.reading, **more))


def test_the_sections_stand_in_the_order_they_are_needed() -> None:
    titles = re.findall("^## (.*)$", review(shop().recommend()), re.MULTILINE)
    assert titles == [
        "What was read", "Connections, before and after", "Kept open by existing policies",
        "Admitted beyond what was seen", "Not learned", "Not seen at all", "Policies, rule by rule", "YAML diff",
    ]  # fmt: skip


def test_what_was_read() -> None:
    reading = Reading(
        files=["b.jsonl", "a.jsonl"],
        lines=1234,
        flows=1200,
        connections=300,
        bad=2,
        lost_events=7,
        counts={"flow": 700, "reply": 500, "not JSON": 2, "lost_events": 32},
        rejects=[Reject("b.jsonl", 9, "not JSON", "{"), Reject("a.jsonl", 3, "not JSON", "oops | `x`")],
    )
    text = review(dataclasses.replace(shop().recommend(), reading=reading))
    told = section(text, "What was read")
    assert "| window | 2026-11-23 08:00:00 to 2026-11-24 07:00:00 UTC |" in told
    assert "| recording | `a.jsonl`, `b.jsonl` |" in told
    assert "| lines | 1,234: 700 flow, 500 reply, 32 lost\\_events, 2 not JSON |" in told
    assert "| flows | 1,200, telling of 300 distinct connections |" in told
    assert told.index("| `a.jsonl` | 3 | not JSON | `oops ¦ 'x'` |") < told.index(
        "| `b.jsonl` | 9 | not JSON | `{` |"
    )
    assert "the recorder lost 7 events" in section(text, "Before merging")


def test_connections_before_and_after_and_why() -> None:
    scene = shop()
    scene.workload("shop/db", {"app": "db"}, ports={"sql": ("TCP", 5432)})
    scene.talk("shop/web", "shop/db", 5432)
    scene.talk("shop/api", "shop/db", 9999, answered=False)
    scene.talk("shop/nightly", "shop/api", 8080, denied=1)
    # Today's: only web may reach db on 9999, and api is for web alone.
    web = Peer(pods=Selector.of({"app": "web"}))
    scene.policies += [
        Policy("shop", "api", Selector.of({"app": "api"}), (Rule((web,), (PortRange("TCP", 8080),)),), None),
        Policy("shop", "db", Selector.of({"app": "db"}), (), None, OURS),
    ]
    text = review(scene.recommend())
    told = section(text, "Connections, before and after")
    assert "### Newly allowed: 1\n" in told
    assert "| `shop/Deployment/web` | `shop/Deployment/db` | `5432/TCP` | 3 | 1 | 1 |" in told
    assert "### No longer allowed: 0\n" in told
    assert "### Unchanged: 1 allowed, 2 refused" in told
    assert re.search(r"`9999/TCP` .* set aside: nobody was seen to answer on this port \|", told)
    assert re.search(r"`shop/CronJob/nightly` .* refused: a policy refuses it today \|", told)
    assert "- **Opens** 1 observed connection that" in text
    assert "- **Leaves** 1 observed connections allowed and 2 refused" in text
    assert "### Refused: a policy refuses it today" in section(text, "Not learned")


def test_each_rule_with_its_evidence() -> None:
    told = section(review(shop().recommend()), "Policies, rule by rule")
    assert (
        "| `api` for `app=api` | ingress | `app=web` | `8080/TCP` | observed: shop/web | 360 | 120 | 24 "
        "| 2026-11-23 08:00 | 2026-11-24 07:00 |"
    ) in told
    assert (
        "| `allow-infra-egress` for all pods | egress | `k8s-app=kube-dns` in `kube-system` "
        "| `53/TCP`, `53/UDP` | mandatory: DNS | 0 | 0 | 0 |"
    ) in told
    assert (
        "| `default-deny` for all pods | ingress and egress | nobody | none | mandatory: default deny |"
        in told
    )


def test_what_was_not_seen_and_when_to_look_again() -> None:
    told = section(review(shop().recommend()), "Not seen at all")
    assert (
        "| `shop/CronJob/nightly` | its schedule `0 4 * * 0` did not fire in the window: look again |" in told
    )
    assert "`shop/Deployment/web`" not in told


def test_a_wide_block_names_its_alternatives() -> None:
    scene = shop()
    for number in range(40):
        scene.talk("shop/web", f"ip:{130 + number}.184.{number}.7", 443, names=("api.example",))
    told = section(review(scene.recommend()), "Policies, rule by rule")
    assert re.search(
        r"- \*\*Wide\*\*: egress of `web`, `0\.0\.0\.0/0 except .*` stands for 40 addresses", told
    )
    assert "(`api.example`)" in told
    assert "toFQDNs" in told
    assert "egress gateway" in told


def test_what_others_keep_open() -> None:
    scene = shop()
    anyone = Rule((Peer(namespaces_named(["shop"])),), None)
    scene.policies.append(Policy("shop", "wide", Selector.of({"app": "api"}), (anyone,), None))
    told = section(review(scene.recommend()), "Kept open by existing policies")
    assert "| `shop/wide` | ingress 1 | `shop/api` |" in told
    assert "Policies add up" in told


def test_a_short_window_is_said() -> None:
    scene = Scene()
    scene.workload("shop/web", {"app": "web"})
    scene.workload("shop/api", {"app": "api"})
    scene.talk("shop/web", "shop/api", 8080, hours=3)
    assert "the window is only 2.0 hours long" in section(review(scene.recommend()), "Before merging")


def test_three_thousand_connections_are_still_a_review() -> None:
    """And as many rejects, decisions, warnings and policies of before."""
    scene = Scene()
    names = [f"team-{n}/app-{n}-{m}" for n in range(40) for m in range(5)]
    for name in names:
        scene.workload(name, {"app": name.replace("/", ".")}, ports={"http": ("TCP", 8080)})
    for number, name in enumerate(names):
        for step in range(15):
            scene.talk(name, names[(number + 1 + step * 7) % len(names)], 8000 + (number * step) % 97)
        scene.talk(name, f"ip:8.8.{number}.1", 443, names=(f"name-{number}.example",))
        scene.talk(name, names[number - 1], 9999, answered=False)
        scene.policies.append(
            Policy(name.partition("/")[0], f"old-{number}", Selector.of({"old": str(number)}), (), (), OURS)
        )
    found = scene.recommend()
    assert len(found.links) > 3000
    rejects = [Reject(f"file-{n}.jsonl", n, f"reason {n}", "x" * 120) for n in range(1, 3000)]
    decisions = [dataclasses.replace(found.decisions[0], reason=f"reason {n}") for n in range(500)]
    counts = {f"kind {n}": n for n in range(500)}
    found = dataclasses.replace(
        read(found, rejects=rejects, files=[r.file for r in rejects], counts=counts),
        warnings=tuple(f"workload {n} " * 100 for n in range(1000)),
        decisions=(*found.decisions, *decisions),
    )
    text = review(found)
    assert len(text.encode()) < 300_000
    assert text.count("more in `proposal.json`.") >= 5
    assert "more lines; the folders beside this file hold the policies whole." in text


def test_no_time_and_no_order_of_input_is_in_it() -> None:
    scene = shop()
    again = shop()
    again.rows.reverse()
    assert review(scene.recommend()) == review(again.recommend())
    assert str(pd.Timestamp.now().year + 1) not in review(scene.recommend())
