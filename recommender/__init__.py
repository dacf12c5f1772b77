"""A recommendation is a set of policies whose verdicts, computed by one evaluator, admit every
connection we saw and trust, and name every connection we did not see that they also admit.

What the command does, in three calls with the same words::

    from recommender import Inventory, read_edges, recommend

    edges = read_edges("flows.jsonl.gz")
    cluster = Inventory.from_manifests("cluster.yaml")
    print(recommend(edges, cluster).yaml)

``read_flows`` gives every connection a row instead, for small recordings and notebooks.
Names are looked up when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.cluster.inventory import Inventory
    from recommender.options import Options
    from recommender.recommend import Recommendation, recommend
    from recommender.traffic.ingest import read_edges, read_flows

__version__ = "0.1.0"
__all__ = ["Inventory", "Options", "Recommendation", "read_edges", "read_flows", "recommend"]

_HOME = {
    "Inventory": "recommender.cluster.inventory",
    "Options": "recommender.options",
    "Recommendation": "recommender.recommend",
    "recommend": "recommender.recommend",
    "read_edges": "recommender.traffic.ingest",
    "read_flows": "recommender.traffic.ingest",
}


class _Front(ModuleType):
    """Keeps ``recommend`` the function: importing the module of that name would put the module in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "recommend" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
