"""Which labels of a workload stay, through a rollout, a scale-up, a chart upgrade and the next run of a job.

A label moves by its name (``pod-template-hash``), by the shape of its value (a version, a
hash, a date, a build number), or because it was observed to: its value differs between pods
or generations of one workload. Nothing selects on a label that moves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from recommender.policy.selector import Labels, Selector, is_label_key, is_label_value

MOVING_KEYS: Final = frozenset(
    {
        # Set by controllers, another value for every generation, pod or run.
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "rollouts-pod-template-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "job-name",
        "controller-uid",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "leaderworkerset.sigs.k8s.io/worker-index",
        "jobset.sigs.k8s.io/job-index",
        "workflows.argoproj.io/workflow",
        "spark-exec-id",
        "spark-app-selector",
        # Set by charts and delivery tools, another value for every release.
        "helm.sh/chart",
        "app.kubernetes.io/version",
        "service.istio.io/canonical-revision",
        "istio.io/rev",
        "tags.datadoghq.com/version",
        # Where a pod runs.
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "kubernetes.io/hostname",
    }
)

_MOVING_WORDS: Final = frozenset(
    "version ver chart hash checksum sha commit revision rev build buildid timestamp date uid uuid guid "
    "generation digest nonce index ordinal pipelinerun taskrun podname".split()
)
"""Words that make a key one that moves: ``image-version``, ``git-commit``, ``example.com/config-hash``."""

_WORDS: Final = re.compile(r"[A-Za-z][a-z]*|[A-Z]+(?![a-z])")

_MOVING_SHAPES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # 1.2, v1.2.3, 1.2.3-rc.1, v7, nginx-1.25.3, redis-17.3.1_2
        r"(?:.*[-_])?[vV]?\d+(?:\.\d+)+(?:[-_.+][\w.+-]*)?",
        r"[vV]\d+(?:(?:alpha|beta|rc)\d*)?",
        r"(?:r|rc|rev|build|release)[-_.]?\d+",
        # A UUID.
        r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
        # 2026-11-24, 20261124, 2026.11.24-1, each also behind a name
        r"(?:.*[-_.])?(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?:[-_.tT]?[\w.-]*)?",
        # A job's minute stamp or a run number behind a name.
        r".+[-_.]\d{6,}",
        # A pod or ReplicaSet name: Kubernetes' own random strings leave out vowels and 0, 1, 3.
        r".+-(?=[a-z]*\d)[bcdfghjklmnpqrstvwxz2456789]{8,10}(?:-[bcdfghjklmnpqrstvwxz2456789]{5})?",
    )
)
_HASH: Final = re.compile(r"(?:sha(?:1|256)[-_.:])?(?:[0-9a-f]{7,64}|[0-9A-F]{7,64})")
_TEMPLATE_HASH: Final = re.compile(r"(?=[a-z]*\d)(?=\d*[a-z])[bcdfghjklmnpqrstvwxz2456789]{8,10}")
_NUMBER: Final = re.compile(r"\d{3,}")

IDENTITY_KEYS: Final = (
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "app.kubernetes.io/component",
    "component",
    "name",
    "role",
)
"""Keys that by convention say what a program is, the best first."""


@lru_cache(maxsize=65536)
def moves_by_name(key: str) -> bool:
    """Is it a key whose value is another one after the next release, rollout or run?"""
    if key in MOVING_KEYS:
        return True
    prefix, _, name = key.rpartition("/")
    # A prefix with dots is whose key it is; one without, as in checksum/config, belongs to what it says.
    said = name if "." in prefix else key
    return any(word.lower() in _MOVING_WORDS for word in _WORDS.findall(said))


@lru_cache(maxsize=65536)
def moves_by_shape(value: str) -> bool:
    """Does the value look like a version, a hash, a date or a build number?"""
    if any(shape.fullmatch(value) for shape in _MOVING_SHAPES):
        return True
    return _is_hash(value) or bool(_TEMPLATE_HASH.fullmatch(value)) or _is_number(value)


def _is_hash(value: str) -> bool:
    """Hexadecimal of a length commits and digests have; a short one needs a digit, or it may be a word."""
    if not _HASH.fullmatch(value):
        return False
    return len(value) >= 12 or (any(c.isdigit() for c in value) and any(c.isalpha() for c in value))


def _is_number(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value))


@dataclass(frozen=True, slots=True)
class LabelRules:
    """Which keys move besides those known by name, and which stay whatever they look like.

    Both are lists of keys in which ``*`` stands for anything.
    """

    moving: tuple[str, ...] = ()
    stable: tuple[str, ...] = ()

    def moves(self, key: str, value: str, selector: Selector | None = None) -> bool:
        """Would this label be another one after the next release?

        ``selector`` is the workload's own. Kubernetes keeps it for the workload's life, so
        what a program is called in it is a name even where it looks like a version, and a
        plain number in it is no build number.
        """
        if not is_label_key(key) or not is_label_value(value):
            # Nothing in a cluster has it: a log line made it up.
            return True
        if any(fnmatchcase(key, pattern) for pattern in self.moving):
            return True
        if any(fnmatchcase(key, pattern) for pattern in self.stable):
            return False
        if moves_by_name(key):
            return True
        if selector is not None and key in selector.keys and (key in IDENTITY_KEYS or _is_number(value)):
            return False
        return moves_by_shape(value)

    def stable_of(self, label_sets: Iterable[Labels], selector: Selector | None = None) -> Labels:
        """The labels that every one of the label sets has, with one value, less those that move."""
        sets = [frozenset(labels) for labels in label_sets]
        if not sets:
            return ()
        common = frozenset.intersection(*sets)
        return tuple(sorted((k, v) for k, v in common if not self.moves(k, v, selector)))


def varying_keys(label_sets: Iterable[Labels]) -> frozenset[str]:
    """Keys that have more than one value in the label sets of one workload."""
    values: dict[str, set[str]] = {}
    for labels in label_sets:
        for key, value in labels:
            values.setdefault(key, set()).add(value)
    return frozenset(key for key, found in values.items() if len(found) > 1)
