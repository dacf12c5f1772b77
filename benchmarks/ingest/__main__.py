"""How fast Hubble flows are read, against hubble-audit2policy and a JSON parser that uses nothing.

    python benchmarks/ingest --lines 1000000

Writes a trace log of a made-up cluster (the same bytes each time), reads it in turn with the
peer, with this project and with simdjson, each run a process of its own on one core, and
prints flows/s, the ratio of the pairs, and peak memory; the ratio also less what it takes each
to start and read one line, which is most of what a small file costs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hubble_trace import write_trace  # the module beside this one

PEER = "hubble-audit2policy==0.18.5"
OURS = """
import sys
from recommender.traffic.ingest import read_edges
table = read_edges(sys.argv[1], jobs=int(sys.argv[2]))
print(table["flows"].sum(), len(table))
"""
RUNS = ("hubble-audit2policy", "zt-recommend", "simdjson, parse only")
CEILING = """
import simdjson, sys
parser = simdjson.Parser()
with open(sys.argv[1], "rb") as file:
    for line in file:
        parser.parse(line)
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        log = options.keep or Path(folder) / "trace.jsonl"
        if not log.exists():
            write_trace(log, options.lines)
        size = log.stat().st_size
        print(f"{options.lines:,} lines, {size / options.lines:,.0f} bytes a line, one core\n")
        peer = options.peer or _installed(Path(folder))
        first = Path(folder) / "first.jsonl"
        with log.open("rb") as trace:
            first.write_bytes(trace.readline())
        seconds: dict[str, list[float]] = {name: [] for name in RUNS}
        starting: dict[str, list[float]] = {name: [] for name in RUNS}
        peak = dict.fromkeys(RUNS, 0)
        for _ in range(options.runs):
            for name in RUNS:
                starting[name].append(_run(_command(name, peer, first), one_core=True)[0])
                took, kib = _run(_command(name, peer, log), one_core=True)
                seconds[name].append(took)
                peak[name] = max(peak[name], kib)
        print(f"{'':24}{'flows/s':>12}{'MB/s':>8}{'start, s':>10}{'peak MiB':>10}")
        for name, times in seconds.items():
            rate = options.lines / statistics.median(times)
            start = statistics.median(starting[name])
            print(
                f"{name:24}{rate:12,.0f}{rate * size / options.lines / 1e6:8,.0f}{start:10.2f}"
                f"{peak[name] / 1024:10,.0f}"
            )
        reading = {
            name: [took - start for took, start in zip(seconds[name], starting[name], strict=True)]
            for name in RUNS
        }
        for title, of in (("whole processes", seconds), ("less starting them", reading)):
            ratio = _ratio(of["hubble-audit2policy"], of["zt-recommend"])
            share = _ratio(of["simdjson, parse only"], of["zt-recommend"])
            print(
                f"{title}: {ratio:.1f} times the peer, {share:.0%} of parsing alone (median of {options.runs} pairs)"
            )
        if options.jobs != 1:
            command = _command("zt-recommend", peer, log, options.jobs)
            times = [_run(command, one_core=False)[0] for _ in range(options.runs)]
            rate = options.lines / statistics.median(times)
            print(f"{rate:,.0f} flows/s with --jobs {options.jobs} on {os.cpu_count()} cores")


def _command(name: str, peer: Path, log: Path, jobs: int = 1) -> list[str]:
    if name == "hubble-audit2policy":
        return [str(peer), "--no-enrich", "--dry-run", str(log)]
    return [sys.executable, "-c", OURS if name == "zt-recommend" else CEILING, str(log), str(jobs)]


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks/ingest", description=__doc__.split("\n")[0])
    parser.add_argument("--lines", type=int, default=200_000, help="lines of the trace (200000)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (5)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="also read with so many processes; 0 is all cores"
    )
    parser.add_argument(
        "--peer", type=Path, help="an installed hubble-audit2policy; otherwise one is installed"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="write the trace here, or use it if it is there"
    )
    return parser.parse_args()


def _installed(folder: Path) -> Path:
    """The peer, in an environment of its own."""
    environment = folder / "peer"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", PEER]
    subprocess.run(pip, check=True)
    return environment / "bin" / "hubble-audit2policy"


def _run(command: list[str], one_core: bool) -> tuple[float, int]:
    """Seconds by the wall, and peak memory in KiB, of one process."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    before = time.perf_counter()
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_on_one_core if one_core else None,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - before
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return took, usage.ru_maxrss


def _on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
