"""The demo is what its generator makes, small, and as Kubernetes and Hubble would write it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard


def unpacked(path: Path) -> list[str]:
    return zstandard.ZstdDecompressor().decompress(path.read_bytes()).decode().split("\n")


def test_the_generator_makes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    subprocess.run([sys.executable, root / "data" / "demo" / "make.py", folder], check=True)
    assert unpacked(folder / "flows.jsonl.zst") == unpacked(root / "data/demo/flows.jsonl.zst")
    made = {path.name: path.read_bytes() for path in (tmp_path / "samples").iterdir()}
    made["cluster.yaml"] = (folder / "cluster.yaml").read_bytes()
    kept = {path.name: path.read_bytes() for path in (root / "data" / "samples").iterdir()}
    kept["cluster.yaml"] = (root / "data" / "demo" / "cluster.yaml").read_bytes()
    assert made == kept


def test_the_recording_is_a_day_and_small(demo: Path) -> None:
    assert (demo / "flows.jsonl.zst").stat().st_size < 300_000
    *lines, cut = unpacked(demo / "flows.jsonl.zst")
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut)
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(lines) - len(events) == 1
    times = [event["time"] for event in events]
    assert times[0][:13] == "2026-11-22T08"
    assert times[-1][:13] == "2026-11-23T09"
    assert {key for event in events for key in event} == {
        "flow",
        "lost_events",
        "node_status",
        "node_name",
        "time",
    }


def test_what_the_recording_tells_of_pods_agrees_with_the_snapshot(demo: Path) -> None:
    items = yaml.load(
        (demo / "cluster.yaml").read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )["items"]
    pods = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for item in items
        if item["kind"] == "Pod"
    }
    seen, gone = 0, set()
    for line in unpacked(demo / "flows.jsonl.zst"):
        if not line.startswith('{"flow"') or not line.endswith("}"):
            continue
        flow: dict[str, Any] = json.loads(line)["flow"]
        for end, ip in (("source", "source"), ("destination", "destination")):
            told = flow[end]
            if "pod_name" not in told:
                continue
            pod = pods.get((told["namespace"], told["pod_name"]))
            if pod is None:
                gone.add(re.sub(r"-\d{8}-", "-", told["pod_name"]))
                continue
            seen += 1
            assert pod["status"]["podIP"] == flow["IP"][ip]
            labels = dict(text.removeprefix("k8s:").split("=", 1) for text in told["labels"])
            assert pod["metadata"]["labels"].items() >= {
                (k, v) for k, v in labels.items() if not k.startswith(("io.cilium", "io.kubernetes"))
            }
    assert seen > 4000
    assert {name.split("-")[0] for name in gone} >= {"frontend", "payment", "worker", "nightly", "stock"}
