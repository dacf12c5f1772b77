"""proposal.json: a Recommendation whole, for programs: every link, decision and change, nothing cut."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from recommender.learning.parties import Link
from recommender.policy.manifest import policy_to
from recommender.policy.model import DIRECTIONS, Policy
from recommender.recommend import Recommendation
from recommender.review.admitted import Admitted


def proposal(found: Recommendation, files: tuple[str, ...] = ()) -> str:
    """The recommendation as JSON, indented, keys in a fixed order, all text ASCII."""
    return json.dumps(as_dict(found, files), indent=2) + "\n"


def as_dict(found: Recommendation, files: tuple[str, ...] = ()) -> dict[str, Any]:
    """The recommendation as plain values. ``files`` are those written with it, relative to it."""
    reading = found.reading
    return {
        "tool": "zt-recommend",
        "format": 1,
        "files": list(files),
        "window": {"start": _moment(found.window.start), "end": _moment(found.window.end)},
        "read": {
            "files": reading.files,
            "lines": reading.lines,
            "flows": reading.flows,
            "connections": reading.connections,
            "rejected": reading.bad,
            "lost_events": reading.lost_events,
            "counts": dict(sorted(reading.counts.items())),
            "rejects": [
                {"file": r.file, "line": r.line, "reason": r.reason, "excerpt": r.excerpt}
                for r in reading.rejects
            ],
        },
        "cluster": {
            "origin": list(found.inventory.origin),
            "unknown_because": found.inventory.unknown_because,
        },
        "warnings": list(found.warnings),
        "protected_namespaces": list(found.learned.protected),
        "policies": [_policy(found, policy) for policy in found.policies],
        "changes": [{**_link(c.link), "change": c.kind, "reason": c.reason} for c in found.changes],
        "not_learned": [
            {"action": d.action, "reason": d.reason, "connections": [_link(link) for link in d.links]}
            for d in found.decisions
        ],
        "admitted_beyond_evidence": [_admitted(a) for a in found.widened],
        "kept_open": [_admitted(a) for a in found.kept_open],
        "not_seen": [str(ref) for ref in found.unseen],
        "replayed": found.replayed,
    }


def _policy(found: Recommendation, policy: Policy) -> dict[str, Any]:
    rules = []
    for direction in DIRECTIONS:
        for number, rule in enumerate(policy.rules(direction) or ()):
            rule_id = (*policy.key, direction, number)
            rules.append(
                {
                    "direction": direction,
                    "rule": number + 1,
                    "mandatory": rule.why.startswith("mandatory"),
                    "why": rule.why,
                    "evidence": [_link(link) for link in found.learned.evidence.get(rule_id, ())],
                    "wide": [
                        {"block": str(b.block), "names": list(b.names), "addresses": list(b.addresses)}
                        for b in found.learned.wide.get(rule_id, ())
                    ],
                }
            )
    return {"namespace": policy.namespace, "name": policy.name, "manifest": policy_to(policy), "rules": rules}


def _link(link: Link) -> dict[str, Any]:
    return {
        "source": str(link.source),
        "destination": str(link.destination),
        "protocol": link.protocol,
        "port": link.port or None,
        "names": list(link.names),
        "flows": link.flows,
        "connections": link.connections,
        "hours": link.hours,
        "first": _moment(link.first),
        "last": _moment(link.last),
        "answered": link.answered,
        "audited": link.audited,
        "denied": link.denied,
    }


def _admitted(admitted: Admitted) -> dict[str, Any]:
    return {
        "policy": str(admitted.policy),
        "direction": admitted.direction,
        "rule": admitted.index + 1,
        "subjects": list(admitted.subjects),
        "peers": list(admitted.peers),
        "ports": admitted.ports,
        "why": admitted.why,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
