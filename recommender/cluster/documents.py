"""Files to the Kubernetes objects in them, each knowing where it was written.

JSON is decoded by msgspec, an object at a time, and only the fields that are asked for.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from recommender.errors import FormatError, InputError, ManifestError
from recommender.policy import documents as yaml_documents
from recommender.policy.documents import FieldPath, field_name, line_of
from recommender.text import printable

MAX_BYTES: Final = 4 << 30
SUFFIXES: Final = (".yaml", ".yml", ".json")
COMMAND: Final = (
    "kubectl get ns,nodes,pods,svc,endpointslices,netpol,deploy,rs,sts,ds,cronjobs,jobs "
    "-A -o yaml > cluster.yaml"
)

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """A file's name and its bytes, in UTF-8."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One object of a file, not yet looked into.

    ``body`` is the object's JSON text, or for YAML the plain value. ``index`` is the number
    of the YAML document, ``path`` the object's place in it: ``("items", 3)`` within a List.
    """

    file: File
    index: int
    path: FieldPath
    body: Any

    def read(self, shape: type[Shape]) -> Shape:
        """The object as a msgspec Struct.

        Raises:
            ManifestError: a field has the wrong type; it is named, with its line.
        """
        try:
            if isinstance(self.body, msgspec.Raw):
                return msgspec.json.decode(self.body, type=shape)
            return msgspec.convert(self.body, type=shape)
        except msgspec.ValidationError as error:
            reason, path = _explain(str(error), self.plain())
            raise self.error(reason, path) from None
        except UnicodeDecodeError:
            raise self.error("is not UTF-8") from None

    def plain(self) -> Any:
        """The object as dicts, lists and scalars."""
        return msgspec.json.decode(self.body) if isinstance(self.body, msgspec.Raw) else self.body

    def error(self, reason: str, path: FieldPath = ()) -> ManifestError:
        """What is wrong with the field at ``path`` of this object, ready to be raised."""
        return ManifestError(
            reason, file=self.file.name, line=self.line(path), field=field_name(self.path + path)
        )

    def line(self, path: FieldPath = ()) -> int | None:
        """The 1-based line of a field, or of the innermost of its parents that is written."""
        if not isinstance(self.body, msgspec.Raw):
            return line_of(self.file.data, self.index, self.path + path)
        raw = bytes(self.body)
        before = self.file.data.count(b"\n", 0, max(self.file.data.find(raw), 0))
        within = line_of(raw, 0, path)
        return before + (within or 1)


def files_in(paths: list[Path]) -> Iterator[Path]:
    """The files meant: a file itself, of a folder every YAML and JSON file below it, in order.

    Raises:
        InputError: a path does not exist or cannot be looked at, or a folder has no such file.
    """
    for path in paths:
        try:
            files = (
                sorted(p for p in path.rglob("*") if _wanted(p) and p.is_file()) if path.is_dir() else [path]
            )
            there = path.exists()
        except OSError as error:
            raise InputError(f"{_shown(path)}: cannot be read: {printable(str(error))}") from None
        if not there:
            raise InputError(f"{_shown(path)}: no such file or folder; make one with: {COMMAND}")
        if not files:
            raise InputError(f"{_shown(path)}: no *.yaml, *.yml or *.json in it; make one with: {COMMAND}")
        yield from files


def _wanted(path: Path) -> bool:
    if path.stem.lower() == "kustomization":  # lists files, often without a kind: no object
        return False
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def _shown(path: Path) -> str:
    return printable(str(path))


def load(path: Path) -> File:
    """A file's content, unpacked where it is gzip, as UTF-8 without a byte-order mark.

    PowerShell's ``>`` writes UTF-16; that is read too.

    Raises:
        InputError: it cannot be read, or unpacks to more than ``MAX_BYTES``.
    """
    name = _shown(path)
    try:
        with path.open("rb") as raw:
            head = raw.peek(2)[:2]
            data = _unpacked(gzip.GzipFile(fileobj=raw)) if head == b"\x1f\x8b" else raw.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be read: {printable(str(error))}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: unpacks to more than {MAX_BYTES >> 30} GiB")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise ManifestError("is not UTF-16, as it begins to be", file=name) from None
    return File(name, data.removeprefix(b"\xef\xbb\xbf"))


def _unpacked(stream: gzip.GzipFile) -> bytes:
    """All of a stream, or a little more than ``MAX_BYTES`` of it."""
    data = bytearray()
    while len(data) <= MAX_BYTES and (chunk := stream.read(1 << 24)):
        data += chunk
    return bytes(data)


class _Top(msgspec.Struct):
    """As much of a JSON document as tells what it is."""

    kind: Any = None
    flow: Any = None
    lost_events: Any = None
    node_status: Any = None


def documents(file: File) -> Iterator[Document]:
    """Every YAML document or JSON object of a file; empty YAML documents are left out.

    Raises:
        FormatError: the file holds flows.
        ManifestError: the syntax is wrong, with the line.
    """
    if re.match(rb"\s*\{", file.data):
        found: list[Document] = []
        try:
            for raw in _json_objects(file):
                if not found:
                    _refuse_flows(file, raw)
                found.append(Document(file, 0, (), raw))
        except ManifestError:
            if file.name.lower().removesuffix(".gz").endswith(".json"):
                raise
        else:
            yield from found
            return
    for index, value in enumerate(yaml_documents.documents(file.data, file.name)):
        if value is not None:
            yield Document(file, index, (), value)


def _json_objects(file: File) -> Iterator[msgspec.Raw]:
    """The JSON objects of a file, which may follow each other as jq prints them."""
    rest = memoryview(file.data)
    while rest:
        end = len(rest)
        try:
            msgspec.json.decode(rest, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            more = re.search(r"trailing characters \(byte (\d+)\)", str(error))
            if more is None:
                raise _json_error(file, len(file.data) - len(rest), error) from None
            end = int(more[1]) - 1
        yield msgspec.Raw(rest[:end])
        rest = rest[end:]


def _refuse_flows(file: File, first: msgspec.Raw) -> None:
    try:
        top = msgspec.json.decode(first, type=_Top)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return
    if top.kind is None and (top.flow, top.lost_events, top.node_status) != (None, None, None):
        raise FormatError(
            f"{file.name}: holds recorded flows, not Kubernetes objects; flows are given as the recording, "
            f"and the cluster's objects come from: {COMMAND}"
        )


def _json_error(file: File, start: int, error: Exception) -> ManifestError:
    at = re.search(r"\(byte (\d+)\)", str(error))
    line = file.data.count(b"\n", 0, start + int(at[1])) + 1 if at else None
    match error:
        case RecursionError():
            reason = "JSON is nested too deeply"
        case UnicodeDecodeError():
            reason = "JSON is not UTF-8"
        case _ if at is None:
            reason, line = "JSON ends in the middle: was it cut off?", file.data.count(b"\n") + 1
        case _:
            reason = re.sub(r" \(byte \d+\)", "", str(error))
    return ManifestError(reason, file=file.name, line=line)


def elements(document: Document) -> Iterator[Document] | None:
    """The objects in the ``items`` of a List, one by one; None where there are no ``items``.

    Raises:
        ManifestError: ``items`` is no list.
    """
    items: list[Any] | msgspec.UnsetType | None
    if isinstance(document.body, msgspec.Raw):
        items = document.read(_JsonItems).items
    else:
        items = document.read(_Items).items
    if items is msgspec.UNSET:
        return None
    return (
        Document(document.file, document.index, (*document.path, "items", number), item)
        for number, item in enumerate(items or ())
    )


class _JsonItems(msgspec.Struct):
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


class _Items(msgspec.Struct):
    items: list[Any] | msgspec.UnsetType | None = msgspec.UNSET


# ---- what msgspec says, in the words of this project --------------------------------------------

_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


def _explain(message: str, value: Any) -> tuple[str, FieldPath]:
    """A reason and a path, out of such as "Expected `int`, got `str` - at `$.spec.ports[0].port`"."""
    reason, _, place = message.partition(" - at ")
    path: list[str | int] = []
    for name, number in re.findall(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]", place):
        path.append(name or (int(number) if number != "..." else "..."))
    if place.startswith("`key`"):
        return "a key must be a string: put it in quotes", tuple(path)
    wanted = re.search(r"Expected `([^`]+)`, got `([^`]+)`", reason)
    if wanted:
        types = [_TYPES.get(t, t) for t in wanted[1].split(" | ") if t != "null"]
        reason = f"must be {' or '.join(types)}, is {_TYPES.get(wanted[2], wanted[2])}"
        if wanted[1] == "str" and wanted[2] in ("int", "float", "bool"):
            reason += ": put it in quotes"
    missing = re.search(r"missing required field `([^`]+)`", reason)
    if missing:
        return "is missing", (*path, missing[1])
    if path[-1:] == ["..."]:  # any of a mapping's values: only mappings of strings are read
        for step in path[:-1]:
            value = value[step]
        path[-1] = next(key for key, one in value.items() if not isinstance(one, str))
    return printable(reason[:1].lower() + reason[1:]), tuple(path)
