"""What a person decides: durations, times, and each key of the configuration file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from recommender.errors import OptionError
from recommender.options import (
    BUILT_IN,
    Destination,
    Options,
    duration,
    jobs,
    moment,
    read_config,
    since,
    with_config,
)

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "length"),
    [("24h", 24 * HOUR), ("7d", 168 * HOUR), ("1h30m", 1.5 * HOUR), ("1.5h", 1.5 * HOUR), ("90m", 1.5 * HOUR),
     ("2w", 336 * HOUR), ("3600s", HOUR), (" 1h ", HOUR)],
)  # fmt: skip
def test_duration(text: str, length: timedelta) -> None:
    assert duration(text) == since(text) == length


@pytest.mark.parametrize(
    "text", ["", "24", "-5h", "h", "1e5h", "1h 30m", "1y", "0h", "0.1s", "101y", "9999999w", "٢٤h", "1.h"]
)
def test_no_duration(text: str) -> None:
    with pytest.raises(OptionError):
        duration(text)
    with pytest.raises(OptionError):
        since(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-24T08:00:00Z", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T08:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("2026-11-24T08:00:00+02:00", datetime(2026, 11, 24, 6, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_moment(text: str, time: datetime) -> None:
    assert moment(text) == since(text) == time


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "24h", "2026-13-01", "0001-01-01", "9999-12-31T23:59:59-12:00", "2026-11-24T25:00"],
)
def test_no_moment(text: str) -> None:
    with pytest.raises(OptionError):
        moment(text)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("16", 16), ("all", 0)])
def test_jobs(text: str, number: int) -> None:
    assert jobs(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "1025", "99999999999", "", "²", "two"])
def test_no_jobs(text: str) -> None:
    with pytest.raises(OptionError):
        jobs(text)


def test_since_is_before_until() -> None:
    with pytest.raises(OptionError, match="is not before"):
        Options(since=moment("2026-11-24"), until=moment("2026-11-24"))
    assert Options(since=HOUR, until=moment("2026-11-24")).start == moment("2026-11-23T23:00")


def config(tmp_path: Path, text: str | bytes) -> Options:
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return with_config(Options(), read_config(path), "c.yaml")


def test_the_example_in_the_module_is_a_configuration(tmp_path: Path) -> None:
    import recommender.options

    example = (recommender.options.__doc__ or "").partition("::\n")[2]
    options = config(tmp_path, "\n".join(line[4:] for line in example.splitlines()))
    assert {entry.name: entry.when for entry in options.contract} == {
        "dns": "always", "api-server": "observed", "metadata": "never", "monitoring": "observed",
        "vault": "always", "proxy": "always",
    }  # fmt: skip
    by_name = {entry.name: entry for entry in options.contract}
    assert by_name["vault"] == Destination(
        "vault", "always", namespace="vault", pods=(("app", "vault"),), ports=(("TCP", 8200),)
    )
    assert by_name["proxy"] == Destination("proxy", "always", address="10.1.2.3/32", ports=(("TCP", 3128),))
    assert options.moving_labels == ("example.com/release-*",)
    assert options.stable_labels == ("example.com/tenant-number",)
    assert options.families is True
    assert (options.scan_targets, options.scan_within) == (8, timedelta(minutes=10))
    assert options.exclude == ("sandbox",)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_configuration_decides_nothing(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, text) == Options(
        contract=tuple(sorted(Options().contract, key=lambda entry: entry.name))
    )
    assert {entry.name: entry.when for entry in Options().contract} == dict(BUILT_IN)


def test_the_command_lines_options_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "from: flows.jsonl\ncluster: [a.yaml, b.yaml]\nsince: 2026-11-23\nuntil: 2026-11-24T08:00:00Z\njobs: all\n"
        "namespace: shop\nformat: hubble\ntarget: networkpolicy\nout: made\n"
    )
    assert read_config(path) == {
        "from": ("flows.jsonl",), "cluster": ("a.yaml", "b.yaml"), "since": moment("2026-11-23"),
        "until": moment("2026-11-24T08:00:00Z"), "jobs": 0, "namespace": ("shop",), "format": "hubble",
        "target": "networkpolicy", "out": "made",
    }  # fmt: skip
    assert isinstance(yaml.safe_load("since: 2026-11-23")["since"], date), "YAML reads it as a date already"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a", "c.yaml: must be a mapping of names"),
        ("1: a", "c.yaml: must be a mapping of names"),
        ("sinse: 24h", "c.yaml: unknown key 'sinse'; known are cluster, contract, exclude, families, format, from"),
        ("a: [", "c.yaml, line 1: no valid YAML"),
        ("a: b: c", "c.yaml, line 1: no valid YAML: mapping values are not allowed here"),
        ("a: !!python/object x", "c.yaml, line 1: no valid YAML"),
        ("--- a\n--- b", "c.yaml, line 2: no valid YAML"),
        (b"a: \xff", "c.yaml: not UTF-8 text"),
        (b"a: \x1b", "no valid YAML"),
        ("[" * 10_000, "no valid YAML"),
        ("since: 2026-13-45", "c.yaml: no valid YAML: month must be in 1..12"),
        ("since: 24", "c.yaml: since: must be text"),
        ("since: soon", "c.yaml: since: 'soon' is neither a duration"),
        ("until: 24h", "c.yaml: until: '24h' is no time"),
        ("from: {a: b}", "c.yaml: from: must be a list"),
        ("from: [1]", "c.yaml: from: must be text"),
        ("cluster: true", "c.yaml: cluster: must be a list"),
        ("namespace: [[a]]", "c.yaml: namespace: must be text"),
        ("out: [a]", "c.yaml: out: must be text"),
        ("jobs: 0", "c.yaml: jobs: '0' is neither"),
        ("jobs: true", "c.yaml: jobs: must be text"),
        ("format: 1", "c.yaml: format: must be text"),
        ("exclude: sandbox", "c.yaml: exclude: must be a list"),
        ("families: sometimes", "c.yaml: families: must be true or false"),
        ("trust: 10", "c.yaml: trust: must be a mapping"),
        ("trust: {scans: 10}", "c.yaml: trust: unknown key 'scans'; known are scan-minutes, scan-targets"),
        ("trust: {scan-targets: 0}", "c.yaml: trust.scan-targets: must be a whole number of at least 1"),
        ("trust: {scan-minutes: 1.5}", "c.yaml: trust.scan-minutes: must be a whole number"),
        ("trust: {scan-minutes: true}", "c.yaml: trust.scan-minutes: must be a whole number"),
        ("labels: {moving: a}", "c.yaml: labels.moving: must be a list"),
        ("labels: {moved: [a]}", "c.yaml: labels: unknown key 'moved'"),
        ("contract: [dns]", "c.yaml: contract: must be a mapping"),
        ("contract: {dns: sometimes}", "c.yaml: contract.dns: 'sometimes' is none of always, observed, never"),
        ("contract: {dns: no}", "c.yaml: contract.dns: must be a mapping"),
        ("contract: {dns: {when: always, ports: [53]}}", "c.yaml: contract.dns: is found in the cluster"),
        ("contract: {vault: always}", "c.yaml: contract.vault: neither one of dns, api-server, metadata, monitoring"),
        ("contract: {v: {namespace: v, ports: [1]}}", "c.yaml: contract.v: give a namespace with pods, or an address"),
        ("contract: {v: {namespace: v, pods: {}, ports: [1]}}", "c.yaml: contract.v.pods: name the labels"),
        ("contract: {v: {namespace: v, pods: {a: 1}, ports: [1]}}", "c.yaml: contract.v.pods.a: must be text"),
        ("contract: {v: {address: 10.0.0.1/8, ports: [1]}}", "c.yaml: contract.v.address: 10.0.0.1/8 has host bits"),
        ("contract: {v: {address: 1, ports: [1]}}", "c.yaml: contract.v.address: must be text"),
        ("contract: {v: {address: 10.0.0.1}}", "c.yaml: contract.v.ports: name at least one"),
        ("contract: {v: {address: 10.0.0.1, ports: 80}}", "c.yaml: contract.v.ports: must be a list"),
        ("contract: {v: {address: 10.0.0.1, ports: [80/ICMP]}}", "c.yaml: contract.v.ports: '80/ICMP' is no port"),
        ("contract: {v: {address: 10.0.0.1, ports: [0]}}", "c.yaml: contract.v.ports: 0 is no port"),
        ("contract: {v: {address: 10.0.0.1, port: 80}}", "c.yaml: contract.v: unknown key 'port'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_key(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(OptionError) as raised:
        config(tmp_path, text)
    message = str(raised.value).replace(f"{tmp_path}/", "")
    assert told in message
    assert "\n" not in message


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="No such file"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(OptionError, match="Is a directory"):
        read_config(tmp_path)
