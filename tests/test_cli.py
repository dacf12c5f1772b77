"""The command as people run it: what it prints where, its exit codes, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from lines import WORLD, both, flow, pod, write
from recommender import Inventory, Options, read_edges, recommend
from recommender.cli import run
from recommender.policy.manifest import load
from recommender.text import printable

CLUSTER = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, image: api, ports: [{containerPort: 8080}]}]}
"""
WEB, API = pod("shop", "web-1", "web", app="web"), pod("shop", "api-1", "api", app="api")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to be in, with a small recording and its cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZT_RECOMMEND_DEBUG", raising=False)
    write(tmp_path / "flows.jsonl", both(WEB, API))
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return tmp_path


GIVEN = ("--from", "flows.jsonl", "--cluster", "cluster.yaml")


def command(*arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "recommender", *arguments], capture_output=True, timeout=60, **more
    )


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def zt(here: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: (exit code, stdout, stderr)."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(arguments)
        return (code, *capfd.readouterr())

    return ran


def test_yaml_on_stdout_and_everything_for_people_on_stderr(zt: Run) -> None:
    code, out, err = zt(*GIVEN)
    assert code == 0
    documents = list(yaml.safe_load_all(out))
    assert {document["kind"] for document in documents} == {"NetworkPolicy"}
    assert [document["metadata"]["name"] for document in documents] == [
        "allow-infra-egress", "api", "default-deny", "web",
    ]  # fmt: skip
    assert re.search(r"^shop +2 +4 +3 +1$", err, re.MULTILINE)
    assert "window: 2026-11-23 08:00:00 to 2026-11-23 08:00:00 UTC" in err
    assert "\x1b" not in out + err


def test_out_holds_a_folder_a_namespace_and_the_review(zt: Run, here: Path) -> None:
    code, out, err = zt(*GIVEN, "--out", "made/policies")
    assert (code, out) == (0, "")
    assert tree(here / "made") == [
        "policies/REVIEW.md",
        "policies/proposal.json",
        "policies/shop/allow-infra-egress.yaml",
        "policies/shop/api.yaml",
        "policies/shop/default-deny.yaml",
        "policies/shop/web.yaml",
    ]
    assert "begin with REVIEW.md" in err
    found = json.loads((here / "made/policies/proposal.json").read_text("ascii"))
    assert sorted(found["files"]) == [name.removeprefix("policies/") for name in tree(here / "made")]
    assert all((here / "made/policies" / name).stat().st_mode & 0o022 == 0 for name in found["files"])


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# What is refused, and what is said of it. Each is said once, without a traceback.
REFUSED = {
    "no source": (["--cluster", "none"], 2, "--from FILE", "--from 'GLOB'", "--from DIR", "--from - ", "from: [FILE"),
    "no cluster": (["--from", "flows.jsonl"], 2, "--cluster FILE", "--cluster none", "kubectl get ns,nodes,pods"),
    "live": (["--from", "flows.jsonl", "--cluster", "live"], 2, "a live cluster is not there yet", "--cluster FILE"),
    "none and one": ([*GIVEN, "--cluster", "none"], 2, "--cluster none stands alone"),
    "no such file": (["--from", "x.jsonl", "--cluster", "none"], 2, "x.jsonl: no such file or folder"),
    "no match": (["--from", "x*.jsonl", "--cluster", "none"], 2, "x*.jsonl: no file matches"),
    "no such snapshot": (["--from", "flows.jsonl", "--cluster", "x.yaml"], 2, "x.yaml: no such file"),
    "too late": ([*GIVEN, "--since", "2026-11-24"], 3, "no flows in the window", "2026-11-23T08:00:00Z", "--since"),
    "too early": ([*GIVEN, "--until", "2026-11-22"], 3, "no flows in the window", "2026-11-23T08:00:00Z", "--until"),
    "backwards": ([*GIVEN, "--since", "2026-11-23", "--until", "2026-11-22"], 2, "2026-11-23", "is not before"),
    "no such namespace": ([*GIVEN, "-n", "shp"], 2, "namespace 'shp'", "known are shop"),
    "format": ([*GIVEN, "--format", "pcap"], 2, "--format", "'pcap' is none of auto, hubble"),
    "target": ([*GIVEN, "--target", "iptables"], 2, "--target", "networkpolicy"),
    "unknown option": ([*GIVEN, "--form", "x"], 2, "--form", "--help"),
    "an argument": ([*GIVEN, "more.jsonl"], 2, "more.jsonl", "--help"),
    "no such config": ([*GIVEN, "--config", "x.yaml"], 2, "x.yaml: No such file"),
    "since": ([*GIVEN, "--since", "24"], 2, "--since", "'24'", "24h", "2026-11-24T08:00:00Z"),
    "until": ([*GIVEN, "--until", "24h"], 2, "--until", "'24h' is no time", "2026-11-24T08:00:00Z"),
    "jobs": ([*GIVEN, "--jobs", "0"], 2, "--jobs", "'all'"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "told"), [(a, c, t) for a, c, *t in REFUSED.values()], ids=list(REFUSED)
)
def test_refused(zt: Run, arguments: list[str], code: int, told: list[str]) -> None:
    got, out, err = zt(*arguments)
    assert (got, out) == (code, "")
    assert err.startswith("zt-recommend: ")
    assert all(words in err for words in told), err
    assert "Traceback" not in err


FILES = {
    "yaml as flows": ("f", CLUSTER, 2, "f: ", "Kubernetes YAML", "line 1"),
    "text as flows": ("f", "a b\n" * 30, 2, "f: ", "30 of 30 lines cannot be used", "line 1"),
    "a web page as flows": ("f", "<!doctype html>\n<html>\n", 2, "a web page (HTML)"),
    "nothing as flows": ("f", "", 3, "no flows"),
    "yaml syntax": ("c", "kind: Pod\nmetadata: {name: [\n", 2, "c.yaml, line 3"),
    "unknown kind": ("c", "apiVersion: v1\nkind: Frobnicate\nmetadata: {name: a}\n", 2, "c.yaml, line 2, kind"),
    "no object": ("c", "[]\n", 2, "c.yaml"),
    "nothing": ("c", "", 2, "c.yaml"),
    "invalid policy": (
        "c",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: b}\n"
        "spec:\n  podSelector: {}\n  ingress:\n  - ports:\n    - port: 99999\n",
        2,
        "c.yaml, line 8, spec.ingress[0].ports[0].port: must be a number within 1..65535",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("which", "text", "code", "told"), [(w, x, c, t) for w, x, c, *t in FILES.values()], ids=list(FILES)
)
def test_unusable_files(zt: Run, here: Path, which: str, text: str, code: int, told: list[str]) -> None:
    (here / "f").write_text(text if which == "f" else json.dumps(flow(WEB, API)))
    (here / "c.yaml").write_text(text if which == "c" else CLUSTER)
    got, out, err = zt("--from", "f", "--cluster", "c.yaml", "--out", "made")
    assert (got, out) == (code, "")
    assert all(words in err for words in told), err
    assert err.count("\n") == 1
    assert not (here / "made").exists()


def test_bad_lines_are_counted_and_the_first_are_named(zt: Run, here: Path) -> None:
    write(here / "flows.jsonl", ["{no json", *both(WEB, API), "[1, 2", *both(WEB, API, sport=40001)])
    code, _, err = zt(*GIVEN, "--out", "made")
    assert code == 0
    assert "2 lines rejected" in err
    assert "rejected: flows.jsonl, line 1: not JSON" in err
    review = (here / "made/REVIEW.md").read_text()
    assert "| `flows.jsonl` | 4 | not JSON | `[1, 2` |" in review
    assert "| lines rejected | 2 |" in review


def test_a_configuration_gives_what_the_command_line_does_not(zt: Run, here: Path) -> None:
    (here / "zt-recommend.yaml").write_text(
        "from: flows.jsonl\ncluster: [cluster.yaml]\nsince: 2026-11-23\nuntil: 2026-11-23T09:00:00Z\n"
        "namespace: shop\njobs: 2\nout: made\ncontract: {dns: never}\n"
    )
    code, out, err = zt()
    assert (code, out) == (0, ""), err
    assert tree(here / "made") == [
        "REVIEW.md", "proposal.json", "shop/api.yaml", "shop/default-deny.yaml", "shop/web.yaml",
    ]  # fmt: skip
    assert zt("--since", "2026-11-23T08:30")[0] == 3, "the command line overrules it"
    (here / "other.yaml").write_text("cluster: none\n")
    assert zt("--config", "other.yaml")[0] == 2, "only one is read"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("since: 24", "zt-recommend.yaml: since: must be text"),
        ("since: soon", "zt-recommend.yaml: since: 'soon' is neither"),
        ("since: 2026-13-45", "no valid YAML: month must be in 1..12"),
        ("jobs: none", "zt-recommend.yaml: jobs: 'none' is neither"),
        ("from: {a: b}", "zt-recommend.yaml: from: must be a list"),
        ("cluster: [1]", "zt-recommend.yaml: cluster: must be text"),
        ("sinse: 24h", "zt-recommend.yaml: unknown key 'sinse'; known are cluster, contract"),
        ("contract: {dns: sometimes}", "contract.dns: 'sometimes' is none of always, observed, never"),
        ("a: [", "zt-recommend.yaml, line 2: no valid YAML"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_wrong_is_named(zt: Run, here: Path, text: str, told: str) -> None:
    (here / "zt-recommend.yaml").write_text(text + "\n")
    code, out, err = zt(*GIVEN)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


# --out: its own earlier output is replaced whole, everything else is refused before anything is read.
def test_an_earlier_output_is_replaced_whole(zt: Run, here: Path) -> None:
    assert zt(*GIVEN, "--out", "made")[0] == 0
    write(here / "flows.jsonl", both(pod("shop", "job-1", "job", app="job"), API))
    (here / "cluster.yaml").write_text(CLUSTER.replace("web", "job"))
    assert zt(*GIVEN, "--out", "made")[0] == 0
    assert "shop/web.yaml" not in tree(here / "made")
    assert "shop/job.yaml" in tree(here / "made")
    assert sorted(os.listdir(here)) == ["cluster.yaml", "flows.jsonl", "made"]


def test_through_a_link_the_folder_itself_is_replaced(zt: Run, here: Path) -> None:
    (here / "far").mkdir()
    (here / "made").symlink_to("far")
    assert zt(*GIVEN, "--out", "made")[0] == 0
    assert (here / "made").is_symlink()
    assert (here / "far" / "REVIEW.md").is_file()


FOREIGN: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "a file": (lambda here: (here / "made").write_text("x"), "made", "is a file"),
    "below a file": (lambda here: (here / "made").write_text("x"), "made/policies", "is a file"),
    "a file of somebody": (lambda here: write(here / "made" / "notes.txt", ["x"]), "made", "holds notes.txt"),
    "a deep file": (lambda here: write(here / "made" / "a" / "b", ["x"]), "made", "holds a/b"),
    "a link": (lambda here: (here / "made" / "a").symlink_to(here), "made", "holds a,"),
    "no proposal of ours": (
        lambda here: (here / "made" / "proposal.json").write_text('{"files": ["proposal.json"]}'),
        "made",
        "holds proposal.json",
    ),
    "hostile proposal": (lambda here: write(here / "made" / "proposal.json", ["[" * 100_000]), "made", "holds"),
    "the current folder": (lambda here: [each.unlink() for each in here.iterdir() if each.is_file()], ".", "current"),
    "a file system": (lambda here: None, "/proc", "holds"),
}  # fmt: skip


@pytest.mark.parametrize(("prepare", "out", "told"), list(FOREIGN.values()), ids=list(FOREIGN))
def test_a_foreign_folder_is_refused_before_anything_is_read(
    zt: Run, here: Path, prepare: Callable[[Path], Any], out: str, told: str
) -> None:
    if told.startswith("holds") and out == "made":
        (here / "made" / "a").mkdir(parents=True)
        if "a," in told:
            (here / "made" / "a").rmdir()
    prepare(here)
    before = tree(here)
    code, _, err = zt("--from", "not there", "--cluster", "not there", "--out", out)
    assert code == 2
    assert f"--out {os.path.realpath(out)}: " in err
    assert told in err
    assert tree(here) == before


def test_a_folder_nobody_may_write_is_refused_before_anything_is_read(
    zt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may be root, who may everything
    code, _, err = zt("--from", "not there", "--cluster", "not there", "--out", "made")
    assert code == 2
    assert "no permission to write" in err


FAILING = """
import errno, os, signal, sys
from pathlib import Path
from recommender import cli
write, written = Path.write_text, 0

def write_text(self, *args, **more):
    global written
    written += 1
    if written == 3:
        {fault}
    return write(self, *args, **more)

Path.write_text = write_text
cli.main()
"""


@pytest.mark.parametrize(
    ("fault", "code", "told", "again"),
    [
        ("raise OSError(errno.ENOSPC, 'No space left on device')", 2, "No space left on device", True),
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "interrupted", True),
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "interrupted", False),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "interrupted", True),
        ("raise ZeroDivisionError", 70, "ZeroDivisionError", False),
    ],
    ids=["disk full", "SIGINT", "SIGINT at first", "SIGTERM", "bug at first"],
)
def test_a_folder_that_cannot_be_finished_is_not_begun(
    zt: Run, here: Path, fault: str, code: int, told: str, again: bool
) -> None:
    if again:
        zt(*GIVEN, "--out", "made")
    before = {name: (here / name).read_bytes() for name in tree(here)}
    script = FAILING.format(fault=fault)
    done = subprocess.run(
        [sys.executable, "-c", script, *GIVEN, "--out", "made"], capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert {name: (here / name).read_bytes() for name in tree(here)} == before
    assert {path.name for path in here.iterdir()} <= {"flows.jsonl", "cluster.yaml", "made"}
    assert (here / "made").exists() == again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_reading_leaves_nothing(here: Path, number: signal.Signals) -> None:
    arguments = ("--from", "-", "--cluster", "none", "--out", "made")
    with subprocess.Popen(
        [sys.executable, "-m", "recommender", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        # More than a pipe holds: once this returns, the reading has begun.
        process.stdin.write(json.dumps(flow(WEB, API)).encode().ljust(1000) + b"\n" * 1)
        process.stdin.write((json.dumps(flow(WEB, API)) + "\n").encode() * 1000)
        process.stdin.flush()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err == b"zt-recommend: interrupted\n"
    assert sorted(os.listdir(here)) == ["cluster.yaml", "flows.jsonl"]


def test_standard_input_is_a_source(here: Path) -> None:
    lines = (here / "flows.jsonl").read_bytes()
    piped = command("--from", "-", "--cluster", "cluster.yaml", input=lines)
    assert piped.returncode == 0
    assert piped.stdout == command(*GIVEN).stdout


@pytest.mark.parametrize("streams", ["", "2>&1"], ids=["stdout", "both"])
def test_a_closed_pipe_is_no_error(here: Path, streams: str) -> None:
    # The reader is gone before anything is written.
    shell = f"{{ {sys.executable} -m recommender {' '.join(GIVEN)} {streams}; echo $? >code; }} | head -c 0"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert (here / "code").read_text() == "141\n"


def test_a_full_disk_behind_stdout_is_told(here: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "recommender", *GIVEN], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 2
    assert done.stderr == b"zt-recommend: standard output: No space left on device\n"


def test_closed_streams_are_no_traceback(here: Path) -> None:
    for closing, code in ((">&-", 2), ("2>&-", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m recommender {' '.join(GIVEN)} {closing}"],
            capture_output=True,
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr


def test_a_terminal_gets_a_bar(here: Path, demo: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", "recommender", "--from", demo / "flows.jsonl.zst", "--cluster", demo / "cluster.yaml"],
        stdout=subprocess.DEVNULL, stderr=theirs, env=environment,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[" in shown
    for stage in (b"reading the cluster", b"reading flows", b"learning and proving"):
        assert stage in shown
    assert b"proven: " in shown.rpartition(b"\x1b[")[2]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody is at the other end any more
        return b""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["--since", "x"], 2),
        (["--from", "x"], 2),
        (["--bogus"], 2),
    ],
)
def test_help_and_usage_errors_answer_at_once(here: Path, arguments: list[str], code: int) -> None:
    heavy = {"pandas", "numpy", "sklearn", "scipy", "yaml", "msgspec", "zstandard", "isal", "rich"}
    script = (
        "import sys; from recommender.cli import run; code = run(sys.argv[1:]);"
        "print('modules:', *{name.partition('.')[0] for name in sys.modules}); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == code
    assert not heavy & set(done.stdout.rpartition("modules:")[2].split())


def test_help_names_every_option(zt: Run) -> None:
    code, out, err = zt("--help")
    assert (code, err) == (0, "")
    for (
        option
    ) in "--from --since --until --format --cluster --namespace --target --out --jobs --config".split():
        assert option in out


def test_a_bug_is_one_line_and_asks_to_be_reported(zt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("\x1b[31m::error::")

    monkeypatch.setattr(sys.modules["recommender.recommend"], "gather", broken)
    code, out, err = zt(*GIVEN)
    assert (code, out) == (70, "")
    assert err.count("\n") == 1
    assert re.match(
        r"zt-recommend: KeyError in .*, line \d+: this is a bug; please report it, .*DEBUG=1", err
    )
    monkeypatch.setenv("ZT_RECOMMEND_DEBUG", "1")
    code, out, err = zt(*GIVEN)
    assert code == 70
    assert "Traceback" in err
    assert not CONTROL.search(err)


# Same input, same bytes.
def test_order_and_files_and_hash_seed_change_nothing(here: Path, demo: Path) -> None:
    import zstandard

    *lines, _cut_off = (
        zstandard.ZstdDecompressor().decompress((demo / "flows.jsonl.zst").read_bytes()).split(b"\n")
    )
    objects = yaml.load((demo / "cluster.yaml").read_bytes(), yaml.CSafeLoader)["items"]
    shuffled = random.Random(7)
    made = []
    for seed, parts in (("0", 1), ("1", 3)):
        folder = here / seed
        (folder / "flows").mkdir(parents=True)
        for part in range(parts):
            (folder / "flows" / f"{part}.jsonl").write_bytes(b"\n".join(lines[part::parts]) + b"\n")
        (folder / "cluster.json").write_text(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )
        done = command(
            "--from", str(folder / "flows"), "--cluster", str(folder / "cluster.json"), "--out", str(folder / "out"),
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        files = {name: (folder / "out" / name).read_text() for name in tree(folder / "out")}
        proposal = json.loads(files.pop("proposal.json"))
        proposal["read"].pop("files")
        proposal["cluster"].pop("origin")
        for reject in proposal["read"]["rejects"]:
            reject.pop("file"), reject.pop("line")
        review = files.pop("REVIEW.md").splitlines()
        review = [
            line
            for line in review
            if not line.startswith(("| recording", "| cluster")) and "jsonl" not in line
        ]
        made.append((files, proposal, review))
        shuffled.shuffle(lines)
        shuffled.shuffle(objects)
    assert made[0] == made[1]


# Hostile input: whatever stands in a log or a snapshot, it is text.
HOSTILE = [
    "a\nb", "q\"uo'te", "---", "--- \nkind: Secret", "*a", "&a b", "!!python/object x", "# c", "`b`", "``` x", "p|q",
    "<script>alert(1)</script>", "<!-- c", "@team", "[x](http://evil.example)", "![i](http://evil.example/i.png)",
    "::warning::x", "::add-mask::x", "##vso[task.x]y", "##[add-mask]x", "\x1b[31mred", "\x1b]0;t\x07", "nul\x00x",
    "rtl\u202eevil", "ls\u2028x", "sur\ud800x", "L" * 10_000, "..", "../../etc", "/abs", "a: b", "- x", "", " ",
    "https://evil.example/x", "www.evil.example", "mail@evil.example", "====", "-----", "| --- |", "~~~", "$x$",
    "#12", "GH-12", "{{ x }}", "%s%n", "\\", "a\\", "1. x", "\u0430pi", "\u200b", "e\u0301" * 50, "\r", "\t",
]  # fmt: skip


def hostile_lines() -> Iterator[Any]:
    for number, bad in enumerate(HOSTILE):
        ips = (f"10.1.{number}.1", f"10.1.{number}.2")
        ends = {
            "namespace": (pod(bad, f"a{number}-1", f"a{number}", app="a"), API),
            "pod": (pod("shop", bad, app=f"b{number}"), API),
            "pod of a workload": (pod("shop", bad + "x", f"c{number}", app=f"c{number}"), API),
            "label value": (pod("shop", f"d{number}-1", f"d{number}", app=bad), API),
            "label key": (pod("shop", f"e{number}-1", f"e{number}", **{bad: "v", "app": f"e{number}"}), API),
            "workload": (pod("shop", f"f{number}-1", bad, app=f"f{number}"), API),
            "kind": (pod("shop", f"g{number}-1", f"g{number}", kind=bad, app=f"g{number}"), API),
            "everything": (WEB, pod(bad, bad, bad, bad, **{bad: bad})),
        }
        for port, (source, destination) in enumerate(ends.values(), 8000):
            yield from both(source, destination, port, ips=ips, node=bad, sport=30_000 + port)
        named = {
            "ips": ("10.0.0.1", f"198.51.100.{number + 1}"),
            "destination_names": [bad, f"{bad}.example"],
        }
        yield from both(WEB, WORLD, 443, **named)
        yield from both(WEB, WORLD, 9000 + number, **{**named, "ips": ("10.0.0.1", bad)})
        yield bad.replace("\n", " ") + " no json"
    yield from both(WEB, API)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile flows in a file of a hostile name, and a cluster."""
    folder = tmp_path_factory.mktemp("hostile")
    write(folder / "::warning::\n[x](http:\u202e@team `|#12 <b>.jsonl", hostile_lines())
    (folder / "cluster.yaml").write_text(CLUSTER)
    return folder


@pytest.mark.parametrize("cluster", ["none", "cluster.yaml"])
def test_hostile_input_is_harmless_in_every_output(zt: Run, hostile: Path, cluster: str) -> None:
    flows = next(str(path) for path in hostile.iterdir() if path.suffix == ".jsonl")
    cluster = cluster if cluster == "none" else str(hostile / cluster)
    out = hostile / f"out-{Path(cluster).name}" / "made"
    code, stdout, stderr = zt("--from", flows, "--cluster", cluster, "--out", str(out))
    assert (code, stdout) == (0, ""), stderr
    inventory = Inventory.unknown() if cluster == "none" else Inventory.from_manifests(cluster)
    found = recommend(read_edges(flows), inventory, Options())
    files = {name: (out / name).read_text("utf-8") for name in tree(out)}
    for text in (found.yaml, stderr, *(text for name, text in files.items() if name != "proposal.json")):
        assert not CONTROL.search(text)
        assert not re.search(r"^\s*::|##(vso)?\[", text, re.MULTILINE | re.IGNORECASE)
    assert files["proposal.json"].isascii()
    json.loads(files["proposal.json"])

    documents = list(yaml.safe_load_all(found.yaml))
    assert {(d["apiVersion"], d["kind"]) for d in documents} == {("networking.k8s.io/v1", "NetworkPolicy")}
    written = {(p.namespace, p.name): p for p in load(found.yaml)}
    assert written.keys() == {(p.namespace, p.name) for p in found.policies}
    for name, text in files.items():
        if name.endswith(".yaml"):
            (policy,) = load(text)
            assert policy == written[policy.key]
            assert name == f"{policy.namespace}/{policy.name}.yaml"
    assert sorted(os.listdir(out.parent)) == ["made"]
    assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))
    check_markdown(files["REVIEW.md"])


def check_markdown(text: str) -> None:
    """Only headings, lists, tables, emphasis and code that this tool writes; nothing that data could add."""
    parser = MarkdownIt("gfm-like", {"linkify": False, "html": True})
    headings, width, columns = [], 0, 0
    tokens = parser.parse(text)
    for number, token in enumerate(tokens):
        inline = token.children or []
        for each in (token, *inline):
            assert each.type not in ("link_open", "image", "html_inline", "s_open"), each
            if each.type == "html_block":
                assert each.content.strip() in ("<details><summary>Still allowed</summary>", "</details>")
            if each.type == "text":
                assert not re.search(r"(?<![\w.])@\w|#\d|\bGH-\d|https?:|www\.|\w@\w", each.content), (
                    each.content
                )
        if token.type == "heading_open":
            headings.append((token.tag, tokens[number + 1].content))
        if token.type == "tr_open":
            columns = 0
        if token.type in ("td_open", "th_open"):
            columns += 1
        if token.type == "tr_close":
            width = columns if tokens[number + 1].type == "thead_close" else width
            assert columns == width
    sections = [title for tag, title in headings if tag in ("h1", "h2")]
    assert sections == SECTIONS, sections


SECTIONS = [
    "Proposed NetworkPolicies", "Before merging", "What was read", "Connections, before and after",
    "Kept open by existing policies", "Admitted beyond what was seen", "Not learned", "Not seen at all",
    "Policies, rule by rule", "YAML diff",
]  # fmt: skip


def test_a_row_of_markdown_never_has_more_cells_than_its_head(hostile: Path) -> None:
    """GFM drops what is too much, so the parser cannot tell: count what stands there."""
    for review in hostile.rglob("REVIEW.md"):
        width = 0
        for line in review.read_text("utf-8").splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line))
            if line.startswith("|"):
                width = width or cells
                assert cells == width, line
            else:
                width = 0


def test_hostile_words_in_errors(zt: Run, here: Path) -> None:
    name = "\x1b[31m\n::error::\u202e.jsonl"
    for arguments in (
        ["--from", name],
        ["--from", "flows.jsonl", "--cluster", name],
        ["--bogus" + name],
        [name],
    ):
        code, _, err = zt(*arguments, *(() if "--cluster" in arguments else ("--cluster", "none")))
        assert code == 2
        assert not CONTROL.search(err)
        assert not re.search(r"^\s*::", err, re.MULTILINE)


# What it wrote once and is now in the cluster is recognised.
def test_its_own_output_in_the_snapshot_changes_nothing(zt: Run, here: Path, demo: Path) -> None:
    given = ("--from", str(demo / "flows.jsonl.zst"), "--cluster", str(demo / "cluster.yaml"))
    _, first, _ = zt(*given)
    (here / "ours.yaml").write_text(first)
    code, _, err = zt(*given, "--cluster", "ours.yaml", "--out", "made")
    assert code == 0
    manifests = [(here / "made" / name).read_text() for name in tree(here / "made") if name.endswith(".yaml")]
    assert "---\n".join(manifests) == first
    assert "0 newly allowed, 0 no longer allowed" in err
    review = (here / "made/REVIEW.md").read_text()
    assert re.search(r"today's against those proposed: 0 changed, 0 removed, 0 new, \d+ unchanged\.", review)
    assert "```diff" not in review


def test_a_policy_of_an_earlier_run_that_is_no_longer_proposed_is_named(zt: Run, here: Path) -> None:
    (here / "old.yaml").write_text(zt(*GIVEN)[1].replace("name: web\n", "name: old\n"))
    assert zt(*GIVEN, "--cluster", "old.yaml", "--out", "made")[0] == 0
    review = (here / "made/REVIEW.md").read_text()
    assert "1 policy of an earlier run must be deleted, applying this does not do it: `shop/old`" in review
    assert "0 changed, 1 removed, 1 new, 3 unchanged" in review
    assert "--- shop/old\n+++ /dev/null" in review


def test_printable_is_what_the_summary_is_made_of(zt: Run) -> None:
    """No line of stderr is anything but printable text."""
    _, _, err = zt(*GIVEN)
    assert all(line == printable(line, 2000) for line in err.splitlines())
