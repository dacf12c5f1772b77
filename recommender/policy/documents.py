"""YAML text to plain values, as Kubernetes reads it, and back to the line a field stands on.

PyYAML as it comes takes the last of two repeated keys, reads ``1e3`` as a string and
``2024-01-01`` as a date, and can be brought down by a file written for it: by nesting, by
merges of merges, by tags with values they cannot have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import yaml

from recommender.errors import ManifestError
from recommender.text import printable

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML without libyaml: slower, same meaning
    from yaml import SafeLoader  # type: ignore[assignment]

FieldPath = tuple[str | int, ...]
"""Keys and indices from the root of a document, such as ("spec", "ingress", 0)."""

MOST_ELEMENTS: Final = 200_000
"""The most elements of one object, far above what an API server stores: aliases let a small text grow."""

_DEEPEST: Final = 100
_TAG: Final = "tag:yaml.org,2002:"


def documents(text: str, file: str = "") -> Iterator[Any]:
    """The documents of a YAML text as plain values, None for an empty one.

    Timestamps stay strings and ``1e3`` is a number, as Kubernetes reads them.

    Raises:
        ManifestError: a syntax error, a repeated key, a tag, or more nesting than manifests have.
    """
    try:
        loader = _Loader(text)
        try:
            while loader.check_data():  # type: ignore[no-untyped-call]
                yield loader.get_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        line = None if mark is None else mark.line + 1
        raise ManifestError(f"no valid YAML: {printable(reason)}", file=file, line=line) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ManifestError(f"no valid YAML: {printable(str(error))}", file=file) from None


def line_of(text: str, document_index: int, path: FieldPath) -> int | None:
    """The 1-based line of a path in the document of this index; of the nearest parent where it is absent.

    None where the text has no such document. The text is parsed anew: meant for error messages.
    """
    try:
        loader = _Loader(text)
        try:
            node = next(islice(_composed(loader), document_index, None), None)
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeError):
        return None
    if node is None:
        return None
    line: int = node.start_mark.line
    for step in path:
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _composed(loader: _Loader) -> Iterator[yaml.Node | None]:
    while loader.check_node():
        yield loader.get_node()


class _Loader(SafeLoader):
    """YAML 1.1 as Kubernetes reads it, without what can only be a mistake or an attack."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._flat: set[int] = set()

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        # Called for every node on the way down; libyaml's composer recurses until the process dies.
        self._depth += 1
        if self._depth > _DEEPEST:
            mark = current_node.start_mark
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {_DEEPEST}", mark)

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def construct_document(self, node: Any) -> Any:
        self._flat.clear()
        return super().construct_document(node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merges ``<<``, once a mapping; only before that are its keys its own, of which none is repeated."""
        if id(node) in self._flat:
            return
        self._flat.add(id(node))
        seen = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"repeated key {key.value!r}", key.start_mark
                )
            seen.add((key.tag, str(key.value)))
        super().flatten_mapping(node)
        if len(node.value) > MOST_ELEMENTS:
            raise yaml.constructor.ConstructorError(None, None, "merged beyond all measure", node.start_mark)


def _checked(construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def constructed(loader: Any, node: Any) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, LookupError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None

    return constructed


_Loader.yaml_constructors = {
    **{_TAG + kind: SafeLoader.yaml_constructors[_TAG + kind] for kind in ("map", "seq", "str", "null")},
    **{_TAG + kind: _checked(SafeLoader.yaml_constructors[_TAG + kind]) for kind in ("bool", "int", "float")},
    None: SafeLoader.yaml_constructors[None],
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith((":timestamp", ":value"))]
    for first, forms in SafeLoader.yaml_implicit_resolvers.items()
}
_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")
_Loader.add_implicit_resolver(_TAG + "float", _EXPONENT, list("-+.0123456789"))
