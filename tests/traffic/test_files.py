"""Where lines come from: files, globs, folders and streams, plain and compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import FormatError, InputError
from recommender.traffic.ingest import read_edges
from recommender.traffic.sources import files
from recommender.traffic.sources.files import expand, lines_in, ranges, split
from recommender.traffic.tables import reading_of
from traffic.hubble_lines import flow, line, tcp

LOG = b"".join(line(flow(l4=tcp(40000 + n, 5432, "ACK"))) + b"\n" for n in range(200))


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip, two members": lambda log: gzip.compress(log[:100_000]) + gzip.compress(log[100_000:]),
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd, two frames": lambda log: b"".join(map(zstandard.ZstdCompressor().compress, (log[:9], log[9:]))),
    "zstd, a skippable frame first": lambda log: b"\x5f\x2a\x4d\x18\x02\0\0\0ab" + zstandard.compress(log),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.fixture
def plain(tmp_path: Path) -> pd.DataFrame:
    path = tmp_path / "plain.log"
    path.write_bytes(LOG)
    return read_edges(path)


@pytest.mark.parametrize("pack", COMPRESSED.values(), ids=COMPRESSED)
class TestCompression:
    def test_a_file_whatever_its_name(
        self, tmp_path: Path, plain: pd.DataFrame, pack: Callable[[bytes], bytes]
    ) -> None:
        path = tmp_path / "events.log.7"
        path.write_bytes(pack(LOG))
        pd.testing.assert_frame_equal(read_edges(str(path)), plain)

    def test_a_stream(self, plain: pd.DataFrame, pack: Callable[[bytes], bytes]) -> None:
        table = read_edges(io.BytesIO(pack(LOG)))
        pd.testing.assert_frame_equal(table, plain)
        assert reading_of(table).files == ["stream"]

    def test_standard_input(
        self, monkeypatch: pytest.MonkeyPatch, plain: pd.DataFrame, pack: Callable[[bytes], bytes]
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(LOG))))
        table = read_edges("-")
        pd.testing.assert_frame_equal(table, plain)
        assert reading_of(table).files == ["standard input"]


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstandard.ZstdCompressor().compress, bz2.compress, lzma.compress]
)
def test_what_is_before_the_damage_is_read(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    good, path = pack(LOG), tmp_path / "events.log.gz"
    path.write_bytes(good + good[: len(good) * 3 // 4])
    table = read_edges(path)
    reading = reading_of(table)
    assert reading.counts["flow"] >= 200
    assert reading.counts["compressed data is damaged from here on"] == reading.bad == 1


def test_nothing_but_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.log.gz"
    path.write_bytes(gzip.compress(LOG)[:30])
    with pytest.raises(FormatError, match=r"events\.log\.gz: the compressed data is damaged"):
        read_edges(path)


def test_a_pipe(tmp_path: Path, plain: pd.DataFrame) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb") as into:
        into.write(LOG[:60_000])
        into.close()
        assert reading_of(read_edges(stream)).flows == LOG[:60_000].count(b"\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.log", "a.log", "b/1.log", "b/c/3.log", ".hidden", "b/.git/x", "z.txt"):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(line(flow()) + b"\n")
    return tmp_path / "logs"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([""], ["a.log", "b/1.log", "b/2.log", "b/c/3.log", "z.txt"]),
        (["*.log"], ["a.log"]),
        (["**/*.log"], ["a.log", "b/1.log", "b/2.log", "b/c/3.log"]),
        (["?.log", "b"], ["a.log", "b/1.log", "b/2.log", "b/c/3.log"]),
        (["b/[12].log", "b/2.log", "a.log"], ["b/1.log", "b/2.log", "a.log"]),
        (["b*"], ["b/1.log", "b/2.log", "b/c/3.log"]),
    ],
    ids=["folder", "glob", "recursive glob", "both", "a file once", "a glob of folders"],
)
def test_paths(folder: Path, given: list[str], found: list[str]) -> None:
    assert [source.name for source in expand(folder / one for one in given)] == [
        str(folder / one) for one in found
    ]


def test_a_file_may_be_named_like_a_glob(tmp_path: Path) -> None:
    path = tmp_path / "events[1].log"
    path.write_bytes(LOG)
    assert [source.name for source in expand([path])] == [str(path)]


@pytest.mark.parametrize("name", ["nowhere.log", "*.nothing", "empty"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name.replace("*", r"\*")):
        read_edges(tmp_path / name)


def test_no_source() -> None:
    with pytest.raises(InputError, match="nothing to read"):
        read_edges()


def test_an_empty_name() -> None:
    with pytest.raises(InputError, match="is empty"):
        read_edges("")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_named_pipe_is_opened_once(tmp_path: Path, plain: pd.DataFrame, jobs: int) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = subprocess.Popen(["sh", "-c", 'cat "$1" > "$2"', "sh", tmp_path / "plain.log", path])
    try:
        pd.testing.assert_frame_equal(read_edges(path, jobs=jobs), plain)
    finally:
        writer.kill()
        writer.wait()


def test_a_text_stream_is_refused() -> None:
    with pytest.raises(InputError, match="binary"):
        read_edges(io.StringIO("{}"))  # type: ignore[arg-type]


REFUSED = {
    "zip": (b"PK\x03\x04" + b"\0" * 60, "zip"),
    "Parquet": (b"PAR1\x15\x04", "Parquet"),
    "pcap": (b"\xd4\xc3\xb2\xa1\x02\0\x04\0", "pcap"),
    "pcapng": (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", "pcapng"),
    "UTF-16": (b"\xff\xfe" + '{"flow":{}}'.encode("utf-16-le"), "UTF-16"),
    "tar": (b"events.log".ljust(257, b"\0") + b"ustar\0", "tar"),
    "gzip in zstd": (zstandard.compress(gzip.compress(LOG)), "compressed twice"),
    "tar in gzip": (gzip.compress(b"events.log".ljust(257, b"\0") + b"ustar\0"), "tar"),
}


@pytest.mark.parametrize(("content", "what"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_lines_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "given.log"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=what) as caught:
        read_edges(path)
    assert "given.log" in str(caught.value)


@given(st.binary(max_size=200), st.integers(1, 40))
def test_lines_are_whole_wherever_blocks_end(text: bytes, block: int) -> None:
    text = text.replace(b"\x00", b"\n").replace(b"\r", b"")
    stream = io.BytesIO(text)
    assert [one for lines in split(lambda _: stream.read(block)) for one in lines] == text.splitlines(
        keepends=True
    )


@pytest.mark.parametrize("block", [1, 7, 10, 19])
def test_a_line_that_is_too_long_is_cut(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 20)
    stream = io.BytesIO(b"a\n" + b"x" * 95 + b"\nb\n" + b"y" * 50)
    found = [one for lines in split(lambda _: stream.read(block)) for one in lines]
    assert found == [b"a\n", b"x" * 21, b"b\n", b"y" * 21]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 100])
def test_ranges_hold_every_line_once(tmp_path: Path, parts: int) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(LOG + b"no line end")
    cut = ranges(str(path), parts)
    assert len(cut) == min(parts, 100)
    found = [one for start, end in cut for lines in lines_in(str(path), start, end) for one in lines]
    assert b"".join(found) == LOG + b"no line end"
    assert len(found) == 201
