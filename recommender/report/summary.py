"""What a person sees on the terminal at the end: one row a namespace, and what to know besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from recommender.cluster.inventory import WorkloadRef
from recommender.recommend import Recommendation
from recommender.review.diff import KINDS
from recommender.text import printable


def table(found: Recommendation) -> list[tuple[str, ...]]:
    """The rows of the summary, the first one its head."""
    workloads = Counter(ref.namespace for ref in found.inventory.workloads)
    learned: Counter[str] = Counter()
    for link in found.links:
        ends = {p.namespace for p in (link.source, link.destination) if isinstance(p, WorkloadRef)}
        learned.update(ends)
    rows: list[tuple[str, ...]] = [("namespace", "workloads", "policies", "rules", "connections")]
    for namespace, policies in sorted(found.by_namespace.items()):
        rules = sum(len(p.ingress or ()) + len(p.egress or ()) for p in policies)
        rows.append(
            (
                printable(namespace),
                str(workloads[namespace]),
                str(len(policies)),
                str(rules),
                str(learned[namespace]),
            )
        )
    return rows


def lines(found: Recommendation) -> Iterator[str]:
    """One sentence a line, without escape sequences or anything a log could have put there."""
    reading = found.reading
    yield ""
    yield f"window: {found.window}"
    yield (
        f"read: {reading.flows:,} flows, {reading.connections:,} connections, {reading.bad:,} lines rejected, "
        f"{reading.lost_events:,} events lost"
    )
    for reject in reading.rejects[:3]:
        yield printable(f"  {reject.file}, line {reject.line}: {reject.reason}")
    changes = Counter(change.kind for change in found.changes)
    yield "connections: " + ", ".join(f"{changes[kind]} {kind}" for kind in KINDS)
    for decision in found.decisions:
        yield printable(f"not learned: {len(decision.links)} {decision.action}: {decision.reason}", 300)
    if found.widened:
        yield f"admitted beyond what was seen: {len(found.widened)} (see REVIEW.md of --out)"
    if found.kept_open:
        yield f"kept open by existing policies: {len(found.kept_open)}"
    for warning in found.warnings:
        yield printable(f"note: {warning}", 600)
    yield f"proven: {found.replayed:,} learned connections replayed against the YAML, none refused"
