"""The window that is learned from, and what the error says where there is nothing in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recommender.errors import EvidenceError
from recommender.traffic.ingest import read_edges
from recommender.traffic.window import in_window
from traffic.hubble_lines import flow, line

FIRST, LAST = "2024-05-03T10:11:12.345Z", "2024-05-05T10:11:12.345Z"
DAY = timedelta(days=1)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.log"
    path.write_bytes(line(flow(time=FIRST)) + b"\n" + line(flow(time=LAST)) + b"\n")
    return path


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 5, day, hour, tzinfo=UTC)


EMPTY = {
    "until too late": (DAY, at(30), "give --until 2024-05-05T10:11:13Z, or a longer --since"),
    "until too early": (DAY, at(1), "give a later --until, such as 2024-05-05T10:11:13Z"),
    "since too late": (at(6), None, "give an earlier --since, such as 2024-05-03T10:11:12Z"),
    "until before all, all time": (None, at(1), "give a later --until, such as 2024-05-05T10:11:13Z"),
    "back from a gap": (timedelta(hours=1), at(4, 12), "give --until 2024-05-05T10:11:13Z, or a longer"),
    "in a gap": (at(4), at(4, 12), "give an earlier --since or a later --until"),
    "both": (at(6), at(1), "give a later --until, such as 2024-05-05T10:11:13Z and an earlier --since"),
}


@pytest.mark.parametrize(("since", "until", "said"), EMPTY.values(), ids=EMPTY)
def test_following_the_hint_finds_flows(
    log: Path, since: timedelta | datetime | None, until: datetime | None, said: str
) -> None:
    start = since if isinstance(since, datetime) else None
    with pytest.raises(EvidenceError, match=re.escape(said)) as caught:
        in_window(read_edges(log, since=start, until=until), since, until)
    hinted = {
        option: datetime.fromisoformat(time)
        for option, time in re.findall(r"--(since|until)(?:, such as)? (\S+Z)", str(caught.value))
    }
    start, end = hinted.get("since", start), hinted.get("until", until)
    if hinted:
        edges = read_edges(log, since=start, until=end)
        assert not in_window(edges, hinted.get("since", since), end)[0].empty


def test_no_flows_names_what_was_read(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_bytes(b"\n\n")
    with pytest.raises(EvidenceError, match=r"no flows: .*lines read: 8, of \S+/a, \S+/b, \S+/c and 1 more"):
        in_window(read_edges(tmp_path), DAY, None)
