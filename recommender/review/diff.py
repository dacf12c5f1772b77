"""The diff that matters: which observed connections open, which close, which stay, policies before against after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recommender.learning.parties import Link, Seen
from recommender.policy.judge import Judge
from recommender.review.replay import verdict_on


@dataclass(frozen=True, slots=True)
class Change:
    """An observed connection before and after. ``reason`` is the verdict's, of the state after."""

    link: Link
    before: bool
    after: bool
    reason: str

    @property
    def kind(self) -> str:
        match self.before, self.after:
            case False, True:
                return "newly allowed"
            case True, False:
                return "no longer allowed"
            case True, True:
                return "still allowed"
            case _:
                return "still refused"


KINDS = ("newly allowed", "no longer allowed", "still allowed", "still refused")


def connections(before: Judge, after: Judge, seen: Iterable[Seen]) -> tuple[Change, ...]:
    """A change for each observed link, in the links' order.

    A link between workloads is many pods; it counts as allowed if it is for all of them.
    """
    verdicts: dict[Link, set[tuple[bool, bool, str]]] = {}
    for one in seen:
        was, now = verdict_on(before, one), verdict_on(after, one)
        verdicts.setdefault(one.link, set()).add((was.allowed, now.allowed, now.reason))
    changes = []
    for link in sorted(verdicts, key=lambda link: link.key):
        was_allowed = all(was for was, _, _ in verdicts[link])
        now_allowed = all(now for _, now, _ in verdicts[link])
        reason = min(why for _, now, why in verdicts[link] if now == now_allowed)
        changes.append(Change(link, was_allowed, now_allowed, reason))
    return tuple(changes)
