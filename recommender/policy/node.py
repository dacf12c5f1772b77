"""A value of a manifest that knows its place, so that every complaint names file, line and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from recommender.errors import ManifestError
from recommender.policy.documents import FieldPath, field_name
from recommender.policy.model import network
from recommender.policy.selector import is_label_key, is_label_value
from recommender.text import printable

Word = TypeVar("Word", bound=str)
MOST_ELEMENTS: Final = 200_000
"""The most elements of one object, far above what an API server stores: aliases let a small text grow."""

_CIDR = re.compile(r"[0-9a-fA-F:.]+/[0-9]+")


@dataclass(slots=True)
class Source:
    """Where an object came from, and how many of its elements have been looked at."""

    file: str
    line: Callable[[FieldPath], int | None]
    elements: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. What reads it raises ManifestError where it is not what it should be."""

    value: object
    path: FieldPath
    source: Source

    def fault(self, reason: str, *below: str) -> ManifestError:
        path = self.path + below
        return ManifestError(
            reason, file=self.source.file, line=self.source.line(path), field=field_name(path)
        )

    def wrong(self, expected: str, what: str = "") -> ManifestError:
        match self.value:
            case None:
                given = "is empty"
            case bool():
                given = f"is the boolean {str(self.value).lower()} (in quotes it is a string)"
            case int() | float() if abs(self.value) < 1e18:
                given = f"is the number {self.value} (in quotes it is a string)"
            case str():
                given = f"is {printable(self.value, 60)!r}"
            case int() | float():
                given = "is a number beyond all measure"
            case _:
                given = "is a mapping" if isinstance(self.value, Mapping) else "is a list"
        return self.fault(f"{what}must be {expected}, {given}")

    def mapping(self) -> dict[str, Node]:
        """What is set in a mapping: an explicit null is an absent field, as in the API."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("a mapping")
        return {str(key): self._below(str(key), v) for key, v in self.value.items() if v is not None}

    def fields(self, *known: str) -> dict[str, Node]:
        """What is set in a mapping that has no other fields than these."""
        for key in self.value if isinstance(self.value, Mapping) else ():
            if key not in known:
                raise self.fault(f"unknown field; known here: {', '.join(known)}", str(key))
        return self.mapping()

    def required(self, fields: Mapping[str, Node], name: str) -> Node:
        if name not in fields:
            raise self.fault("is required", name)
        return fields[name]

    def items(self) -> list[Node]:
        if not isinstance(self.value, list | tuple):
            raise self.wrong("a list")
        return [self._below(index, value) for index, value in enumerate(self.value)]

    def _below(self, step: str | int, value: object) -> Node:
        # Aliases let a small text stand for an endless object.
        self.source.elements += 1
        if self.source.elements > MOST_ELEMENTS:
            raise self.fault(f"the object has more than {MOST_ELEMENTS:,} elements")
        return Node(value, (*self.path, step), self.source)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def one_of(self, known: tuple[Word, ...]) -> Word:
        text = self.text()
        for word in known:
            if word == text:
                return word
        raise self.wrong(" or ".join(known))

    def passing(self, sound: Callable[[str], bool], meant: str) -> str:
        text = self.text()
        if not sound(text):
            raise self.wrong(meant)
        return text

    def port_number(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 1 <= self.value <= 65535:
            raise self.wrong("a number within 1..65535")
        return self.value

    def cidr(self) -> str:
        text = self.text()
        try:
            if not _CIDR.fullmatch(text):
                raise ValueError
            network(text)
        except ValueError:
            raise self.wrong("a CIDR such as 10.0.0.0/8 or 2001:db8::/32") from None
        return text

    def strings(self) -> dict[str, str]:
        """A mapping of strings to strings."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("a mapping")
        for key in self.value:
            if not isinstance(key, str):
                raise Node(key, self.path, self.source).wrong("a string", "a key ")
        return {key: self._below(key, value).text() for key, value in self.value.items()}

    def labels(self) -> dict[str, str]:
        """A mapping of label keys to label values."""
        found = self.strings()
        for key, value in found.items():
            Node(key, (*self.path, key), self.source).label_key()
            Node(value, (*self.path, key), self.source).label_value()
        return found

    def label_key(self) -> str:
        return self.passing(is_label_key, "a label key")

    def label_value(self) -> str:
        return self.passing(is_label_value, "empty or a label value of at most 63 characters")
