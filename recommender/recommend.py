"""The one place with the order of the steps: follow an edge to YAML by reading :func:`recommend`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from recommender.cluster.inventory import Inventory, WorkloadRef
from recommender.errors import BrokenRecommendation
from recommender.learning.contract import Infrastructure, find
from recommender.learning.cover import Population
from recommender.learning.evidence import Evidence, gather
from recommender.learning.labels import LabelRules
from recommender.learning.learn import Learned, learn, replaced
from recommender.learning.parties import Decision, Link
from recommender.learning.trust import sort_out
from recommender.options import Options
from recommender.policy.judge import Judge
from recommender.policy.manifest import load, render
from recommender.policy.model import DIRECTIONS, Direction, Policy
from recommender.review.admitted import Admitted, Residents, beyond_evidence, kept_open
from recommender.review.diff import Change, connections
from recommender.review.replay import replay
from recommender.traffic.tables import Reading, check_edges, reading_of
from recommender.traffic.window import Window, in_window

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Recommendation:
    """The policies, and everything a person needs to decide on them.

    ``policies`` are what was read back from ``yaml``; ``learned`` holds the evidence of each
    of their rules. ``decisions`` tell of everything that was not learned, ``changes`` of
    every observed connection before and after, ``widened`` what is admitted beyond the
    evidence, ``kept_open`` what policies of others go on admitting. ``inventory`` is the
    cluster as snapshot and flows tell of it, ``population`` its groups and their selectors.
    """

    yaml: str
    policies: tuple[Policy, ...]
    learned: Learned
    decisions: tuple[Decision, ...]
    changes: tuple[Change, ...]
    widened: tuple[Admitted, ...]
    kept_open: tuple[Admitted, ...]
    current: tuple[Policy, ...]
    others: tuple[Policy, ...]
    infrastructure: tuple[Infrastructure, ...]
    inventory: Inventory
    population: Population
    window: Window
    reading: Reading
    unseen: tuple[WorkloadRef, ...]
    replayed: int
    warnings: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)

    @property
    def links(self) -> tuple[Link, ...]:
        """The connections that were learned."""
        return self.learned.links

    def evidence_of(self, policy: Policy, direction: Direction, rule: int) -> tuple[Link, ...]:
        """What a rule stands on, by its position; nothing for one that is mandatory and was not seen used."""
        return self.learned.evidence.get((*policy.key, direction, rule), ())

    @cached_property
    def by_namespace(self) -> Mapping[str, tuple[Policy, ...]]:
        found: dict[str, list[Policy]] = {}
        for policy in self.policies:
            found.setdefault(policy.namespace, []).append(policy)
        return {name: tuple(policies) for name, policies in found.items()}


def recommend(
    edges: pd.DataFrame, inventory: Inventory | None = None, options: Options | None = None
) -> Recommendation:
    """Learn the least policies that admit what was seen and trusted, and prove them.

    Args:
        edges: an edge table as ``read_edges`` gives it.
        inventory: the cluster; without one the labels in the flows are all that is known.
        options: what a person decided.

    Raises:
        FlowSchemaError: ``edges`` is no edge table.
        EvidenceError: nothing was seen in the window.
        OptionError: an option names what is not there.
        BrokenRecommendation: the YAML written would refuse a learned connection.
    """
    options = options or Options()
    inventory = inventory or Inventory.unknown()

    seen, window = in_window(check_edges(edges), options.since, options.until)
    evidence = gather(seen, inventory)
    known = evidence.inventory

    trusted = sort_out(evidence, options)
    links = evidence.links(trusted.rows)

    rules = LabelRules(options.moving_labels, options.stable_labels)
    population = Population(known, rules, use_families=options.families)
    infrastructure = find(known, links, options)
    learned = learn(links, known, population, infrastructure, options)

    yaml = render(learned.policies)
    policies = _with_reasons(load(yaml), learned.policies)

    namespaces = known.namespace_labels()
    proposed = Judge(policies, namespaces)
    seen_and_learned = evidence.seen(trusted.rows, learned.links)
    refused = replay(proposed, seen_and_learned)
    if refused:
        raise BrokenRecommendation(
            "the policies would refuse what was learned; this is a bug in zt-recommend, nothing was written:\n"
            + "\n".join(str(one) for one in refused[:5])
        )

    current, others = replaced(inventory.policies, learned.protected)
    before = Judge(inventory.policies, namespaces)
    after = Judge((*others, *policies), namespaces)
    everything = evidence.seen(evidence.rows, evidence.links())
    residents = Residents(known)
    return Recommendation(
        yaml=yaml,
        policies=policies,
        learned=learned,
        decisions=(*trusted.decisions, *learned.decisions),
        changes=connections(before, after, everything),
        widened=beyond_evidence(proposed, residents, learned.links),
        kept_open=kept_open(Judge(others, namespaces), proposed, residents, learned.protected),
        current=current,
        others=others,
        infrastructure=infrastructure,
        inventory=known,
        population=population,
        window=window,
        reading=reading_of(edges),
        unseen=_unseen(known, evidence, learned),
        replayed=len(seen_and_learned),
        warnings=(*inventory.notes, *evidence.notes, *learned.warnings),
        options=options,
    )


def _with_reasons(read_back: tuple[Policy, ...], written: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The policies as they were read back, each rule with the reason that stands in its comment."""
    result = []
    for policy, original in zip(read_back, written, strict=True):
        sides = {}
        for direction in DIRECTIONS:
            rules, reasons = policy.rules(direction), original.rules(direction)
            if rules is not None and reasons is not None:
                rules = tuple(replace(r, why=o.why) for r, o in zip(rules, reasons, strict=True))
            sides[direction] = rules
        result.append(replace(policy, ingress=sides["ingress"], egress=sides["egress"]))
    return tuple(result)


def _unseen(inventory: Inventory, evidence: Evidence, learned: Learned) -> tuple[WorkloadRef, ...]:
    """Protected workloads that nothing was seen of: default deny is all they get."""
    talking = set(evidence.parties)
    return tuple(
        ref
        for ref in sorted(inventory.workloads)
        if ref.namespace in learned.protected and ref not in talking
    )


__all__ = ["Recommendation", "Window", "recommend"]
