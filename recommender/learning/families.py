"""Families: groups of workloads that are one program many times over, found by clustering on labels.

Twelve tenants of one worker are a family; the frontend and the cart of one shop are not,
however many labels they share. So a cluster counts as a family only if its members also
agree on what the program is (one of ``IDENTITY_KEYS``).
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


def families(label_sets: Sequence[Labels]) -> tuple[frozenset[int], ...]:
    """The families among the distinct label sets of one namespace, as sets of positions.

    Average linkage on Jaccard distances, from one product of the label matrix with itself.
    None are found among more than ``_MOST`` label sets.
    """
    if not LEAST_MEMBERS <= len(label_sets) <= _MOST:
        return ()
    columns = {pair: n for n, pair in enumerate(sorted({pair for labels in label_sets for pair in labels}))}
    has = np.zeros((len(label_sets), max(1, len(columns))), dtype=np.float32)
    for row, labels in enumerate(label_sets):
        has[row, [columns[pair] for pair in labels]] = 1
    shared = has @ has.T
    size = has.sum(axis=1)
    union = size[:, None] + size[None, :] - shared
    distance = 1 - np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    np.fill_diagonal(distance, 0)
    found = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=_FARTHEST
    ).fit_predict(distance.astype(np.float64))
    clusters: dict[tuple[int, Labels], set[int]] = {}
    for position, cluster in enumerate(found):
        identity = tuple(pair for pair in label_sets[position] if pair[0] in IDENTITY_KEYS)
        if identity:
            clusters.setdefault((int(cluster), identity), set()).add(position)
    kept = (frozenset(members) for members in clusters.values() if len(members) >= LEAST_MEMBERS)
    return tuple(sorted(kept, key=sorted))
