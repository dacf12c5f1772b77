"""Tables from whole recordings: any order, any split, any number of workers; windows; what a file is not."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from recommender.errors import FormatError, InputError, OptionError
from recommender.traffic import work
from recommender.traffic.formats.looks import looks_like
from recommender.traffic.ingest import read_edges, read_flows
from recommender.traffic.tables import Reading, check_edges, reading_of
from traffic.hubble_lines import answer, flow, line, only, pod, tcp, wrapped

START = datetime(2024, 5, 3, 10, 50, tzinfo=UTC)


def recording(count: int = 900) -> list[bytes]:
    """Connections of a few pods over two hours, with what else a log holds."""
    rng, lines = random.Random(1), []
    for n in range(count):
        when, port = START + timedelta(seconds=2 * n), rng.choice([80, 443, 5432])
        src_port, app = rng.randrange(32768, 60000), rng.choice("abcdef")
        near = rng.random() < 0.5
        packet = {
            "time": when.isoformat().replace("+00:00", "Z"),
            "node_name": f"prod/node-{int(near)}",
            "traffic_direction": "EGRESS" if near else "INGRESS",
        }
        source, address = pod(f"{app}-1", app, near=near), f"10.0.3.{ord(app)}"
        back = rng.random() < 0.4
        ports = (port, src_port) if back else (src_port, port)
        told = answer if back else flow
        ends = {"destination": source} if back else {"source": source}
        ips = (
            {"source": "10.0.2.9", "destination": address}
            if back
            else {"source": address, "destination": "10.0.2.9"}
        )
        lines.append(
            line(told(**packet, **ends, IP=ips, l4=tcp(*ports, rng.choice(["SYN", "ACK", "ACK"])))) + b"\n"
        )
        if rng.random() < 0.03:
            lines.append(
                rng.choice(
                    [
                        b"\n",
                        b"bad line\n",
                        b'level=info msg="x"\n',
                        b'{"lost_events":{"num_events_lost":"2"}}\n',
                    ]
                )
            )
    return lines


LINES = recording()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.log"
    path.write_bytes(b"".join(LINES))
    return path


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_SMALLEST_RANGE", 50_000)


def sums(reading: Reading) -> tuple[object, ...]:
    """What does not depend on files and line numbers."""
    return (
        reading.lines, reading.flows, reading.connections, reading.bad, reading.lost_events, reading.counts,
        reading.nodes, reading.oldest, reading.newest,
    )  # fmt: skip


@pytest.mark.parametrize("read", [read_edges, read_flows])
def test_any_order_over_any_files(tmp_path: Path, log: Path, read: type[read_edges]) -> None:
    whole = read(log)
    shuffled = random.Random(3).sample(LINES, len(LINES))
    for at in range(3):
        (tmp_path / f"part{at}.log").write_bytes(b"".join(shuffled[at::3]))
    parts = read(tmp_path / "part*.log")
    pd.testing.assert_frame_equal(parts, whole)
    assert sums(reading_of(parts)) == sums(reading_of(whole))


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("jobs", [2, 3, 0])
@pytest.mark.parametrize("read", [read_edges, read_flows])
def test_any_number_of_workers(tmp_path: Path, log: Path, jobs: int, read: type[read_edges]) -> None:
    packed = tmp_path / "more.log"
    packed.write_bytes(gzip.compress(line(flow()) * 1 + b"\nbad\n" + line(answer()) + b"\n"))
    alone = read(log, packed)
    table = read(log, packed, jobs=jobs)
    pd.testing.assert_frame_equal(table, alone)
    assert reading_of(table) == reading_of(alone)


@pytest.mark.usefixtures("small_ranges")
def test_documents_are_read_whole_by_workers_too(tmp_path: Path) -> None:
    path = tmp_path / "pretty.json"
    path.write_text(
        "\n".join(
            json.dumps(wrapped(json.loads(one)["flow"]), indent=2) for one in LINES if b"verdict" in one
        )
    )
    table = read_edges(path, jobs=2)
    pd.testing.assert_frame_equal(table, read_edges(path))
    assert reading_of(table).bad == 0


@pytest.mark.usefixtures("small_ranges")
def test_rejects_keep_their_line_numbers_in_ranges(tmp_path: Path) -> None:
    lines = [one for one in LINES if b"verdict" in one]
    lines[700:700] = [b"late\n"]
    lines[3:3] = [b"early\n"]
    path = tmp_path / "events.log"
    path.write_bytes(b"".join(lines))
    rejects = reading_of(read_edges(path, jobs=2)).rejects
    assert [(reject.line, reject.excerpt) for reject in rejects] == [(4, "early"), (702, "late")]


def test_the_account(log: Path) -> None:
    table = read_edges(log)
    reading = reading_of(table)
    check_edges(table)
    assert reading.lines == sum(reading.counts.values()) == len(LINES)
    assert reading.flows == table["flows"].sum() == reading.counts["flow"] + reading.counts["reply"] == 900
    assert reading.connections == table["connections"].sum()
    assert reading.bad == reading.counts["not JSON"] == LINES.count(b"bad line\n")
    assert reading.lost_events == 2 * reading.counts["lost_events"]
    assert sum(reading.nodes.values()) == 900
    assert (reading.oldest, reading.newest) == (START, START + timedelta(seconds=2 * 899))
    assert len(reading.rejects) == min(5, reading.bad)


WINDOWS = {
    "since": (START + timedelta(minutes=5), None),
    "until": (None, START + timedelta(minutes=5)),
    "both, within an hour": (START + timedelta(minutes=12), START + timedelta(minutes=14)),
    "across an hour": (START + timedelta(minutes=8), START + timedelta(minutes=12)),
    "one moment": (START + timedelta(seconds=60), START + timedelta(seconds=60)),
    "nothing": (START + timedelta(days=1), None),
}


@pytest.mark.parametrize(("since", "until"), WINDOWS.values(), ids=WINDOWS)
def test_the_window_is_exact(
    tmp_path: Path, log: Path, since: datetime | None, until: datetime | None
) -> None:
    def wanted(one: bytes) -> bool:
        if b"verdict" not in one:
            return True
        when = datetime.fromisoformat(json.loads(one)["time"])
        return (since is None or when >= since) and (until is None or when <= until)

    inside = tmp_path / "inside.log"
    inside.write_bytes(b"".join(filter(wanted, LINES)))
    table = read_edges(log, since=since, until=until)
    if since == START + timedelta(days=1):
        assert table.empty
    else:
        pd.testing.assert_frame_equal(table, read_edges(inside))
    reading = reading_of(table)
    assert (reading.oldest, reading.newest) == (START, START + timedelta(seconds=2 * 899))
    assert reading.counts["outside the window"] == len(LINES) - sum(map(wanted, LINES))


def test_flows_are_a_row_a_connection(log: Path) -> None:
    flows, edges = read_flows(log), read_edges(log)
    assert (flows["connections"] == 1).all()
    assert len(flows) == edges["connections"].sum()
    assert flows["flows"].sum() == edges["flows"].sum()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.usefixtures("small_ranges")
def test_progress_ends_at_the_end(log: Path, jobs: int) -> None:
    told: list[tuple[int, int | None]] = []
    read_edges(log, jobs=jobs, progress=lambda done, total: told.append((done, total)))
    size = log.stat().st_size
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def _die(unit: work.Unit, task: work.Task) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep(unit: work.Unit, task: work.Task) -> None:
    time.sleep(60)


def test_a_killed_worker_is_told(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "read_unit", _die)
    with pytest.raises(InputError, match="memory: try fewer --jobs"):
        read_edges(log, jobs=2)


def test_an_interruption_does_not_wait_for_workers(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "read_unit", _sleep)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            read_edges(log, jobs=2)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 20


def test_options_are_checked(log: Path) -> None:
    with pytest.raises(OptionError, match="known are auto, hubble"):
        read_edges(log, format="netflow")
    with pytest.raises(OptionError, match="since has no time zone"):
        read_edges(log, since=datetime(2024, 5, 3))  # noqa: DTZ001
    with pytest.raises(OptionError, match="jobs"):
        read_edges(log, jobs=-1)


@pytest.mark.parametrize("content", [b"", b"\n\n \r\n", b"[]\n", b"[\n]\n"])
def test_an_empty_file_is_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(content)
    table = read_edges(path)
    assert table.empty
    assert reading_of(table).bad == 0


OTHERS = {
    "Kubernetes YAML": b"# a pod\napiVersion: v1\nkind: Pod\n",
    "Kubernetes JSON": b'{\n  "apiVersion": "v1",\n  "kind": "List",\n  "items": []\n}\n',
    "iptables": b"May  3 10:11:12 n kernel: [1.2] calico-packet: IN=cali1 OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP\n",
    "Antrea": b"2023/07/04 12:31:02.801442 IngressRule K8sNetworkPolicy:default/x <nil> Ingress Allow 190 default/n\n",
    "GKE": b'{"connection":{"src_ip":"10.84.1.7"},"disposition":"allow","src":{},"dest":{}}\n',
    "AWS network policy agent": b'{"level":"info","logger":"ebpf-client","msg":"Flow Info: ","Src IP":"10.0.0.1"}\n',
    "AWS VPC": b"2 123456789012 eni-0a1b 10.0.0.1 10.0.0.2 443 40000 6 1 1 1 1 ACCEPT OK\n",
    "OVN": b'2024-05-03T1:1:1Z|00001|acl_log(ovn_pinctrl0)|INFO|name="NP:a:b", verdict=drop\n',
    "cilium monitor": b"Policy verdict log: flow 0x1 local EP ID 7, remote ID 2, proto 6, ingress, action deny\n",
    "conntrack": b"tcp 6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1\n",
    "CSV": b"src,dst,port\n10.0.0.1,10.0.0.2,80\n",
    "HTML": b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
    "Envoy": b'[2026-01-01T00:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 0 1 1 "-" "curl"\n',
    "text form": b"  TIMESTAMP: Nov 24 08:00:00.123\n     SOURCE: a/x-1:4000\n",
    "hubble observe": b"TIMESTAMP             SOURCE       DESTINATION   TYPE          VERDICT     SUMMARY\n",
    "AWS VPC flow": b"account-id action bytes dstaddr pkt-srcaddr srcaddr version\n1 ACCEPT 1 a b c 5\n",
    "Theia": b'{"flowStartSeconds":1,"sourceIP":"10.0.0.1","destinationIP":"10.0.0.2"}\n',
    "ztunnel": b'{"level":"info","scope":"access","message":"connection complete","src.addr":"10.0.0.1:4"}\n',
    "cilium-agent": b'time="2024-01-01T00:00:00Z" level=info msg="hello" subsys=daemon\n',
    "program's log": b'time="2024-01-01T00:00:00Z" level=info msg="hello"\n',
    "a program's": b'{"level":"info","ts":1,"msg":"hello"}\n',
    "a program": b"I0101 00:00:00.000000       1 main.go:5] hello\n",
    "AWS network policy": b'{"level":"info","logger":"setup","msg":"starting"}\n' * 6
    + b'{"level":"info","logger":"ebpf-client","msg":"Flow Info: ","Src IP":"10.0.0.1"}\n',
    "JSON": b'{"apiVersion": "v1", "kind": "List", "items": [{"metadata": {"na',
    "none": b"[" * 5000,
    "cut off": b'{"flow":{"time":"2026-01-01T00:0',
    "binary data": b"level=info msg=\n" + b"\x01\x02\0\n" * 9,
    "XML": b'<?xml version="1.0"?><a/>\n',
    "text form of hubble": b"May  3 10:11:12.123: shop/web:1 -> shop/db:2 to-endpoint FORWARDED (TCP Flags: SYN)\n",
    "binary": bytes(range(256)) * 4,
    "none of Hubble's": b'{"some":"thing"}\n',
    "some other kind": b"hello there\n",
}  # fmt: skip


@pytest.mark.parametrize(("what", "content"), OTHERS.items(), ids=OTHERS)
def test_other_files_are_refused_by_name(tmp_path: Path, what: str, content: bytes) -> None:
    path = tmp_path / "given.log"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read_edges(path)
    assert str(path) in str(caught.value)
    assert what in str(caught.value)


def test_what_an_empty_head_looks_like() -> None:
    assert looks_like(b" \n") == "an empty file"


@pytest.mark.parametrize(("good", "bad", "refused"), [(5, 5, False), (5, 6, True), (0, 1, True)])
def test_half_bad_is_still_read(tmp_path: Path, good: int, bad: int, refused: bool) -> None:
    path = tmp_path / "events.log"
    path.write_bytes((line(flow()) + b"\n") * good + b"\n" * 50 + b"bad\n" * bad)
    if refused:
        with pytest.raises(FormatError, match=f"{bad} of {good + bad} lines"):
            read_edges(path)
    else:
        assert only(read_edges(path)).flows == good


@pytest.mark.parametrize("content", ["apiVersion: v1\n", "level=info msg=x\n", '{"cut": ['])
def test_one_bad_file_among_good_ones_is_named(tmp_path: Path, log: Path, content: str) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(content)
    for jobs in (1, 2):
        with pytest.raises(FormatError, match=r"other\.yaml"):
            read_edges(log, other, jobs=jobs)
        with pytest.raises(InputError, match=r"gone\.log"):
            read_edges(log, tmp_path / "gone.log", jobs=jobs)
