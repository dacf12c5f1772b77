"""Names for policies: from content, valid whatever a log said, the same in every run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from recommender.learning.groups import Group
from recommender.policy.selector import Selector, is_subdomain

_LONGEST: Final = 200
"""Leaves room for the endings added here within the 253 characters Kubernetes allows."""


def policy_names(subjects: Mapping[Group, Selector], taken: Iterable[str]) -> dict[Group, str]:
    """A name for each group's policy: its workload's, or what its workloads' labels have in common.

    Two of one namespace that would have the same name, or one of ``taken``, have their kinds added.
    """
    plain = {group: object_name(_words(group, subjects[group])) for group in subjects}
    uses = Counter((group.namespace, name) for group, name in plain.items())
    reserved = set(taken)
    return {
        group: name
        if uses[group.namespace, name] == 1 and name not in reserved
        else object_name(f"{name}-{group.members[0].kind.lower()}")
        for group, name in plain.items()
    }


def _words(group: Group, subjects: Selector) -> str:
    if len(group.members) == 1:
        return group.members[0].name
    return "-".join(r.values[0] for r in subjects.requirements if r.values) or group.members[0].name


def object_name(text: str) -> str:
    """A valid object name that says ``text``; one that had to be changed ends in a hash of the whole."""
    parts = (part.strip("-") for part in re.sub(r"[^-a-z0-9.]+", "-", text.lower()).split("."))
    name = ".".join(part for part in parts if part)[:_LONGEST].strip("-.")
    if name == text and is_subdomain(name):
        return name
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name.replace('.', '-')[:50].strip('-') or 'workload'}-{digest}"
