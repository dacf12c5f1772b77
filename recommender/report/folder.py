"""The files of ``--out DIR``: a folder a namespace, REVIEW.md and proposal.json, as one value."""

from __future__ import annotations

from recommender.policy.manifest import render
from recommender.recommend import Recommendation
from recommender.report.place import PROPOSAL
from recommender.report.proposal import proposal
from recommender.report.review import review

REVIEW = "REVIEW.md"


def files(found: Recommendation) -> dict[str, str]:
    """Path within the folder -> text. Namespaces and policy names are DNS labels, so safe as file names."""
    manifests = {
        f"{policy.namespace}/{policy.name}.yaml": render([policy])
        for policies in found.by_namespace.values()
        for policy in policies
    }
    names = (*sorted(manifests), PROPOSAL, REVIEW)
    return {**manifests, REVIEW: review(found), PROPOSAL: proposal(found, names)}
