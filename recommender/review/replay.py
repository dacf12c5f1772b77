"""Replay: every learned connection of the recording, judged by the YAML that was written, read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recommender.learning.parties import Seen
from recommender.policy.judge import Judge, Verdict
from recommender.policy.model import protocol_of


@dataclass(frozen=True, slots=True)
class Refused:
    """A learned connection that the policies would refuse."""

    seen: Seen
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.seen.link} ({self.seen.source} -> {self.seen.destination}): {self.verdict.reason}"


def replay(judge: Judge, connections: Iterable[Seen]) -> tuple[Refused, ...]:
    """The connections that are refused; empty if the policies hold."""
    refused = []
    for seen in connections:
        verdict = verdict_on(judge, seen)
        if not verdict.allowed:
            refused.append(Refused(seen, verdict))
    return tuple(refused)


def verdict_on(judge: Judge, seen: Seen) -> Verdict:
    """The verdict on a connection of a protocol NetworkPolicy knows."""
    link = seen.link
    return judge.verdict(seen.source, seen.destination, protocol_of(link.protocol), link.port)
