"""What is kept of packets to count those that repeat them stays small, and the outcome the same."""

from __future__ import annotations

import pandas as pd
import pytest

from recommender.traffic.edges import Edges
from recommender.traffic.formats import hubble_repeats
from recommender.traffic.formats.hubble import Reader
from recommender.traffic.frame import table_of
from recommender.traffic.tally import Tally
from traffic.hubble_lines import flow, line, pod, tcp


def read(lines: list[bytes], shortcut: bool) -> tuple[pd.DataFrame, Tally]:
    edges, tally = Edges(), Tally("events.log")
    reader = Reader(edges, shortcut=shortcut)
    reader.begin(tally)
    reader.lines(lines)
    assert len(reader._repeats._shared) < 60
    reader.end()
    return table_of(edges), tally


@pytest.mark.parametrize("most", [1 << 30, 10_000])
def test_endpoints_that_never_repeat(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(hubble_repeats, "_MOST_SHARED", most)
    changing = [
        line(flow(source={**pod("web-1", "web"), "ID": n}, l4=tcp(40000 + n, 5432, "ACK")))
        for n in range(900)
    ]
    steady = [line(flow(source=pod("web-1", "web"), l4=tcp(50000 + n, 5432, "ACK"))) for n in range(300)]
    short, counted = read(changing + steady + changing, True)
    full, told = read(changing + steady + changing, False)
    pd.testing.assert_frame_equal(short, full)
    assert counted.counts == told.counts


def test_pods_that_are_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubble_repeats, "_MOST_SHARED", 10_000)
    lines = [
        line(
            flow(
                source=pod(f"web-{n}", "web"),
                IP={"source": f"10.1.{n // 250}.{n % 250}", "destination": "10.0.2.9"},
                l4=tcp(40000 + n + again, 5432, "ACK"),
            )
        )
        for n in range(500)
        for again in (0, 1)
    ]
    short, counted = read(lines, True)
    full, told = read(lines, False)
    pd.testing.assert_frame_equal(short, full)
    assert counted.counts == told.counts
