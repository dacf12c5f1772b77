"""REVIEW.md: what a reviewer reads in five minutes before merging.

Bounded in length: every table shows the first rows and says how many more stand in
``proposal.json``. Everything that came out of a log or a cluster is escaped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from recommender.learning.outside import ALTERNATIVES
from recommender.learning.parties import ApiServer, Link, NodeParty, Outside
from recommender.policy.manifest import render
from recommender.policy.model import DIRECTIONS, Direction, Policy, Rule
from recommender.recommend import Recommendation
from recommender.review.admitted import Admitted
from recommender.review.diff import KINDS
from recommender.text import code, markdown, printable

_ROWS: Final = 100
_DIFF_LINES: Final = 400
_LONG: Final = 12
_FANNED: Final = 4


def review(found: Recommendation) -> str:
    """The review of a recommendation as GitHub-flavoured Markdown."""
    parts = (
        _head,
        _read,
        _before_merging,
        _connections,
        _policies,
        _not_learned,
        _widened,
        _kept_open,
        _unseen,
        _yaml_diff,
    )
    return "\n".join(line for part in parts for line in part(found)).rstrip() + "\n"


def _head(found: Recommendation) -> Iterator[str]:
    counts = {kind: sum(change.kind == kind for change in found.changes) for kind in KINDS}
    not_learned = sum(len(decision.links) for decision in found.decisions)
    yield "# Proposed NetworkPolicies"
    yield ""
    yield (
        f"{_count(len(found.policies), 'policy', 'policies')} for "
        f"{_count(len(found.learned.protected), 'namespace')}, learned from {markdown(str(found.window))}."
    )
    yield ""
    yield f"- **Opens**: {_count(counts['newly allowed'], 'observed connection')} that today's policies refuse."
    yield (
        f"- **Closes**: {_count(counts['no longer allowed'], 'observed connection')} that today's policies allow, "
        "and everything that was not observed."
    )
    yield f"- **Not learned**: {_count(not_learned, 'observed connection')}, each with its reason below."
    yield (
        f"- **Proven**: {_count(found.replayed, 'learned connection')} between pods replayed against the YAML as "
        "it was read back; none is refused."
    )
    yield ""


def _read(found: Recommendation) -> Iterator[str]:
    reading = found.reading
    yield "## What was read"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Window | {markdown(str(found.window))} |"
    yield f"| Flows | {reading.flows:,} in {reading.lines:,} lines of {_count(len(reading.files), 'file')} |"
    yield f"| Connections | {reading.connections:,} distinct |"
    yield f"| Rejected lines | {reading.bad:,} |"
    yield f"| Lost events | {reading.lost_events:,} |"
    origin = (
        ", ".join(code(name) for name in found.inventory.origin[:10]) or "none: labels from the flows alone"
    )
    yield f"| Cluster | {origin} |"
    yield ""
    if reading.lost_events:
        yield (
            f"The recorder lost {reading.lost_events:,} events: what happened in them is not learned. "
            "Record again, or enforce with an eye on refusals."
        )
        yield ""
    if reading.rejects:
        yield from _table(
            ("file", "line", "why it was rejected", "begins with"),
            [(code(r.file), str(r.line), markdown(r.reason), code(r.excerpt, 60)) for r in reading.rejects],
            most=10,
        )


def _before_merging(found: Recommendation) -> Iterator[str]:
    notes = [markdown(note, 600) for note in found.warnings]
    if found.window.length.total_seconds() < 23 * 3600:
        notes.append(
            f"the window is only {_span(found.window.length.total_seconds())} long: what happens once a day was "
            "not seen; observe at least 24 hours"
        )
    parties = {party for link in found.links for party in (link.source, link.destination)}
    if any(isinstance(party, (ApiServer, NodeParty)) for party in parties):
        notes.append(
            "On Cilium an `ipBlock` does not match nodes or an API server that runs on one, unless the agent has "
            "`policy-cidr-match-mode: nodes`; there, add a CiliumNetworkPolicy with "
            "`toEntities: [kube-apiserver, remote-node, host]` for the workloads below that use them."
        )
    if any(decision.action == "inexpressible" for decision in found.decisions):
        notes.append(
            "some connections cannot be said in NetworkPolicy and will be refused by default deny: "
            "see *inexpressible* under *Not learned*"
        )
    if notes:
        yield "## Before merging"
        yield ""
        yield from (f"- {note}" for note in notes)
        yield ""


def _connections(found: Recommendation) -> Iterator[str]:
    yield "## Connections, before and after"
    yield ""
    yield "Observed connections under today's policies, and under this proposal with the policies of others."
    yield ""
    for kind in KINDS:
        links = [change.link for change in found.changes if change.kind == kind]
        yield f"### {kind.capitalize()}: {len(links)}"
        yield ""
        yield from _links(links, most=30 if kind.startswith("still") else _ROWS)


def _policies(found: Recommendation) -> Iterator[str]:
    yield "## Policies, rule by rule"
    yield ""
    for namespace, policies in sorted(found.by_namespace.items()):
        yield f"### {markdown(namespace)}"
        yield ""
        for policy in policies:
            yield from _policy(found, policy)


def _policy(found: Recommendation, policy: Policy) -> Iterator[str]:
    yield f"**{markdown(policy.name)}** for {code(str(policy.subjects))}"
    yield ""
    rules = [(d, n, rule) for d in DIRECTIONS for n, rule in enumerate(policy.rules(d) or ())]
    if not rules:
        yield "Isolates both directions and admits nothing."
        yield ""
        return
    rows = []
    for direction, number, rule in rules:
        links = found.learned.evidence.get((*policy.key, direction, number), ())
        rows.append((direction, _peers(rule), _ports(rule), markdown(rule.why, 300), *_evidence(links)))
    yield from _table(("direction", "peers", "ports", "why", *_EVIDENCE), rows)
    for direction, number, _ in rules:
        yield from _wide(found, policy, direction, number)


def _wide(found: Recommendation, policy: Policy, direction: Direction, number: int) -> Iterator[str]:
    for block in found.learned.wide.get((*policy.key, direction, number), ()):
        text = code(str(block.block), 400)
        if block.addresses:
            names = _bounded([code(name) for name in block.names], 10) or "no name was seen for them"
            seen = _count(len(block.addresses), "address", "addresses")
            narrower = ALTERNATIVES if direction == "egress" else "the load balancer's own source ranges"
            yield f"> Wide: {text} stands for {seen} ({names}). Narrower would be {narrower}."
        else:
            yield f"> Wide: {text} holds all nodes, and the addresses new nodes may get."
        yield ""


def _not_learned(found: Recommendation) -> Iterator[str]:
    yield "## Not learned"
    yield ""
    if not found.decisions:
        yield "Everything that was seen was learned."
        yield ""
    for decision in found.decisions:
        yield f"### {decision.action.capitalize()}: {markdown(decision.reason, 300)}"
        yield ""
        yield from _links(decision.links, most=30)


def _widened(found: Recommendation) -> Iterator[str]:
    yield "## Admitted beyond what was seen"
    yield ""
    yield from _admitted(found.widened, "Nothing: every rule admits what was seen and nobody else.")


def _kept_open(found: Recommendation) -> Iterator[str]:
    yield "## Kept open by existing policies"
    yield ""
    yield from _admitted(
        found.kept_open, "Nothing: no policy of somebody else's admits more than this proposal."
    )
    if found.kept_open:
        yield "Policies add up: only changing or removing these closes what they open."
        yield ""


def _admitted(lines: Sequence[Admitted], none: str) -> Iterator[str]:
    if not lines:
        yield none
        yield ""
        return
    rows = [
        (
            code(str(a.policy)),
            f"{a.direction} rule {a.index + 1}",
            _bounded([code(name) for name in a.subjects]),
            _bounded([code(name) for name in a.peers]),
            code(a.ports),
            markdown(a.why, 300),
        )
        for a in lines
    ]
    yield from _table(("policy", "direction", "for", "admits", "ports", "why"), rows)


def _unseen(found: Recommendation) -> Iterator[str]:
    yield "## Not seen at all"
    yield ""
    if not found.unseen:
        yield "Every protected workload was seen."
        yield ""
        return
    yield "These workloads get default deny and the infrastructure contract, nothing else. Idle, or never run?"
    yield ""
    rows = []
    for ref in found.unseen:
        workload = found.inventory.workloads[ref]
        note = f"schedule {code(workload.schedule)} did not fire in the window" if workload.schedule else ""
        rows.append((code(str(ref)), note))
    yield from _table(("workload", ""), rows)


def _yaml_diff(found: Recommendation) -> Iterator[str]:
    """Ours today against ours proposed; comments left out, so that only meaning shows."""
    old = render(found.current, comments=False).splitlines()
    new = render(found.policies, comments=False).splitlines()
    lines = list(difflib.unified_diff(old, new, "today", "proposed", n=2, lineterm=""))
    yield "## YAML diff"
    yield ""
    if not lines:
        yield "None: the policies of this tool in the cluster are the ones proposed."
        return
    yield f"Against the {_count(len(found.current), 'policy', 'policies')} of this tool in the snapshot."
    yield ""
    longest = max((len(run) for line in lines for run in line.split() if set(run) == {"`"}), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}diff"
    yield from (printable(line, 500) for line in lines[:_DIFF_LINES])
    yield fence
    if len(lines) > _DIFF_LINES:
        yield ""
        yield f"{len(lines) - _DIFF_LINES:,} more lines; the folders beside this file hold the whole."


_EVIDENCE: Final = ("flows", "connections", "hours", "first seen", "last seen")


def _links(links: Iterable[Link], most: int) -> Iterator[str]:
    """A table of links; those that differ only in an outside address are one row.

    In a long table those that differ only in their destination are one row too: a scan.
    """
    alike: dict[tuple[object, ...], list[Link]] = {}
    for link in links:
        ends = [None if isinstance(end, Outside) else end for end in (link.source, link.destination)]
        alike.setdefault((*ends, link.service), []).append(link)
    if len(alike) > _LONG:
        fanned: dict[tuple[object, ...], list[list[Link]]] = {}
        for (source, _, service), group in alike.items():
            fanned.setdefault((source, service), []).append(group)
        groups = [
            group
            for same in fanned.values()
            for group in ([[link for each in same for link in each]] if len(same) > _FANNED else same)
        ]
    else:
        groups = list(alike.values())
    rows = [
        (_ends(group, "source"), _ends(group, "destination"), code(group[0].service), *_evidence(group))
        for group in groups
    ]
    yield from _table(("from", "to", "port", *_EVIDENCE), rows, most)


def _ends(links: Sequence[Link], side: str) -> str:
    parties = dict.fromkeys(link.source if side == "source" else link.destination for link in links)
    if len(parties) <= 2:
        return ", ".join(code(str(party)) for party in parties)
    names = sorted({name for link in links for name in link.names}) or list(map(str, parties))
    what = "addresses" if all(isinstance(party, Outside) for party in parties) else "destinations"
    return f"{len(parties)} {what}: " + _bounded([code(name) for name in names], 4)


def _evidence(links: Sequence[Link]) -> tuple[str, ...]:
    if not links:
        return ("0", "0", "0", "", "")
    return (
        f"{sum(link.flows for link in links):,}",
        f"{sum(link.connections for link in links):,}",
        str(max(link.hours for link in links)),
        _moment(min((link.first for link in links if link.first), default=None)),
        _moment(max((link.last for link in links if link.last), default=None)),
    )


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _peers(rule: Rule) -> str:
    if rule.peers is None:
        return "anyone"
    words = []
    for peer in rule.peers:
        if peer.block is not None:
            words.append(code(str(peer.block), 400))
        elif peer.namespaces is None:
            words.append(code(str(peer.pod_selector)))
        else:
            words.append(code(f"{peer.pod_selector} in namespaces with {peer.namespaces}", 400))
    return _bounded(words)


def _ports(rule: Rule) -> str:
    return "every port" if rule.ports is None else _bounded([code(str(port)) for port in rule.ports])


def _bounded(words: Sequence[str], most: int = 8) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int = _ROWS) -> Iterator[str]:
    if not rows:
        return
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows[:most]:
        yield "| " + " | ".join(row) + " |"
    yield ""
    if len(rows) > most:
        yield f"{len(rows) - most:,} more are in `proposal.json`."
        yield ""


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
