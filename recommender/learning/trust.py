"""Which evidence to learn from. Observed is not the same as wanted.

Not learned, each with its reason:

* what a policy refuses today: audit mode and old denials say what happens, not what should;
* attempts on a port that nobody was ever seen to answer on;
* a scan: one source that touches many targets in a short time, most of them without an
  answer, and with it what it touched in passing and did get an answer from;
* what NetworkPolicy cannot say, and what needs no saying.

"Unanswered" is known only where the recording has replies in it: a capture of AUDIT
verdicts has none, and then it is unknown, which is not false.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pandas as pd

from recommender.cluster.inventory import Inventory, WorkloadRef
from recommender.learning.evidence import Evidence
from recommender.learning.parties import Decision, NodeParty, Outside, Party, Unattributed, in_order
from recommender.options import Options
from recommender.policy.model import PROTOCOLS

ONE_WAY_UDP: Final = frozenset({162, 514, 2055, 4739, 5514, 6343, 6831, 6832, 8125, 9125, 12201, 25826})
"""Ports of protocols that are never answered: SNMP traps, syslog, flow export, Jaeger, StatsD, GELF, collectd."""

_IN_PASSING: Final = 3
"""Connections a scan may have made to a port that did answer, for it to count as part of the scan."""

_AT_ONCE: Final = pd.Timedelta(seconds=2)
"""How far apart two nodes tell of the same attempt, by clocks that differ a little."""

_RETRIES: Final = pd.Timedelta(minutes=2)
"""How long a system goes on repeating an unanswered TCP SYN."""


@dataclass(frozen=True)
class Trusted:
    """The rows to learn from, and a decision for all the others: together they are all rows."""

    rows: pd.DataFrame
    decisions: tuple[Decision, ...]


def sort_out(evidence: Evidence, options: Options) -> Trusted:
    """Divide the evidence into what is learned and what is not, with the reason."""
    rest, decisions = evidence.rows, []
    for action, reason, chosen in _judgements(evidence, options):
        taken = chosen.reindex(rest.index, fill_value=False)
        if taken.any():
            decisions.append(Decision(action, reason, in_order(evidence.links(rest[taken]))))
            rest = rest[~taken]
    return Trusted(rest, tuple(decisions))


def _judgements(evidence: Evidence, options: Options) -> Iterator[tuple[str, str, pd.Series]]:
    """(action, reason, which rows), the strongest reason first."""
    rows, parties = evidence.rows, evidence.parties
    for reason, positions in _unattributed(parties).items():
        chosen = rows["src"].isin(positions) | rows["dst"].isin(positions)
        yield "unattributed", reason, chosen
    for protocol in sorted(set(rows["protocol"]) - set(PROTOCOLS)):
        yield "inexpressible", f"NetworkPolicy cannot say {protocol}", rows["protocol"] == protocol
    pod = [isinstance(party, WorkloadRef) for party in parties]
    neither = ~rows["src"].map(pod.__getitem__) & ~rows["dst"].map(pod.__getitem__)
    yield "not needed", "neither end is a pod that a policy can select", neither
    yield "not needed", "a pod's own node always reaches it", rows["own_node"]
    for source, reason, chosen in _scans(evidence, options):
        yield "set aside", f"scan by {source}: {reason}", chosen
    yield "refused", "a policy refuses it today", _refused_today(evidence)
    dead = _nobody_answers(evidence)
    yield "set aside", "nobody was seen to answer on this port", dead


def _unattributed(parties: tuple[Party, ...]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for position, party in enumerate(parties):
        if isinstance(party, Unattributed):
            found.setdefault(party.why, set()).add(position)
    return dict(sorted(found.items()))


def _alike(evidence: Evidence, *sides: str) -> pd.Series:
    """The same number for rows with the same parties on these sides, protocol and port."""
    rows, number = evidence.rows, evidence.party_numbers.__getitem__
    keys = [*(rows[side].map(number) for side in sides), rows["protocol"], rows["port"]]
    return rows.groupby(keys, sort=False).ngroup()


def _refused_today(evidence: Evidence) -> pd.Series:
    """Connections of which a policy refused the last attempt, or every one in the newest hour."""
    rows = evidence.rows
    if not rows["denied"].any():
        return pd.Series(False, index=rows.index)
    link = _alike(evidence, "src", "dst")
    newest = rows["hour"] == rows.groupby(link)["hour"].transform("max")
    last_hour = rows[newest].groupby(link[newest])[["denied", "connections"]].sum()
    all_refused = link.isin(last_hour.index[last_hour["denied"] >= last_hour["connections"]])
    last, last_denied = (rows.groupby(link)[name].transform("max") for name in ("last", "last_denied"))
    return all_refused | (last_denied >= last - _AT_ONCE)


def _nobody_answers(evidence: Evidence) -> pd.Series:
    """Attempts on a (destination, port) known to have answered no one in the whole recording."""
    rows, port = evidence.rows, _alike(evidence, "dst")
    answered = (rows["answered"] == True).fillna(False)  # noqa: E712
    silent = (rows["answered"] == False).fillna(False)  # noqa: E712
    dead = silent.groupby(port).transform("all") & ~answered.groupby(port).transform("any")
    if not dead.any():
        return dead
    one_way = rows["protocol"].eq("UDP") & (
        rows["port"].isin(ONE_WAY_UDP) | ~_undeclared(rows, evidence.parties, evidence.inventory)
    )
    return dead & ~one_way


def _undeclared(rows: pd.DataFrame, parties: tuple[Party, ...], inventory: Inventory) -> pd.Series:
    """Rows to a port that neither a container nor a Service of the destination declares."""
    declared: set[tuple[Party, str, int]] = {
        (ref, port.protocol, port.number)
        for ref, workload in inventory.workloads.items()
        for port in workload.ports
    }
    for service in inventory.services:
        for workload in inventory.workloads_behind(service):
            for port in service.ports:
                declared |= {(workload.ref, port.protocol, n) for n in inventory.target_ports(service, port)}
    return pd.Series(
        [
            (parties[dst], protocol, port) not in declared
            for dst, protocol, port in zip(rows["dst"], rows["protocol"], rows["port"], strict=True)
        ],
        index=rows.index,
        dtype=bool,
    )


def _scans(evidence: Evidence, options: Options) -> Iterator[tuple[str, str, pd.Series]]:
    """Bursts of many unanswered targets from one source, with what was touched in passing."""
    rows, parties, inventory = evidence.rows, evidence.parties, evidence.inventory
    silent = (rows["answered"] == False).fillna(False) | (rows["denied"] >= rows["connections"])  # noqa: E712
    unknown = rows["answered"].isna()
    if inventory.kinds and unknown.any():
        # Where answers cannot be known, a port nobody declares stands for one nobody answers on.
        silent |= unknown & _undeclared(rows, parties, inventory)
    silent &= rows["protocol"].isin(PROTOCOLS)
    counts = rows[silent].groupby("src").size()
    for src in counts.index[counts >= options.scan_targets]:
        mine = rows[rows["src"] == src]
        target = mine.groupby(["dst", "protocol", "port"], sort=False).ngroup()
        quiet = silent.loc[mine.index]
        scans = []
        for start, end in _bursts(mine.loc[quiet, "first"].sort_values(), options):
            inside = (mine["first"] >= start) & (mine["last"] <= end)
            touched, unanswered = target[inside].nunique(), target[inside & quiet].nunique()
            if unanswered >= options.scan_targets and 2 * unanswered >= touched:
                minutes = max(1, round((mine.loc[inside, "first"].max() - start).total_seconds() / 60))
                told = f"{touched} targets within {minutes} min, {unanswered} of them without an answer"
                scans.append((inside, told))
        if scans:
            scanning = pd.concat([inside for inside, _ in scans], axis=1).any(axis=1)
            in_passing = (mine["connections"] <= _IN_PASSING) & ~target.isin(target[~scanning])
            chosen = (scanning & (quiet | in_passing)).reindex(rows.index, fill_value=False)
            again = f", and {len(scans) - 1} times more" if len(scans) > 1 else ""
            yield _named(evidence, src), scans[0][1] + again, chosen


def _bursts(tried: pd.Series, options: Options) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    """Spans of time in which enough attempts were made, overlapping ones joined. ``tried`` are times in order."""
    first = list(tried)
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None
    low = 0
    for high, moment in enumerate(first):
        while moment - first[low] > options.scan_within:
            low += 1
        if high - low + 1 < options.scan_targets:
            continue
        start, end = first[low], moment + _RETRIES
        if span is not None and start <= span[1]:
            span = (span[0], max(span[1], end))
        else:
            if span is not None:
                yield span
            span = (start, end)
    if span is not None:
        yield span


def _named(evidence: Evidence, src: int) -> str:
    end = evidence.ends[src]
    if isinstance(end.party, (Outside, NodeParty)):
        return str(end.party)
    return f"{end.party} (pod {end.endpoint.name or 'unknown'})"
