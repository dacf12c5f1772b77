"""REVIEW.md: what a reviewer reads in five minutes before merging.

What asks for a decision comes first, the whole of it last. Bounded in length: every list
shows its first entries and says how many more stand in ``proposal.json``. Everything that
came out of a log or a cluster is escaped.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from recommender.learning.outside import ALTERNATIVES
from recommender.learning.parties import ApiServer, Link, NodeParty
from recommender.policy.manifest import render
from recommender.policy.model import DIRECTIONS, Policy
from recommender.recommend import Recommendation
from recommender.report import cells
from recommender.review.admitted import Admitted
from recommender.review.diff import KINDS
from recommender.text import code, markdown, printable

_FEW: Final = 30
_RULES: Final = 400
_DIFF_LINES: Final = 600


def review(found: Recommendation) -> str:
    """The review of a recommendation as GitHub-flavoured Markdown."""
    parts = (
        _head,
        _before_merging,
        _read,
        _connections,
        _kept_open,
        _beyond,
        _not_learned,
        _unseen,
        _policies,
        _yaml_diff,
    )
    return "\n".join(line for part in parts for line in part(found)).rstrip() + "\n"


def _head(found: Recommendation) -> Iterator[str]:
    kinds = _by_kind(found)
    not_learned = sum(len(decision.links) for decision in found.decisions)
    beyond = [admitted for admitted in found.widened if not admitted.why.startswith("mandatory")]
    yield "# Proposed NetworkPolicies"
    yield ""
    yield (
        f"{cells.count(len(found.policies), 'policy', 'policies')} for "
        f"{cells.count(len(found.learned.protected), 'namespace')}, learned from {markdown(str(found.window))}. "
        "A connection here is one source, one destination and one port, however often it was made."
    )
    yield ""
    yield f"- **Opens** {cells.count(len(kinds['newly allowed']), 'observed connection')} that today's policies refuse."
    yield (
        f"- **Closes** {cells.count(len(kinds['no longer allowed']), 'observed connection')} that today's policies "
        "allow, and everything that was not observed."
    )
    yield (
        f"- **Leaves** {len(kinds['still allowed']):,} observed connections allowed "
        f"and {len(kinds['still refused']):,} refused, as they are today."
    )
    yield f"- **Admits unseen**: {cells.count(len(beyond), 'entry', 'entries')} beyond the evidence, each named below."
    yield f"- **Kept open** by policies of others: {cells.count(len(found.kept_open), 'rule')}."
    yield f"- **Not learned**: {cells.count(not_learned, 'observed connection')}, each with its reason."
    yield (
        "- **Proven**: the YAML was read back, and every learned connection judged by it, pod by pod "
        f"({found.replayed:,} in all): none is refused."
    )
    yield ""


def _before_merging(found: Recommendation) -> Iterator[str]:
    notes: list[str] = []
    if found.window.length.total_seconds() < 23 * 3600:
        notes.append(
            f"the window is only {cells.span(found.window.length.total_seconds())} long: what happens once a day was "
            "not seen; observe at least 24 hours"
        )
    if found.reading.lost_events:
        notes.append(
            f"the recorder lost {found.reading.lost_events:,} events: what happened in them was not learned; "
            "record again, or enforce with an eye on refusals"
        )
    if any(decision.action == "inexpressible" for decision in found.decisions):
        notes.append(
            "some connections cannot be said in NetworkPolicy and default deny will refuse them: "
            "see *inexpressible* under *Not learned*"
        )
    if gone := [policy for policy in _ours_today(found).values() if policy.key not in _proposed(found)]:
        names = cells.bounded([code(str(policy)) for policy in gone])
        notes.append(
            f"{cells.count(len(gone), 'policy', 'policies')} of an earlier run must be deleted, applying this "
            f"does not do it: {names}"
        )
    parties = {party for link in found.links for party in (link.source, link.destination)}
    if any(isinstance(party, (ApiServer, NodeParty)) for party in parties):
        notes.append(
            "on Cilium an `ipBlock` does not match nodes, or an API server that runs on one, unless the agent "
            "has `policy-cidr-match-mode: nodes`; there, add a CiliumNetworkPolicy with "
            "`toEntities: [kube-apiserver, remote-node, host]` for the workloads below that use them"
        )
    notes += (markdown(note, 600) for note in found.warnings)
    if notes:
        yield "## Before merging"
        yield ""
        yield from (f"- {note}" for note in notes[:_FEW])
        yield ""
        yield from cells.more(len(notes) - _FEW)


def _read(found: Recommendation) -> Iterator[str]:
    reading = found.reading
    origin = (
        cells.bounded([code(name) for name in found.inventory.origin]) or "none: labels from the flows alone"
    )
    kinds = [
        f"{count:,} {markdown(kind)}" for kind, count in sorted(reading.counts.items(), key=lambda c: -c[1])
    ]
    yield "## What was read"
    yield ""
    yield from cells.table(
        ("", ""),
        [
            ("window", markdown(str(found.window))),
            ("recording", cells.bounded([code(name) for name in sorted(reading.files)], 4)),
            ("lines", f"{reading.lines:,}: {cells.bounded(kinds, 12)}"),
            (
                "flows",
                f"{reading.flows:,}, telling of {cells.count(reading.connections, 'distinct connection')}",
            ),
            ("lines rejected", f"{reading.bad:,}"),
            ("events lost", f"{reading.lost_events:,}"),
            ("cluster", origin),
        ],
    )
    if reading.rejects:
        rejects = sorted(reading.rejects, key=lambda reject: (reject.file, reject.line))
        yield from cells.table(
            ("file", "line", "why it was rejected", "begins with"),
            [(code(r.file), str(r.line), markdown(r.reason), code(r.excerpt, 60)) for r in rejects],
            most=10,
        )


def _connections(found: Recommendation) -> Iterator[str]:
    kinds = _by_kind(found)
    why = {
        link.key: f"{decision.action}: {decision.reason}"
        for decision in found.decisions
        for link in decision.links
    }
    yield "## Connections, before and after"
    yield ""
    yield "Observed connections under today's policies, and under this proposal with the policies of others."
    yield ""
    for kind in ("newly allowed", "no longer allowed"):
        yield f"### {kind.capitalize()}: {len(kinds[kind]):,}"
        yield ""
        yield from cells.links(kinds[kind], most=cells.ROWS, why=why if kind == "no longer allowed" else None)
    yield f"### Unchanged: {len(kinds['still allowed']):,} allowed, {len(kinds['still refused']):,} refused"
    yield ""
    yield from cells.links(kinds["still refused"], most=_FEW, why=why)
    if kinds["still allowed"]:
        yield from ("<details><summary>Still allowed</summary>", "")
        yield from cells.links(kinds["still allowed"], most=cells.ROWS)
        yield from ("</details>", "")


def _kept_open(found: Recommendation) -> Iterator[str]:
    yield "## Kept open by existing policies"
    yield ""
    yield from _admitted(
        found.kept_open, "Nothing: no policy of somebody else's admits more than this proposal."
    )
    if found.kept_open:
        yield "Policies add up: only changing or removing these closes what they open."
        yield ""


def _beyond(found: Recommendation) -> Iterator[str]:
    lines = sorted(found.widened, key=lambda admitted: admitted.why.startswith("mandatory"))
    yield "## Admitted beyond what was seen"
    yield ""
    yield from _admitted(lines, "Nothing: every rule admits what was seen and nobody else.")


def _admitted(lines: Sequence[Admitted], none: str) -> Iterator[str]:
    """One row for what is the same in several policies, as the contract is in each namespace."""
    alike: dict[tuple[object, ...], list[Admitted]] = {}
    for a in lines:
        alike.setdefault((a.policy.name, a.direction, a.index, a.peers, a.ports, a.why), []).append(a)
    rows = []
    for same in alike.values():
        a = same[0]
        rows.append(
            (
                cells.bounded([code(str(each.policy)) for each in same]),
                f"{a.direction} {a.index + 1}",
                cells.bounded([code(name) for each in same for name in each.subjects], 4),
                cells.bounded([code(name, 400) for name in a.peers]),
                code(a.ports),
                markdown(a.why, 300),
            )
        )
    if not rows:
        yield from (none, "")
    yield from cells.table(("policy", "rule", "for", "admits", "ports", "why"), rows)


def _not_learned(found: Recommendation) -> Iterator[str]:
    yield "## Not learned"
    yield ""
    if not found.decisions:
        yield from ("Everything that was seen was learned.", "")
    # What needs no rule asks for nothing: last.
    for decision in sorted(found.decisions, key=lambda d: d.action == "not needed")[:_FEW]:
        yield f"### {decision.action.capitalize()}: {markdown(decision.reason, 300)}"
        yield ""
        yield from cells.links(decision.links, most=_FEW)
    yield from cells.more(len(found.decisions) - _FEW)


def _unseen(found: Recommendation) -> Iterator[str]:
    yield "## Not seen at all"
    yield ""
    if not found.unseen:
        yield from ("Every protected workload was seen.", "")
        return
    yield "These workloads get default deny and the infrastructure contract, nothing else. Idle, or never run?"
    yield ""
    rows = []
    for ref in found.unseen:
        schedule = found.inventory.workloads[ref].schedule
        note = f"its schedule {code(schedule)} did not fire in the window: look again" if schedule else ""
        rows.append((code(str(ref)), note))
    yield from cells.table(("workload", ""), rows)


def _policies(found: Recommendation) -> Iterator[str]:
    """A table a namespace, a row a rule; a rule is mandatory or observed, and shows what it stands on."""
    left = _RULES
    yield "## Policies, rule by rule"
    yield ""
    for namespace, policies in sorted(found.by_namespace.items()):
        rows, notes = [], []
        for policy in policies:
            subjects = f"{code(policy.name)} for {cells.selector(policy.subjects)}"
            rules = [(d, n, rule) for d in DIRECTIONS for n, rule in enumerate(policy.rules(d) or ())]
            if not rules:
                isolated = " and ".join(d for d in DIRECTIONS if policy.rules(d) is not None)
                rows.append(
                    (subjects, isolated, "nobody", "none", "mandatory: default deny", *cells.evidence(()))
                )
            for direction, number, rule in rules:
                rule_id = (*policy.key, direction, number)
                links = found.learned.evidence.get(rule_id, ())
                peers, ports = cells.peers(rule), cells.ports(rule)
                rows.append(
                    (subjects, direction, peers, ports, markdown(rule.why, 300), *cells.evidence(links))
                )
                for block in found.learned.wide.get(rule_id, ()):
                    names = cells.bounded([code(name) for name in block.names]) or "no name was seen for them"
                    said = (
                        f"stands for {cells.count(len(block.addresses), 'address', 'addresses')} ({names}). Narrower "
                        f"would be {ALTERNATIVES if direction == 'egress' else _SOURCE_RANGES}."
                        if block.addresses
                        else "holds all nodes, and the addresses new nodes may get."
                    )
                    notes.append(
                        f"- **Wide**: {direction} of {code(policy.name)}, {code(str(block.block), 400)} {said}"
                    )
        yield f"### {markdown(namespace)}"
        yield ""
        yield from cells.table(
            ("policy", "direction", "peers", "ports", "why", *cells.EVIDENCE), rows, most=left
        )
        yield from notes[:_FEW]
        yield from ("",) if notes else ()
        left -= len(rows)
        if left <= 0:
            yield "The other namespaces are in `proposal.json`, and in the folders beside this file."
            yield ""
            return


_SOURCE_RANGES: Final = "the load balancer's own source ranges"


def _yaml_diff(found: Recommendation) -> Iterator[str]:
    """Ours today against ours proposed, policy by policy; without comments, so that only meaning shows."""
    today, proposed = _ours_today(found), _proposed(found)
    kinds: dict[str, list[str]] = {"changed": [], "removed": [], "new": [], "unchanged": []}
    counts: Counter[str] = Counter()
    for key in sorted(today.keys() | proposed.keys()):
        old, new = (
            render([side[key]], comments=False).splitlines() if key in side else []
            for side in (today, proposed)
        )
        kind = "new" if not old else "removed" if not new else "unchanged" if old == new else "changed"
        counts[kind] += 1
        files = ("/".join(key) if old else "/dev/null", "/".join(key) if new else "/dev/null")
        kinds[kind] += difflib.unified_diff(old, new, *files, n=3, lineterm="")
    lines = [printable(line, 500) for changes in kinds.values() for line in changes]
    yield "## YAML diff"
    yield ""
    told = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds)
    yield f"This tool's policies, today's against those proposed: {told}."
    yield ""
    if not lines:
        return
    longest = max(len(run) for line in lines for run in re.findall("`*", line))
    fence = "`" * max(3, longest + 1)
    yield f"{fence}diff"
    yield from lines[:_DIFF_LINES]
    yield from (fence, "")
    if len(lines) > _DIFF_LINES:
        yield f"{len(lines) - _DIFF_LINES:,} more lines; the folders beside this file hold the policies whole."


def _ours_today(found: Recommendation) -> Mapping[tuple[str, str], Policy]:
    return {policy.key: policy for policy in found.current if policy.namespace in found.learned.protected}


def _proposed(found: Recommendation) -> Mapping[tuple[str, str], Policy]:
    return {policy.key: policy for policy in found.policies}


def _by_kind(found: Recommendation) -> Mapping[str, list[Link]]:
    kinds: dict[str, list[Link]] = {kind: [] for kind in KINDS}
    for change in found.changes:
        kinds[change.kind].append(change.link)
    return kinds
