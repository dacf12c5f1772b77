"""The summary on the terminal, and proposal.json: the same facts for people in a hurry and for programs."""

from __future__ import annotations

import dataclasses
import json

from recommender.report.folder import files
from recommender.report.summary import summary
from recommender.traffic.tables import Reading, Reject
from scene import Scene


def scene() -> Scene:
    made = Scene()
    made.workload("shop/web", {"app": "web"})
    made.workload("shop/api", {"app": "api"}, ports={"http": ("TCP", 8080)})
    made.workload("a-namespace-with-a-name-longer-than-any-column-of-a-terminal-is/db", {"app": "db"})
    made.talk("shop/web", "shop/api", 8080)
    made.talk("shop/web", "shop/api", 9999, answered=False)
    return made


def test_a_row_a_namespace_never_cut() -> None:
    lines = summary(scene().recommend()).splitlines()
    assert lines[0].split() == ["namespace", "workloads", "policies", "rules", "connections"]
    rows = dict(line.split(maxsplit=1) for line in lines[1 : lines.index("")])
    assert rows["shop"].split() == ["2", "4", "3", "1"]
    assert "a-namespace-with-a-name-longer-than-any-column-of-a-terminal-is" in rows
    assert len({len(line) for line in lines[: lines.index("")]}) == 1


def test_what_to_know_besides_is_bounded() -> None:
    found = scene().recommend()
    told = summary(found)
    assert "connections: 0 newly allowed, 1 no longer allowed, 1 still allowed, 0 still refused" in told
    assert "not learned: 1 set aside: nobody was seen to answer on this port" in told
    assert "proven: 1 learned connections replayed against the YAML, none refused" in told
    rejects = [Reject("f.jsonl", line, "not JSON") for line in range(9, 0, -1)]
    many = dataclasses.replace(found, warnings=("w",) * 1000, reading=Reading(bad=9, rejects=rejects))
    told = summary(many)
    assert "rejected: f.jsonl, line 1: not JSON" in told
    assert told.count("rejected: ") == 3
    assert "note: 980 more" in told


def test_proposal_holds_everything() -> None:
    made = files(scene().recommend())
    assert made["proposal.json"].isascii()
    found = json.loads(made["proposal.json"])
    assert found["files"] == [
        *sorted(set(made) - {"proposal.json", "REVIEW.md"}),
        "proposal.json",
        "REVIEW.md",
    ]
    assert (found["tool"], found["format"]) == ("zt-recommend", 1)
    assert found["window"] == {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T08:00:00Z"}
    (change,) = [change for change in found["changes"] if change["change"] == "no longer allowed"]
    assert (change["source"], change["destination"], change["port"]) == (
        "shop/Deployment/web", "shop/Deployment/api", 9999,
    )  # fmt: skip
    (held,) = found["not_learned"]
    assert held["action"] == "set aside"
    assert held["connections"][0]["answered"] is False
    (api,) = [policy for policy in found["policies"] if policy["name"] == "api"]
    assert api["rules"][0]["mandatory"] is False
    assert api["rules"][0]["evidence"][0]["connections"] == 1
    assert found["not_seen"] == [
        "a-namespace-with-a-name-longer-than-any-column-of-a-terminal-is/Deployment/db"
    ]
