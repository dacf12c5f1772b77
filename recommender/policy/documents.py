"""YAML text to plain values, as Kubernetes reads it, and back to the line a field stands on.

Values are built from libyaml's events, not by PyYAML's composer, which recurses in C (a
hundred thousand ``[`` end the process) and takes six times as long. A repeated key is an
error, dates stay strings, and aliases are counted by what they expand to, so that a few
lines cannot stand for a million nodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from recommender.errors import ManifestError
from recommender.text import printable

FieldPath = tuple[str | int, ...]
"""Keys and indices from the root of a document, such as ("spec", "ingress", 0)."""

MAX_DEPTH: Final = 100
MAX_EXPANDED: Final = 1_000_000
"""The most nodes that the aliases of one document may stand for."""

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?(?:0b[01]+|0x[0-9a-f]+|0o?[0-7]+|[1-9][0-9]*|0)")
_OCTAL = re.compile(r"([-+]?)0([0-7]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:e[-+]?[0-9]+)?")
_LONGEST_INT: Final = 66
"""A sign, ``0b`` and 63 digits: what is longer overflows."""

_LONGEST_FLOAT: Final = 400
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys("yes Yes YES true True TRUE on On ON".split(), True),
    **dict.fromkeys("no No NO false False FALSE off Off OFF".split(), False),
    **dict.fromkeys(".nan .NaN .NAN".split(), math.nan),
    **dict.fromkeys(".inf .Inf .INF +.inf +.Inf +.INF".split(), math.inf),
    **dict.fromkeys("-.inf -.Inf -.INF".split(), -math.inf),
}
_CORE: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final[dict[str, tuple[type, ...]]] = {
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}
_COLLECTION_TAGS: Final = frozenset((None, "!", _CORE + "map", _CORE + "seq"))
_MISSING: Final = object()
_MERGE: Final = object()


def scalar(text: str) -> Any:
    """What an unquoted word means, as the YAML library of Kubernetes reads it: dates stay strings.

    One difference: ``y`` and ``n``, booleans there, stay words, since PyYAML writes them unquoted.
    Source: resolve.go of the go-yaml v2 that sigs.k8s.io/yaml carries.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-." and len(text) <= _LONGEST_FLOAT:
        digits = text.replace("_", "").lower()
        if len(digits) <= _LONGEST_INT and _INT.fullmatch(digits):
            octal = _OCTAL.fullmatch(digits)
            return int(f"{octal[1]}{octal[2]}", 8) if octal else int(digits, 0)
        if _FLOAT.fullmatch(digits):
            number = float(digits)
            return text if math.isinf(number) else number
    return text


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is still being read; ``size`` counts its nodes, aliases expanded."""

    value: Any
    anchor: str | None
    key: Any = _MISSING
    size: int = 1
    merges: tuple[Any, ...] = ()


def documents(text: str | bytes, file: str = "") -> Iterator[Any]:
    """The documents of a YAML text as plain values, None for an empty one.

    Raises:
        ManifestError: the syntax is wrong, a key is given twice, a tag is unknown, it is nested
            deeper than ``MAX_DEPTH``, or its aliases expand to more than ``MAX_EXPANDED`` nodes.
    """
    try:
        data = _encoded(text)
        yield from _build(file, _Parser(data).get_event)
    except yaml.YAMLError as error:
        raise _syntax_error(data, file, error) from None


def _encoded(text: str | bytes) -> bytes:
    """The text in UTF-8; half a surrogate is let through, and refused by the parser with its place."""
    return text.encode(errors="surrogatepass") if isinstance(text, str) else text


def _build(file: str, next_event: Callable[[], Any]) -> Iterator[Any]:
    def refuse(reason: str) -> ManifestError:
        return ManifestError(f"YAML: {reason}", file=file, line=event.start_mark.line + 1)

    words: dict[str, Any] = {}
    stack: list[_Frame] = []
    anchors: dict[str, tuple[Any, int]] = {}
    expanded = 0
    root: Any = None
    while True:
        event = next_event()
        sort = event.__class__
        size = 1
        if sort is yaml.ScalarEvent:
            value = event.value
            if event.implicit[0]:
                value = words.get(value, _MISSING)
                if value is _MISSING:
                    value = words[event.value] = scalar(event.value)
            elif event.tag in _SCALAR_TAGS:
                value = scalar(value)
                if value.__class__ not in _SCALAR_TAGS[event.tag]:
                    kind = event.tag.removeprefix(_CORE)
                    raise refuse(f"{printable(event.value, 60)!r} is no {kind}, as its tag says it is")
            elif event.tag not in (None, "!", _CORE + "str"):
                raise refuse(f"tag {printable(event.tag, 60)} has no meaning here")
            if event.anchor is not None:
                anchors[event.anchor] = value, 1
        elif sort is yaml.MappingStartEvent or sort is yaml.SequenceStartEvent:
            if len(stack) >= MAX_DEPTH:
                raise refuse(f"nested deeper than {MAX_DEPTH}")
            if event.tag not in _COLLECTION_TAGS:
                raise refuse(f"tag {printable(event.tag, 60)} has no meaning here")
            stack.append(_Frame({} if sort is yaml.MappingStartEvent else [], event.anchor))
            continue
        elif sort is yaml.MappingEndEvent or sort is yaml.SequenceEndEvent:
            frame = stack.pop()
            value, size = frame.value, frame.size
            for source in frame.merges:
                if not isinstance(source, dict):
                    raise refuse("<< merges something that is no mapping")
                for key, merged in source.items():
                    value.setdefault(key, merged)
            if frame.anchor is not None:
                anchors[frame.anchor] = value, size
        elif sort is yaml.AliasEvent:
            if event.anchor not in anchors:
                raise refuse(f"alias *{printable(event.anchor, 60)} stands for nothing, or for itself")
            value, size = anchors[event.anchor]
            expanded += size
            if expanded > MAX_EXPANDED:
                raise refuse(f"aliases expand to more than {MAX_EXPANDED:,} nodes")
        elif sort is yaml.DocumentEndEvent:
            yield root
            root, expanded = None, 0
            anchors.clear()
            continue
        elif sort is yaml.StreamEndEvent:
            return
        else:
            continue
        if not stack:
            root = value
            continue
        frame = stack[-1]
        frame.size += size
        if frame.value.__class__ is list:
            frame.value.append(value)
        elif frame.key is not _MISSING:
            if frame.key is _MERGE:
                frame.merges = tuple(value) if isinstance(value, list) else (value,)
            else:
                frame.value[frame.key] = value
            frame.key = _MISSING
        elif sort is yaml.ScalarEvent and value == "<<" and event.implicit[0]:
            if frame.merges:
                raise refuse("key '<<' is given twice")
            frame.key = _MERGE
        else:
            if value.__class__ is not str:
                value = _key(value, getattr(event, "value", ""))
            if value is None:
                raise refuse(
                    "a key must be a word (is this a template? render it first, as helm template does)"
                )
            if value in frame.value:
                raise refuse(f"key {printable(str(value), 60)!r} is given twice")
            frame.key = value


def _key(value: Any, written: str) -> str | int | float | None:
    """A key that is no string: the one it becomes in JSON, if that is what was written.

    ``on`` becomes "true" there and ``010`` "8", which nobody meant: such a key stays what it
    is, for whoever reads the mapping to refuse. None for what can be no key.
    """
    if isinstance(value, bool):
        word = "true" if value else "false"
    elif isinstance(value, (int, float)):
        word = repr(value).removesuffix(".0")
    else:
        return None
    return word if word == written else value


def _syntax_error(data: bytes, file: str, error: yaml.YAMLError) -> ManifestError:
    if isinstance(error, yaml.reader.ReaderError):
        line = data.count(b"\n", 0, error.position) + 1
        return ManifestError(f"YAML: {printable(error.reason)}", file=file, line=line)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return ManifestError(f"YAML: {printable(str(error))}", file=file)
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    reason = printable(", ".join(part for part in parts if part))
    lines = data.split(b"\n", mark.line + 1)
    if any(b"{{" in line for line in lines[max(mark.line - 1, 0) : mark.line + 1]):
        reason += " (a template? render it first, as helm template does)"
    return ManifestError(f"YAML: {reason}", file=file, line=mark.line + 1)


def field_name(path: FieldPath) -> str:
    """``spec.ports[0].port``; a key that holds dots or the like is put in brackets and quotes."""
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z0-9_]+", step):
            name += f".{step}" if name else step
        else:
            name += f"[{printable(step, 80)!r}]"
    return name


def line_of(text: str | bytes, index: int, path: FieldPath) -> int | None:
    """The 1-based line of the field at ``path`` of document ``index``; of its parent where it is absent.

    None where the text has no such document, or is no YAML before that field. The text is parsed anew:
    meant for error messages.
    """
    keys: list[Any] = []  # of every open collection: the key whose value comes next, or the element's number
    matched, document = 0, -1
    line: int | None = None
    try:
        next_event = _Parser(_encoded(text)).get_event
        while True:
            event: Any = next_event()
            if isinstance(event, yaml.StreamEndEvent):
                return line
            document += isinstance(event, yaml.DocumentStartEvent)
            if document != index or not isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                keys.pop()
                if len(keys) < matched:
                    return line
            elif keys and keys[-1] is _MISSING:
                # No path leads through a key that is a collection; it is refused before anyone asks.
                keys[-1] = getattr(event, "value", None)
                on_way = len(keys) == matched and str(keys[-1]) == str(path[matched - 1])
                line = _line(event) if on_way else line
                continue
            else:
                if keys and isinstance(keys[-1], int):
                    keys[-1] += 1
                if len(keys) == matched and (not keys or str(keys[-1]) == str(path[matched - 1])):
                    if not keys or isinstance(keys[-1], int):
                        line = _line(event)
                    if matched == len(path):
                        return line
                    matched += 1
                if isinstance(event, yaml.CollectionStartEvent):
                    keys.append(_MISSING if isinstance(event, yaml.MappingStartEvent) else -1)
                    continue
            if keys and not isinstance(keys[-1], int):
                keys[-1] = _MISSING
    except yaml.YAMLError:
        return None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
