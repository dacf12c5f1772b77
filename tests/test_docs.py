"""The README is true: its commands run, its outputs are what comes out, its options and keys are all there are.

Blocks are told apart by their language: ``console`` (commands after ``$``, and what they print, an
ellipsis for anything), ``sh`` (a script), ``python`` (with what it prints in a ``text`` block after it),
``json`` (part of a line of the demo's recording), ``yaml`` (the configuration). They run one after the
other in a folder that holds the demo. Commands that need a cluster are played by a stub, which
writes down how it was called and answers with the demo's data.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard

import recommender
from recommender import Options
from recommender.cli import BUG, command
from recommender.errors import OptionError, ZtError
from recommender.options import BUILT_IN, read_config, with_config

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")

STUB = """#!/bin/sh
# Plays kubectl, helm, hubble and make: notes the call, answers with the demo's data.
tool=$(basename "$0")
echo "$tool $*" >> "$CALLS"
case "$tool $*" in
"kubectl get ns,nodes,"*) cat data/demo/cluster.yaml ;;
"kubectl "*" get pods "*"-o name") echo pod/node-a; echo pod/node-b ;;
"kubectl "*" exec pod/node-a "*events*) cat "$RECORDING/node-a" ;;
"kubectl "*" exec pod/node-b "*events*) cat "$RECORDING/node-b" ;;
"kubectl apply -f "*) test -e "$3" ;;
"kubectl diff -f -") grep -q '^kind: NetworkPolicy' ;;
"hubble observe "*"-o jsonpb") cat "$RECORDING/node-a" "$RECORDING/node-b" ;;
esac
"""
STUBBED = ("kubectl", "helm", "hubble", "make")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line it begins on."""

    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.language} of line {self.line}"


def blocks(*languages: str) -> list[Block]:
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    every = [Block(m[1], m[2], README.count("\n", 0, m.start()) + 1) for m in found]
    return [block for block in every if block.language in languages]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what is shown of its output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield line, output


def pattern(shown: str) -> re.Pattern[str]:
    """Shown output as a pattern: an ellipsis is anything, spaces at the end of a line do not count."""
    lines = "\n".join(line.rstrip() for line in shown.rstrip().split("\n"))
    return re.compile(".*?".join(map(re.escape, lines.split("…"))), re.DOTALL)


def matches(shown: str, output: str) -> bool:
    got = "\n".join(line.rstrip() for line in output.rstrip().split("\n"))
    return pattern(shown).fullmatch(got) is not None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo, the stubs, and the recording as two agents would hold it."""
    top = tmp_path_factory.mktemp("readme")
    (top / "data").symlink_to(ROOT / "data")
    stubs, recording = top / ".stubs", top / ".recording"
    stubs.mkdir()
    recording.mkdir()
    for tool in STUBBED:
        (stubs / tool).write_text(STUB)
        (stubs / tool).chmod(0o755)
    packed = (ROOT / "data" / "demo" / "flows.jsonl.zst").read_bytes()
    lines = zstandard.ZstdDecompressor().decompress(packed).decode().splitlines(keepends=True)
    of_b = [line for line in lines if '"node_name":"demo/node-b"' in line]
    (recording / "node-b").write_text("".join(of_b), "utf-8")
    (recording / "node-a").write_text("".join(line for line in lines if line not in set(of_b)), "utf-8")
    return top


def run(place: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(place / ".stubs"), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {
        **os.environ,
        "PATH": path,
        "CALLS": str(place / ".calls"),
        "RECORDING": str(place / ".recording"),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        "LC_ALL": "C",
        "PYTHONUTF8": "1",
    }
    return subprocess.run(
        words,
        cwd=place,
        env=environment,
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        timeout=300,
        **more,
    )


@dataclass(frozen=True)
class Ran:
    """A command of the README: where it stands, what is shown of its output, and what became of it.

    ``written`` are the manifests in ``proposal`` after it, ``review`` is the REVIEW.md.
    """

    line: int
    command: str
    shown: str
    code: int
    output: str
    written: Mapping[str, str]
    review: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.command}\n{self.output}"


@pytest.fixture(scope="module")
def ran(place: Path) -> list[Ran]:
    """Every command and script, run in the order of the README."""
    found = []
    for block in blocks("console", "sh"):
        parts = commands(block.text) if block.language == "console" else [(block.text, "")]
        for line, shown in parts:
            script = f"set -euo pipefail\n{line}"
            done = run(place, "bash", "-c", script, stderr=subprocess.STDOUT)
            top = place / "proposal"
            manifests = {str(path.relative_to(top)): path.read_text("utf-8") for path in top.glob("*/*.yaml")}
            review = (top / "REVIEW.md").read_text("utf-8") if (top / "REVIEW.md").is_file() else ""
            found.append(Ran(block.line, line, shown, done.returncode, done.stdout, manifests, review))
    return found


def test_every_command_runs(ran: list[Ran]) -> None:
    failed = [str(one) for one in ran if one.code]
    assert not failed, "\n".join(failed)
    assert sum("zt-recommend " in one.command for one in ran) >= 4


def test_every_output_is_what_comes_out(ran: list[Ran]) -> None:
    wrong = [str(one) for one in ran if one.shown.strip() and not matches(one.shown, one.output)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("words", ["--from flows --cluster cluster.yaml --out", "| zt-recommend --from -"])
def test_what_a_cluster_gives_makes_the_policies_of_the_demo(ran: list[Ran], words: str) -> None:
    demo = next(one for one in ran if "--from data/demo" in one.command)
    from_cluster = next(one for one in ran if words in one.command)
    assert from_cluster.written == demo.written != {}


@pytest.mark.parametrize(
    "call",
    [
        "kubectl get ns,nodes,pods,svc,endpointslices,netpol,deploy,rs,sts,ds,cronjobs,jobs -A -o yaml",
        "helm upgrade cilium cilium/cilium --namespace kube-system --reuse-values --set policyAuditMode=true",
        "kubectl -n kube-system exec cilium-xxxxx -c cilium-agent -- "
        "cilium-dbg endpoint config 232 PolicyAuditMode=Enabled",
        "hubble observe --since 24h -o jsonpb",
        "kubectl apply -f proposal/staging",
    ],
    ids=lambda call: " ".join(call.split()[:3]),
)
def test_the_cluster_is_asked(ran: list[Ran], place: Path, call: str) -> None:
    assert call in (place / ".calls").read_text().splitlines()


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    documents = [
        README,
        (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        (ROOT / "data/README.md").read_text("utf-8"),
    ]
    named = set(re.findall(r"(?:^ {4}|`|\$ )make ([a-z][a-z-]*)", "\n".join(documents), re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_python_runs(place: Path) -> None:
    shown = {block.line: block.text for block in blocks("text")}
    for block in blocks("python"):
        done = run(place, sys.executable, "-W", "error", "-c", block.text, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        after = block.line + block.text.count("\n") + 3
        assert matches(shown[after], done.stdout), done.stdout


def holds(whole: Any, part: Any) -> bool:
    """Is ``part`` what is left of ``whole`` when keys and elements are taken out of it?"""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and holds(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(holds(w, p) for w in whole) for p in part)
    return bool(whole == part)


def test_the_flow_shown_is_one_of_the_demo(place: Path) -> None:
    (block,) = blocks("json")
    flow = json.loads(block.text)
    lines = (place / ".recording" / "node-a").read_text("utf-8").splitlines()
    assert any(holds(json.loads(line), flow) for line in lines if line.startswith("{") and line.endswith("}"))


def rows(head: str) -> list[str]:
    """The first cells of the table with this head."""
    _, _, table = README.partition(f"\n{head}\n|---")
    lines = table.partition("\n\n")[0].split("\n")[1:]
    assert lines, f"no table {head}"
    return [line.split("|")[1].strip() for line in lines]


def test_every_option_is_there_and_no_other() -> None:
    context = command.make_context("zt-recommend", [], resilient_parsing=True)
    there = {opt for parameter in command.get_params(context) for opt in parameter.opts}
    said = set(re.findall(r"`(-[-a-z]+)`", " ".join(rows("| option | default | |"))))
    assert said == there


def test_the_exit_codes_are_those_of_the_errors() -> None:
    def tree(kind: type[ZtError]) -> Iterator[int]:
        yield kind.exit_code
        for child in kind.__subclasses__():
            yield from tree(child)

    said = {int(code) for cell in rows("| exit code | |") for code in cell.split(", ")}
    signals = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)}
    assert said == {0, BUG} | signals | set(tree(ZtError))


def known_keys(config: dict[str, Any], tmp_path: Path) -> set[str]:
    """What the message on an unknown key says is known."""
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    with pytest.raises(OptionError) as error:
        with_config(Options(), read_config(path), str(path))
    return set(str(error.value).partition("known are ")[2].split(", "))


@pytest.mark.parametrize(
    "within", [(), ("labels",), ("trust",), ("contract", "vault")], ids=lambda keys: ".".join(keys) or "top"
)
def test_every_key_of_the_configuration_is_there_and_no_other(
    within: tuple[str, ...], tmp_path: Path
) -> None:
    (block,) = blocks("yaml")
    said = yaml.safe_load(block.text)
    wrong: dict[str, Any] = {"nonsense": 1}
    for key in within:
        said = said[key]
    for key in reversed(within):
        wrong = {key: wrong}
    if within == ("contract", "vault"):
        said = {**said, **yaml.safe_load(block.text)["contract"]["proxy"]}
    assert set(said) == known_keys(wrong, tmp_path)


def test_the_configuration_is_accepted_and_used(place: Path) -> None:
    (block,) = blocks("yaml")
    config = yaml.safe_load(block.text)
    assert set(BUILT_IN) <= set(config["contract"])
    folder = place / "configured"
    folder.mkdir()
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "zt-recommend.yaml").write_text(block.text, "utf-8")
    done = run(place, "bash", "-c", "cd configured && zt-recommend", stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    written = {path.name for path in (folder / "proposal").iterdir()}
    assert written == {"REVIEW.md", "proposal.json", *config["namespace"]}
    assert "the contract says never: cloud metadata" not in done.stdout  # nobody in these namespaces uses it


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_defaults_of_the_contract_are_as_said(name: str) -> None:
    (sentence,) = re.findall(r"Left alone, (.*?)\.\s", README, re.DOTALL)
    (part,) = (part for part in sentence.split(";") if f"`{name}`" in part)
    assert f"`{BUILT_IN[name]}`" in part


def test_the_first_sentence_is_the_one_of_the_package() -> None:
    assert recommender.__doc__ is not None
    sentence = " ".join(recommender.__doc__.partition("\n\n")[0].split())
    title, first, *_ = README.split("\n\n")
    assert title == "# zt-recommend"
    assert " ".join(first.split()) == sentence


def test_the_parts_of_the_review_are_those_there_are(ran: list[Ran]) -> None:
    part = README.partition("\n## Reading REVIEW.md\n")[2].partition("\n## ")[0]
    said = re.findall(r"^\d\. \*\*(.*?)\*\*", part, re.MULTILINE)
    demo = next(one for one in ran if "--from data/demo" in one.command)
    there = re.findall(r"^## (.*)$", demo.review, re.MULTILINE)
    assert said == [heading for heading in there if heading not in ("What was read", "YAML diff")]


def test_links_within_the_project_lead_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text("utf-8")):
            assert (ROOT / document).parent.joinpath(link).exists(), f"{document}: {link}"


def test_paths_that_are_named_exist() -> None:
    text = README + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:recommender|tests|data|notebooks|requirements)/[\w./-]*)`", text)
    missing = {path for path in named if not (ROOT / path).exists()}
    assert not missing - {"tests/cases"}
