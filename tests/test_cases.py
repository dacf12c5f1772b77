"""Golden folders: ``tests/cases/<name>/`` holds a small recording and cluster, and what must become of them.

``make golden`` rewrites what is expected; read the difference before it is committed. The
demo is a case too: its recording and cluster are those in ``data/demo``.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recommender.cli import run

CASES = Path(__file__).resolve().parent / "cases"


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir() if path.is_dir()))
def test_case(
    name: str,
    tmp_path: Path,
    demo: Path,
    golden: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = CASES / name
    given = demo if name == "demo" else case
    monkeypatch.chdir(given)  # so that the review names the files without their folder
    flows = next(given.glob("flows.*")).name
    options = ["--config", "options.yaml"] if (given / "options.yaml").exists() else []
    out = tmp_path / "out"
    code = run(["--from", flows, "--cluster", "cluster.yaml", *options, "--out", str(out)])
    assert code == 0, capfd.readouterr().err
    made = files(out)
    proposal = json.loads(made.pop("proposal.json"))
    assert sorted(proposal["files"]) == sorted([*made, "proposal.json"])
    if golden:
        shutil.rmtree(case / "expected", ignore_errors=True)
        for file, text in made.items():
            (case / "expected" / file).parent.mkdir(parents=True, exist_ok=True)
            (case / "expected" / file).write_text(text, "utf-8")
    assert made == files(case / "expected")
