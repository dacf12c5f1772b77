"""Families: groups of workloads that are one program many times over, found by clustering on labels.

Twelve tenants of one worker are a family; the frontend and the cart of one shop are not,
however many labels they share. So a cluster counts as a family only if its members also
say that they are the same program: the same labels among ``IDENTITY_KEYS``, apart from the
values of other labels in them (``worker-acme`` of ``tenant: acme``), and the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from recommender.learning.labels import IDENTITY_KEYS
from recommender.policy.selector import Labels

LEAST_MEMBERS: Final = 4
"""Fewer look-alikes are listed one by one: nothing says that the next one is wanted too."""

_FARTHEST: Final = 0.67
"""Average Jaccard distance at which two clusters of label sets stay two: two labels of which one is shared."""

_MOST: Final = 2_000
"""Distinct label sets a namespace may have to be clustered: the distances are a matrix of all pairs."""


def families(label_sets: Sequence[Labels], images: Sequence[tuple[str, ...]]) -> tuple[frozenset[int], ...]:
    """The families among the distinct label sets of one namespace, as sets of positions.

    Average linkage on Jaccard distances, from one product of the label matrix with itself.
    None are found among more than ``_MOST`` label sets.

    Args:
        label_sets: the lasting labels of each.
        images: the images each runs; empty where they are not known.
    """
    if not LEAST_MEMBERS <= len(label_sets) <= _MOST:
        return ()
    programs = [_program(labels) for labels in label_sets]
    described = [
        {*program, *((k, v) for k, v in labels if k not in IDENTITY_KEYS)}
        for program, labels in zip(programs, label_sets, strict=True)
    ]
    columns = {pair: n for n, pair in enumerate(sorted(set().union(*described)))}
    has = np.zeros((len(described), max(1, len(columns))), dtype=np.float64)
    for row, pairs in enumerate(described):
        has[row, [columns[pair] for pair in pairs]] = 1
    shared = has @ has.T
    size = has.sum(axis=1)
    union = size[:, None] + size[None, :] - shared
    distance = 1 - np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    np.fill_diagonal(distance, 0)
    clustering = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=_FARTHEST
    )
    alike: dict[tuple[object, ...], set[int]] = {}
    for position, cluster in enumerate(clustering.fit_predict(distance)):
        if programs[position]:
            alike.setdefault((int(cluster), programs[position], images[position]), set()).add(position)
    found = (frozenset(members) for members in alike.values() if len(members) >= LEAST_MEMBERS)
    return tuple(sorted(found, key=sorted))


def _program(labels: Labels) -> Labels:
    """What a workload says it is, without whose it is: ``worker-*`` of a ``worker-acme`` of the tenant acme."""
    whose = {value for key, value in labels if key not in IDENTITY_KEYS}
    return tuple(
        (key, "-".join("*" if part in whose else part for part in value.split("-")))
        for key, value in labels
        if key in IDENTITY_KEYS
    )
