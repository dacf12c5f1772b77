"""To which workload a pod belongs that may be gone by now.

The names that controllers make are read here, and nowhere else:

* Five random characters end a pod's name, from an alphabet without vowels and look-alikes:
  ``bcdfghjklmnpqrstvwxz2456789`` (k8s.io/apimachinery ``util/rand``). A base of more than 58
  characters is cut before them, its dash too (k8s.io/apiserver ``storage/names``).
* A pod-template-hash is a 32-bit number in decimal, each digit mapped into that alphabet
  (``SafeEncodeString``). Only ``456789bcdf`` can come of that, at most ten; fewer than six
  come once in forty thousand.
* A CronJob's Job ends in the scheduled time: minutes since 1970 from Kubernetes 1.21 on,
  seconds before (``getJobName`` of the CronJob controller). Dates such as 20260131 are no
  such minutes, which is how a Job named by a person is told apart.
* A StatefulSet's pod ends in its ordinal.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from recommender.policy.selector import Labels

if TYPE_CHECKING:
    from recommender.cluster.inventory import Inventory, Workload, WorkloadRef

GENERATION_LABELS: Final[Mapping[str, str]] = {
    "pod-template-hash": "Deployment",
    "rollouts-pod-template-hash": "Rollout",
}
"""The label that tells the ReplicaSets of one owner apart, and the kind of that owner."""

_RANDOM: Final = "[bcdfghjklmnpqrstvwxz2456789]{5}"
_HASH: Final = "[4-9bcdf]{6,10}"
_MINUTES: Final = "(?:2[6-9]|3[0-9])[0-9]{6}"  # 2019 to 2046
_SECONDS: Final = "1[4-9][0-9]{8}"  # 2014 to 2033
_JOB = re.compile(f".+-(?:{_MINUTES}|{_SECONDS})")
_ANY_JOB = re.compile(r"(.+)-[0-9]{8,}")
_REPLICA_SET = re.compile(f"(.+)-{_HASH}")
_POD = re.compile(f"(.+)-{_RANDOM}")
_CUT_POD = re.compile(f"(.{{58}}){_RANDOM}")
_CUT_ENDING: Final = {
    "Deployment": re.compile("[4-9bcdf]{0,10}-?"),
    "Rollout": re.compile("[4-9bcdf]{0,10}-?"),
    "CronJob": re.compile("[0-9]{0,10}-?"),
    "DaemonSet": re.compile(""),
    "Job": re.compile(""),
}
"""What may stand between the name of a workload and the random end, where a pod's name was cut."""
_SHORTEST_CUT: Final = 58 - len("-0123456789")
_ORDINAL = re.compile(r"(.+)-(?:0|[1-9][0-9]{0,4})")


def workload_of(
    inventory: Inventory, namespace: str, pod: str, labels: Labels, kind: str, name: str
) -> WorkloadRef | None:
    """The workload of a pod that was seen in a flow; None where it cannot be told.

    Asked in this order: the pod in the inventory; the workload the log names (``kind`` and
    ``name``, empty where it does not), which need not be in the inventory; the one workload
    of the namespace whose selector or label sets fit ``labels``, of which a CNI may have
    dropped some; the workload that is there and whose controller would give the pod that
    name, which also decides where the dropped labels may have been another workload's.
    """
    return inventory.attribution.of(namespace, pod, labels, kind, name)


def name_pattern(pod: str) -> tuple[str, str]:
    """(kind, name) of the workload that a pod's name suggests; ("Pod", pod) where it suggests none."""
    for kind, name in _makers(pod):
        if kind in ("Deployment", "CronJob", "StatefulSet"):
            return kind, name
    return "Pod", pod


def replica_set_owner(name: str, labels: Mapping[str, str]) -> tuple[str, str] | None:
    """(kind, name) of what made a ReplicaSet that is not there, from its name and its pods' labels."""
    for label, kind in GENERATION_LABELS.items():
        ending = f"-{labels.get(label, '')}"
        if len(ending) > 1 and name.endswith(ending) and name != ending:
            return kind, name.removesuffix(ending)
    return None


def cron_job_of(job: str, exists: Callable[[str], bool] = lambda _: False) -> str | None:
    """The CronJob that a Job's name speaks of; any eight digits will do for one that ``exists``."""
    likely = _ANY_JOB.fullmatch(job)
    return likely[1] if likely and (exists(likely[1]) or _JOB.fullmatch(job)) else None


def _makers(pod: str) -> list[tuple[str, str]]:
    """(kind, name) of every controller that could have given a pod its name, the likeliest first."""
    found: list[tuple[str, str]] = []
    made = _POD.fullmatch(pod)
    base = made[1] if made else ""
    if base:
        replica_set, job = _REPLICA_SET.fullmatch(base), cron_job_of(base)
        indexed = _ORDINAL.fullmatch(base)
        if replica_set:
            found += [("Deployment", replica_set[1]), ("Rollout", replica_set[1])]
        if job is None and indexed:
            job = cron_job_of(indexed[1])
        if job is not None:
            found.append(("CronJob", job))
    ordinal = _ORDINAL.fullmatch(pod)
    if ordinal:
        found.append(("StatefulSet", ordinal[1]))
    if base:
        found += [(kind, base) for kind in ("DaemonSet", "ReplicaSet", "Job", "ReplicationController")]
        if indexed:
            found.append(("Job", indexed[1]))
    return found


def _was_cut_from(base: str, ref: WorkloadRef) -> bool:
    beginning = f"{ref.name}-"[:58]
    ending = _CUT_ENDING[ref.kind].fullmatch(base.removeprefix(beginning))
    return base.startswith(beginning) and ending is not None


class Attribution:
    """The look-ups behind :func:`workload_of`, made once for an inventory; answers are kept."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._answers: dict[tuple[str, str, Labels, str, str], WorkloadRef | None] = {}
        self._by_labels: dict[tuple[str, Labels], tuple[WorkloadRef | None, bool]] = {}
        self._selecting: dict[tuple[str, str, str], list[Workload]] = defaultdict(list)
        self._wearing: dict[tuple[str, str, str], dict[WorkloadRef, list[frozenset[tuple[str, str]]]]]
        self._wearing = defaultdict(lambda: defaultdict(list))
        self._named: dict[tuple[str, str], list[WorkloadRef]] = defaultdict(list)
        self._long: dict[str, list[WorkloadRef]] = defaultdict(list)
        self._nodes = {node.name for node in inventory.nodes}
        for ref in sorted(inventory.workloads):
            workload = inventory.workloads[ref]
            self._named[ref.namespace, ref.name].append(ref)
            if len(ref.name) >= _SHORTEST_CUT and ref.kind in _CUT_ENDING:
                self._long[ref.namespace].append(ref)
            for term in workload.selector.requirements if workload.selector else ():
                if term.operator == "In":
                    for value in term.values:
                        self._selecting[ref.namespace, term.key, value].append(workload)
                    break
            for worn in workload.label_sets:
                for key, value in worn:
                    self._wearing[ref.namespace, key, value][ref].append(frozenset(worn))

    def of(self, namespace: str, pod: str, labels: Labels, kind: str, name: str) -> WorkloadRef | None:
        """See :func:`workload_of`."""
        known = self._inventory.pod_named.get((namespace, pod)) if pod else None
        if known is not None:
            return known.workload
        question = (namespace, pod, labels, kind, name)
        if question not in self._answers:
            fitting, sure = self._worn(namespace, labels)
            self._answers[question] = (
                self._told(namespace, labels, kind, name)
                or (fitting if sure else None)
                or self._made(namespace, pod)
                or fitting
            )
        return self._answers[question]

    def _told(self, namespace: str, labels: Labels, kind: str, name: str) -> WorkloadRef | None:
        """What the log says, brought to what a person deployed."""
        from recommender.cluster.inventory import WorkloadRef

        if not (kind and name):
            return None
        told = WorkloadRef(namespace, kind, name)
        if told in self._inventory.workloads:
            return told
        if told in self._inventory.owners:
            return self._inventory.owners[told]
        if kind == "ReplicaSet":
            maker = replica_set_owner(name, dict(labels))
            stripped = _REPLICA_SET.fullmatch(name)
            if maker is None and stripped:
                rollout = WorkloadRef(namespace, "Rollout", stripped[1]) in self._inventory.workloads
                maker = ("Rollout" if rollout else "Deployment", stripped[1])
            return WorkloadRef(namespace, *maker) if maker else told
        if kind == "Job":
            workloads = self._inventory.workloads
            cron_job = cron_job_of(name, lambda made: WorkloadRef(namespace, "CronJob", made) in workloads)
            return WorkloadRef(namespace, "CronJob", cron_job) if cron_job else told
        return told

    def _worn(self, namespace: str, labels: Labels) -> tuple[WorkloadRef | None, bool]:
        """The one workload these labels fit, and whether no other comes close."""
        question = (namespace, labels)
        if question not in self._by_labels:
            self._by_labels[question] = self._fitting(namespace, labels)
        return self._by_labels[question]

    def _fitting(self, namespace: str, labels: Labels) -> tuple[WorkloadRef | None, bool]:
        worn = dict(labels)
        selecting = {
            workload.ref
            for key, value in labels
            for workload in self._selecting.get((namespace, key, value), ())
            if workload.selector is not None and workload.selector.matches(worn)
        }
        # The CNI may have dropped labels: who has all of these, and perhaps more?
        steady = frozenset((key, value) for key, value in labels if key not in GENERATION_LABELS)
        candidates = [self._wearing.get((namespace, key, value), {}) for key, value in steady]
        fewest = min(candidates, key=len, default={})
        wearing = {ref for ref, sets in fewest.items() if any(steady <= one for one in sets)}
        likely = selecting
        if len(selecting) != 1:
            likely = selecting & wearing or wearing
        return (next(iter(likely)), wearing <= likely) if len(likely) == 1 else (None, False)

    def _made(self, namespace: str, pod: str) -> WorkloadRef | None:
        """The workload that is there and whose controller would make this name."""
        from recommender.cluster.inventory import WorkloadRef

        for kind, name in _makers(pod):
            ref = WorkloadRef(namespace, kind, name)
            if ref in self._inventory.workloads:
                return ref
            if ref in self._inventory.owners:
                return self._inventory.owners[ref]
            if kind == "StatefulSet":
                others = [r for r in self._named.get((namespace, name), ()) if r.kind not in _NUMBERS_NONE]
                if len(others) == 1:
                    return others[0]
        cut = _CUT_POD.fullmatch(pod)
        if cut:
            fitting = [r for r in self._long.get(namespace, ()) if _was_cut_from(cut[1], r)]
            if len(fitting) == 1:
                return fitting[0]
        parts = pod.split("-")
        for end in range(1, len(parts)):
            ref = WorkloadRef(namespace, "Pod", "-".join(parts[:end]))
            if ref in self._inventory.workloads and "-".join(parts[end:]) in self._nodes:
                return ref
        return None


_NUMBERS_NONE: Final = (
    "Deployment", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "Pod", "Rollout",
)  # fmt: skip
"""Kinds whose pods have no ordinals; a foreign kind, as of a database operator, may number its pods."""
