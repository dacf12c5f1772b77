"""The one reading of Kubernetes label semantics.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and
``LabelSelectorAsSelector`` in k8s.io/apimachinery. The one that surprises: an absent key
*matches* ``NotIn`` and ``DoesNotExist``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]
OPERATORS: Final[tuple[Operator, ...]] = ("In", "NotIn", "Exists", "DoesNotExist")

Labels = tuple[tuple[str, str], ...]
"""Labels as a value: pairs in the order of their keys. Make one with :func:`labels_of`."""


_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_dns_label(text: str) -> bool:
    """May it be the name of a namespace (RFC 1123 label)?"""
    return _DNS_LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """May it be the name of an object, or the prefix of a label key (RFC 1123 subdomain)?

    Kubernetes, other than the RFC, sets no limit to the parts between the dots.
    """
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """May it be a label's key: a name, behind a subdomain and a slash or alone?"""
    prefix, slash, name = text.rpartition("/")
    return _NAME.fullmatch(name) is not None and (not slash or is_subdomain(prefix))


def is_label_value(text: str) -> bool:
    """May it be a label's value: a name, or nothing?"""
    return text == "" or _NAME.fullmatch(text) is not None


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Labels in canonical order, so that equal labels are equal values."""
    return tuple(sorted(dict(pairs).items()))


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One condition on one key. ``values`` is sorted; empty for Exists and DoesNotExist."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise ValueError(f"operator {self.operator!r} is none of {', '.join(OPERATORS)}")
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            need = "needs values" if self.operator in ("In", "NotIn") else "takes no values"
            raise ValueError(f"operator {self.operator} {need}")
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """A conjunction of requirements. No requirements at all selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "requirements", tuple(sorted(set(self.requirements))))

    @classmethod
    def of(cls, labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> Selector:
        """The selector ``matchLabels: labels``."""
        return cls(tuple(Requirement(k, "In", (v,)) for k, v in dict(labels).items()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(requirement.key for requirement in self.requirements)

    def __str__(self) -> str:
        words = []
        for r in self.requirements:
            match r.operator:
                case "In" if len(r.values) == 1:
                    words.append(f"{r.key}={r.values[0]}")
                case "In" | "NotIn":
                    words.append(
                        f"{r.key} {'in' if r.operator == 'In' else 'not in'} ({', '.join(r.values)})"
                    )
                case "Exists":
                    words.append(f"{r.key} exists")
                case "DoesNotExist":
                    words.append(f"no {r.key}")
        return ", ".join(words) or "everything"


EVERYTHING: Final = Selector()

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label the API server keeps equal to a namespace's name (Kubernetes 1.22 and later)."""


def namespaces_named(names: Iterable[str]) -> Selector:
    """The selector for namespaces by name."""
    return Selector((Requirement(NAMESPACE_NAME, "In", tuple(names)),))
