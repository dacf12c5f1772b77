"""Files, globs, folders and standard input as blocks of whole lines.

Compression is told by the first bytes of a file, never by its name: rotated logs are called
anything. Plain files can be read by ranges, each worker its own.
"""

from __future__ import annotations

import bz2
import glob
import io
import lzma
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import zstandard
from isal import isal_zlib

from recommender.errors import FormatError, InputError
from recommender.traffic.tally import MAX_LINE

BLOCK: Final = 256 << 10
STDIN: Final = "-"


def _zstd() -> Any:
    return zstandard.ZstdDecompressor().decompressobj()


_PACKED: Final[dict[bytes, Callable[[], Any]]] = {
    b"\x1f\x8b": lambda: isal_zlib.decompressobj(wbits=31),
    b"\x28\xb5\x2f\xfd": _zstd,
    **{bytes([0x50 + kind]) + b"\x2a\x4d\x18": _zstd for kind in range(16)},  # a skippable frame
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lzma.LZMADecompressor,
}
_PACKED_BLOCK: Final = 4 << 10
"""Small, so that what expands a thousandfold and more stays within memory."""
_NOT_LINES: Final = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"PAR1": "Parquet",
    b"\xd4\xc3\xb2\xa1": "a packet capture (pcap)",
    b"\xa1\xb2\xc3\xd4": "a packet capture (pcap)",
    b"\x4d\x3c\xb2\xa1": "a packet capture (pcap)",
    b"\x0a\x0d\x0d\x0a": "a packet capture (pcapng)",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text, as PowerShell's > writes it: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"\x04\x22\x4d\x18": "lz4: unpack it first",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "Avro",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it first",
}
_ISAL_ERROR: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]
_DAMAGED: Final = (_ISAL_ERROR, zstandard.ZstdError, lzma.LZMAError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Source:
    """Something to read: a file by its path, or a stream that is already open."""

    name: str
    path: str = ""
    stream: IO[bytes] | None = None

    @property
    def size(self) -> int | None:
        """Bytes of a regular file; None where that cannot be known."""
        if not self.path or not os.path.isfile(self.path):
            return None
        return os.path.getsize(self.path)

    def open(self) -> IO[bytes]:
        """The raw bytes.

        Raises:
            InputError: the file cannot be opened.
        """
        if self.stream is not None:
            return self.stream
        try:
            return open(self.path, "rb", buffering=0)
        except OSError as fault:
            raise InputError(f"{self.name}: {fault.strerror or fault}") from fault


class Damaged(Exception):
    """Compressed data ends early or is wrong; what came before it was given out."""


class _Taken:
    """A stream whose first bytes can be looked at, and that counts what was taken from it."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name = stream, name
        self._head = b""
        self.taken = 0

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (more := self._read(size - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int = BLOCK) -> bytes:
        given, self._head = self._head[:size], self._head[size:]
        given = given or self._read(size)
        self.taken += len(given)
        return given

    def _read(self, size: int) -> bytes:
        try:
            found = self._stream.read(size)
        except OSError as fault:
            raise InputError(f"{self._name}: {fault.strerror or fault}") from fault
        if not isinstance(found, bytes):
            raise InputError(f"{self._name}: a stream of bytes is needed, opened in binary mode")
        return found


class _Unpacked(_Taken):
    """The content of a compressed stream of one or more members; all there is before a damage."""

    def __init__(self, packed: _Taken, name: str, unpacker: Callable[[], Any]) -> None:
        super().__init__(io.BytesIO(), name)
        self._packed, self._unpacker = packed, unpacker
        self._inflating = unpacker()
        self._rest = b""
        self._fault = ""

    def _read(self, size: int) -> bytes:
        """About ``size`` bytes; raises Damaged once all before the damage was given."""
        given = b""
        while len(given) < size and not self._fault:
            fed = self._rest or self._packed.read(_PACKED_BLOCK)
            if not fed:
                self._fault = "" if self._inflating is None else "it ends early"
                break
            try:
                given += self._inflate(fed)
            except _DAMAGED as fault:
                self._fault = str(fault) or type(fault).__name__
        if self._fault and not given:
            raise Damaged(self._fault)
        return given

    def _inflate(self, fed: bytes) -> bytes:
        self._rest = b""
        if self._inflating is None:
            fed = fed.lstrip(b"\0")  # padding between members
            if not fed:
                return b""
            self._inflating = self._unpacker()
        part: bytes = self._inflating.decompress(fed)
        if self._inflating.eof:
            self._rest, self._inflating = self._inflating.unused_data, None
        return part


def expand(sources: Iterable[str | Path | IO[bytes]]) -> list[Source]:
    """The files meant: paths, globs and folders (all files in them, in order), ``-`` for standard input.

    A file that is meant twice is read once. Hidden files in folders are left out.

    Raises:
        InputError: a path does not exist, a glob matches nothing, a folder holds no files.
    """
    found: dict[str, Source] = {}
    for number, source in enumerate(sources):
        if not isinstance(source, str | os.PathLike):
            name = getattr(source, "name", "")
            found[f"\0{number}"] = Source(name if isinstance(name, str) and name else "stream", stream=source)
        elif source == "":
            raise InputError("the name of what to read is empty: give a file, a glob, a folder or - (stdin)")
        elif source == STDIN:
            found[STDIN] = Source("standard input", stream=sys.stdin.buffer)
        else:
            for path in _paths(os.path.expanduser(os.fspath(source))):
                found.setdefault(os.path.realpath(path), Source(path, path))
    if not found:
        raise InputError("nothing to read: no file was given")
    return list(found.values())


def _paths(path: str) -> list[str]:
    if os.path.isdir(path):
        inside = _inside(path)
        if not inside:
            raise InputError(f"{path}: no files in this folder")
        return inside
    if os.path.exists(path):
        return [path]
    if not glob.has_magic(path):
        raise InputError(f"{path}: no such file or folder")
    matches = sorted(glob.glob(path, recursive=True))
    files = [file for match in matches for file in (_inside(match) if os.path.isdir(match) else [match])]
    if not files:
        raise InputError(f"{path}: no file matches")
    return files


def _inside(folder: str) -> list[str]:
    found = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(at, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if os.path.isfile(path))


def lines_of(source: Source, on_bytes: Callable[[int], None] | None = None) -> Iterator[list[bytes]]:
    """The lines of a source, some at a time, with their line ends.

    A line longer than ``MAX_LINE`` is cut there, and is so longer than that by one byte.

    Args:
        on_bytes: told how many bytes of the source have been taken so far.

    Raises:
        InputError: the source cannot be read.
        FormatError: it is something that has no lines, such as Parquet.
        Damaged: compressed data is damaged; all lines before that were given.
    """
    stream = source.open()
    try:
        raw = _Taken(stream, source.name)
        head = raw.peek(512)
        unpacker = next((unpacker for magic, unpacker in _PACKED.items() if head.startswith(magic)), None)
        _refuse(head, source.name)
        opened = raw
        if unpacker is not None:
            opened = _Unpacked(raw, source.name, unpacker)
            head = opened.peek(512)
            _refuse(head, source.name)
            if head.startswith(tuple(_PACKED)):
                raise FormatError(f"{source.name}: this is compressed twice: unpack it once")
        for lines in split(opened.read):
            if on_bytes is not None:
                on_bytes(raw.taken)
            yield lines
    finally:
        if source.stream is None:
            stream.close()


def _refuse(head: bytes, name: str) -> None:
    for magic, what in _NOT_LINES.items():
        if head.startswith(magic):
            raise FormatError(f"{name}: this is {what}")
    if head[257:262] == b"ustar":
        raise FormatError(f"{name}: this is a tar archive: unpack it first")


def split(read: Callable[[int], bytes]) -> Iterator[list[bytes]]:
    """Whole lines from blocks of bytes, with their line ends; the last may lack its own."""
    carry, dropping = b"", False
    fault: Damaged | None = None
    while True:
        try:
            block = read(BLOCK)
        except Damaged as damaged:
            fault, block = damaged, b""
        if not block:
            break
        # Three times as fast as bytes.split.
        lines = io.BytesIO(block).readlines()
        if dropping:
            dropping = not lines[0].endswith(b"\n")
            del lines[0]
        elif carry:
            lines[0] = carry + lines[0]
        carry = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if lines and len(lines[0]) > MAX_LINE:
            lines[0] = lines[0][: MAX_LINE + 1]
        if len(carry) > MAX_LINE:
            lines.append(carry[: MAX_LINE + 1])
            carry, dropping = b"", True
        if lines:
            yield lines
    if carry:
        yield [carry]
    if fault is not None:
        raise fault


def ranges(path: str, parts: int) -> list[tuple[int, int]]:
    """A plain file cut into about ``parts`` ranges of bytes, each of whole lines."""
    size = os.path.getsize(path)
    cuts = [0]
    with open(path, "rb") as file:
        for part in range(1, parts):
            file.seek(max(cuts[-1], size * part // parts))
            file.readline(MAX_LINE)
            cuts.append(min(file.tell(), size))
    cuts = sorted({*cuts, size})
    return list(pairwise(cuts))


def is_plain(path: str) -> bool:
    """A regular file that is not compressed, so that it can be read from anywhere."""
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError:
        return False
    return os.path.isfile(path) and not head.startswith(tuple(_PACKED))


def lines_in(path: str, start: int, end: int) -> Iterator[list[bytes]]:
    """The lines in a range of a plain file; see :func:`ranges`."""
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        left = end - start

        def read(size: int) -> bytes:
            nonlocal left
            block = file.read(min(size, left))
            left -= len(block)
            return block

        yield from split(read)
