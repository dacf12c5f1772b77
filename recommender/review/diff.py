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
    found: dict[Link, Change] = {}
    for one in seen:
        was, now = verdict_on(before, one), verdict_on(after, one)
        known = found.get(one.link)
        if known is None:
            found[one.link] = Change(one.link, was.allowed, now.allowed, now.reason)
        elif (known.before and not was.allowed) or (known.after and not now.allowed):
            reason = known.reason if known.after is now.allowed or not known.after else now.reason
            found[one.link] = Change(
                one.link, known.before and was.allowed, known.after and now.allowed, reason
            )
    return tuple(sorted(found.values(), key=lambda change: change.link.key))
