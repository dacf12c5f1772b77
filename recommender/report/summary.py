"""What a person sees on the terminal at the end: one row a namespace, and what to know besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from recommender.cluster.inventory import WorkloadRef
from recommender.recommend import Recommendation
from recommender.review.diff import KINDS
from recommender.text import printable

_MOST = 20


def summary(found: Recommendation) -> str:
    """Lines without escape sequences or anything a log could have put there."""
    return "\n".join(printable(line, 600) for line in (*_table(found), "", *_lines(found)))


def _table(found: Recommendation) -> Iterator[str]:
    workloads = Counter(ref.namespace for ref in found.inventory.workloads)
    learned: Counter[str] = Counter()
    for link in found.links:
        learned.update(
            {end.namespace for end in (link.source, link.destination) if isinstance(end, WorkloadRef)}
        )
    rows: list[tuple[str, ...]] = [("namespace", "workloads", "policies", "rules", "connections")]
    for namespace, policies in sorted(found.by_namespace.items()):
        rules = sum(len(p.ingress or ()) + len(p.egress or ()) for p in policies)
        counts = (workloads[namespace], len(policies), rules, learned[namespace])
        rows.append((printable(namespace), *map(str, counts)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join((first.ljust(widths[0]), *cells))


def _lines(found: Recommendation) -> Iterator[str]:
    reading = found.reading
    yield f"window: {found.window}"
    yield (
        f"read: {reading.flows:,} flows, {reading.connections:,} distinct connections, "
        f"{reading.bad:,} lines rejected, {reading.lost_events:,} events lost"
    )
    for reject in sorted(reading.rejects, key=lambda reject: (reject.file, reject.line))[:3]:
        yield f"rejected: {reject.file}, line {reject.line}: {reject.reason}"
    changes = Counter(change.kind for change in found.changes)
    yield "connections: " + ", ".join(f"{changes[kind]:,} {kind}" for kind in KINDS)
    not_learned = [f"{len(d.links):,} {d.action}: {d.reason}" for d in found.decisions]
    yield from _first("not learned", not_learned)
    beyond = sum(not admitted.why.startswith("mandatory") for admitted in found.widened)
    if beyond:
        yield f"admitted beyond what was seen: {beyond:,} (named in the REVIEW.md of --out)"
    if found.kept_open:
        yield f"kept open by existing policies: {len(found.kept_open):,} (named in the REVIEW.md of --out)"
    yield from _first("note", found.warnings)
    yield f"proven: {found.replayed:,} learned connections replayed against the YAML, none refused"


def _first(word: str, told: list[str] | tuple[str, ...]) -> Iterator[str]:
    yield from (f"{word}: {each}" for each in told[:_MOST])
    if len(told) > _MOST:
        yield f"{word}: {len(told) - _MOST:,} more (in the proposal.json of --out)"
