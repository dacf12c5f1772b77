"""Reading, cut into units that worker processes can take. Imports no pandas, so that workers start fast."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recommender.errors import FormatError, InputError
from recommender.traffic.edges import Edges
from recommender.traffic.formats import Reader, reader_of
from recommender.traffic.formats.looks import VAGUE, looks_like
from recommender.traffic.sources.files import Damaged, Source, is_plain, lines_in, lines_of, ranges
from recommender.traffic.tally import Tally

Progress = Callable[[int, int | None], None]

_SMALLEST_RANGE: Final = 8 << 20
_LARGEST_RANGE: Final = 2 << 30
_HEAD: Final = 64 << 10


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Reading makes no cycles of references; looking for them would go through all of pandas each time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Task:
    """What is wanted of every source."""

    format: str
    since: datetime | None = None
    until: datetime | None = None
    by_port: bool = False

    def reader(self, edges: Edges) -> Reader:
        return reader_of(self.format, edges, self.since, self.until)


@dataclass(frozen=True, slots=True)
class Unit:
    """A file, or (``end`` > 0) a range of one."""

    path: str
    start: int = 0
    end: int = 0


def read_source(reader: Reader, source: Source, on_bytes: Callable[[int], None] | None = None) -> Tally:
    """All of one source.

    Raises:
        InputError: it cannot be read.
        FormatError: it is mostly no flows; says what it looks like.
    """
    tally = Tally(source.name)
    reader.begin(tally)
    head = b""
    damage = ""
    try:
        for lines in lines_of(source, on_bytes):
            if len(head) < _HEAD:
                head = b"".join([head, *lines])[:_HEAD]
            reader.lines(lines)
    except Damaged as fault:
        damage = str(fault)
    reader.end()
    if damage and (tally.foreign or not tally.records):
        raise FormatError(f"{source.name}: the compressed data is damaged: {damage}")
    check(tally, head)
    if damage:
        tally.reject(tally.number + 1, "compressed data is damaged from here on", damage.encode())
    return tally


def check(tally: Tally, head: bytes) -> None:
    """Refuse a file most of whose records are bad, or that has none of Hubble's.

    Raises:
        FormatError: names the file, what it looks like, and the first line that was bad.
    """
    if not tally.mostly_bad and not tally.foreign:
        return
    look = looks_like(head)
    what = f"this looks like {look}" if tally.foreign or look not in VAGUE else "mostly no Hubble flows"
    if not tally.rejects:
        raise FormatError(f"{tally.file}: {what}; it holds no flow (lines read: {tally.lines})")
    first = min(tally.rejects, key=lambda reject: reject.line)
    raise FormatError(
        f"{tally.file}: {what}; {tally.bad} of {tally.records} lines cannot be used, "
        f"such as line {first.line}: {first.reason}"
    )


@_without_collecting()
def read_unit(unit: Unit, task: Task) -> tuple[Edges, Tally, bool]:
    """One unit, in a worker: its edges, its account, and whether a document goes on after it."""
    edges = Edges(task.by_port)
    reader = task.reader(edges)
    if not unit.end:
        return edges, read_source(reader, Source(unit.path, unit.path)), False
    tally = Tally(unit.path)
    reader.begin(tally)
    for lines in lines_in(unit.path, unit.start, unit.end):
        reader.lines(lines)
    return edges, tally, reader.end(last=False)


def read_all(
    sources: list[Source], task: Task, jobs: int, progress: Progress | None
) -> tuple[Edges, list[Tally]]:
    """All sources, in ``jobs`` processes: the same edges and accounts whatever their number.

    Raises:
        InputError: a source cannot be read.
        FormatError: a source is mostly no flows.
    """
    meter = _Meter(sources, progress)
    if jobs == 1:
        edges = Edges(task.by_port)
        reader = task.reader(edges)
        with _without_collecting():
            return edges, [read_source(reader, source, meter.of(source)) for source in sources]
    return _read_parallel(sources, task, jobs, meter)


class _Meter:
    """Adds up how far the sources have been read."""

    def __init__(self, sources: list[Source], progress: Progress | None) -> None:
        sizes = [source.size for source in sources]
        self._total = None if None in sizes else sum(size for size in sizes if size is not None)
        self._progress = progress
        self._done: dict[str, int] = {}

    def of(self, source: Source) -> Callable[[int], None] | None:
        return None if self._progress is None else lambda taken: self.at(source.name, taken)

    def at(self, name: str, taken: int) -> None:
        if self._progress is not None:
            self._done[name] = taken
            self._progress(sum(self._done.values()), self._total)


def _read_parallel(sources: list[Source], task: Task, jobs: int, meter: _Meter) -> tuple[Edges, list[Tally]]:
    edges, tallies = Edges(task.by_port), []
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(jobs, mp_context=_context(), initializer=_leave_signals) as pool:
        try:
            work = [
                [(unit, pool.submit(read_unit, unit, task)) for unit in _units(source, jobs)]
                for source in sources
            ]
            for source, parts in zip(sources, work, strict=True):
                tally = _gather(source, parts, task, edges, meter)
                tallies.append(tally)
        except BrokenProcessPool as fault:
            raise InputError(
                "a process that read flows died, most likely for want of memory: try fewer --jobs"
            ) from fault
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise
    return edges, tallies


def _leave_signals() -> None:
    """Workers are ended by this process; a key pressed in the terminal reaches it as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


Part = tuple[Unit, "Future[tuple[Edges, Tally, bool]]"]


def _gather(source: Source, parts: list[Part], task: Task, edges: Edges, meter: _Meter) -> Tally:
    """The parts of one source put together; read here as a whole if it has none, or a document crosses a cut."""
    found: list[Edges] = []
    tally = Tally(source.name)
    whole = bool(parts)
    for unit, future in parts:
        part, counted, left_open = future.result()
        whole = whole and not left_open
        found.append(part)
        tally.update(counted)
        if whole:
            meter.at(source.name, unit.end or source.size or 0)
    if not whole:
        mine = Edges(task.by_port)
        tally = read_source(task.reader(mine), source, meter.of(source))
        edges.update(mine)
        return tally
    if parts[0][0].end:  # what was read as a whole was checked by its worker
        check(tally, _head(source.path))
    for part in found:
        edges.update(part)
    return tally


def _units(source: Source, jobs: int) -> Iterator[Unit]:
    """What workers take of a source; nothing of a stream, which only this process can read."""
    if not source.path:
        return
    size = source.size
    if size is None or size < 2 * _SMALLEST_RANGE or not is_plain(source.path):
        yield Unit(source.path)
        return
    # Each range meets every edge anew, so there are no more of them than keep the workers busy.
    parts = max(min(jobs, size // _SMALLEST_RANGE), size // _LARGEST_RANGE)
    for start, end in ranges(source.path, parts):
        yield Unit(source.path, start, end)


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_HEAD)


def _context() -> multiprocessing.context.BaseContext:
    """Forking is fast and needs no importable main module, but is only safe with one thread."""
    forks = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if forks else "spawn")


def cores() -> int:
    """The processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
