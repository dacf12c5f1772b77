"""Links, rules and lists of them as cells and tables of Markdown, bounded in length and escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from recommender.learning.parties import Link, Outside
from recommender.policy.model import Peer, Rule
from recommender.policy.selector import EVERYTHING, NAMESPACE_NAME, Selector
from recommender.text import code, markdown

ROWS: Final = 60
_LONG: Final = 12
_FANNED: Final = 4
EVIDENCE: Final = ("flows", "times", "hours", "first seen", "last seen")


def links(
    found: Sequence[Link], most: int, why: Mapping[tuple[str, str, str, int], str] | None = None
) -> Iterator[str]:
    """A table of links; those that differ only in an outside address are one row.

    In a long table those that differ only in their destination are one row too: a scan.
    """
    alike: dict[tuple[object, ...], list[Link]] = {}
    for link in found:
        ends = [None if isinstance(end, Outside) else end for end in (link.source, link.destination)]
        alike.setdefault((*ends, link.service), []).append(link)
    groups = list(alike.values())
    if len(groups) > _LONG:
        fanned: dict[tuple[object, ...], list[list[Link]]] = {}
        for (source, _, service), group in alike.items():
            fanned.setdefault((source, service), []).append(group)
        groups = []
        for same in fanned.values():
            groups += same if len(same) <= _FANNED else [[link for group in same for link in group]]
    head: tuple[str, ...] = ("from", "to", "port", *EVIDENCE)
    rows: list[tuple[str, ...]] = [
        (_ends(group, "source"), _ends(group, "destination"), code(group[0].service), *evidence(group))
        for group in groups
    ]
    if why is not None:
        head = (*head, "why")
        reasons = (dict.fromkeys(why[link.key] for link in group if link.key in why) for group in groups)
        rows = [
            (*row, bounded([markdown(r, 100) for r in told], 2))
            for row, told in zip(rows, reasons, strict=True)
        ]
    yield from table(head, rows, most)


def _ends(links: Sequence[Link], side: str) -> str:
    parties = dict.fromkeys(link.source if side == "source" else link.destination for link in links)
    if len(parties) <= 2:
        return ", ".join(code(str(party)) for party in parties)
    names = sorted({name for link in links for name in link.names}) or list(map(str, parties))
    outside = all(isinstance(party, Outside) for party in parties)
    what = "addresses" if outside else f"{side}s"
    return f"{len(parties):,} {what}: " + bounded([code(name) for name in names], 4)


def evidence(links: Sequence[Link]) -> tuple[str, ...]:
    if not links:
        return ("0", "0", "0", "", "")
    return (
        f"{sum(link.flows for link in links):,}",
        f"{sum(link.connections for link in links):,}",
        str(max(link.hours for link in links)),
        moment(min((link.first for link in links if link.first), default=None)),
        moment(max((link.last for link in links if link.last), default=None)),
    )


def moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if when else ""


def peers(rule: Rule) -> str:
    if rule.peers is None:
        return "anyone"
    return bounded([code(str(peer.block), 400) if peer.block else _pods(peer) for peer in rule.peers])


def _pods(peer: Peer) -> str:
    pods = selector(peer.pod_selector)
    if peer.namespaces is None:
        return pods
    if peer.namespaces == EVERYTHING:
        return f"{pods} in all namespaces"
    terms = peer.namespaces.requirements
    if len(terms) == 1 and terms[0].key == NAMESPACE_NAME and terms[0].operator == "In":
        return f"{pods} in {bounded([code(name) for name in terms[0].values])}"
    return f"{pods} in namespaces with {code(str(peer.namespaces))}"


def selector(pods: Selector) -> str:
    return "all pods" if pods == EVERYTHING else code(str(pods), 400)


def ports(rule: Rule) -> str:
    return "every port" if rule.ports is None else bounded([code(str(port)) for port in rule.ports])


def bounded(words: Sequence[str], most: int = 8) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most:,} more" if len(words) > most else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int = ROWS) -> Iterator[str]:
    """The first rows; nothing at all where there is none."""
    if not rows:
        return
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows[:most]:
        yield "| " + " | ".join(row) + " |"
    yield ""
    yield from more(len(rows) - most)


def more(number: int) -> Iterator[str]:
    if number > 0:
        yield from (f"{number:,} more in `proposal.json`.", "")


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
