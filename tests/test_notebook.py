"""The notebook runs from top to bottom on the demo, shows what it promises, and is stored without outputs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "review.ipynb"


def stored() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook with its outputs. Nothing is read from, or written to, the user's own Jupyter folders."""
    home = tmp_path_factory.mktemp("jupyter")
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    with pytest.MonkeyPatch.context() as patch:
        for name in folders:
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.delenv("MPLBACKEND", raising=False)
        notebook = stored()
        folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    return notebook


def shown(notebook: Any, cell_id: str) -> str:
    """The text a cell put out."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    return "\n".join(
        output.get("text") or output.get("data", {}).get("text/html") or output.data["text/plain"]
        for output in cell.outputs
    )


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("edges", ["lines", "connections", "reply", "lost_events"]),
        ("recommend", ["policies", "replayed", "scan by shop/Deployment/worker-delta", "ICMPv4"]),
        ("groups", ["data/postgres", "app.kubernetes.io/name=postgresql"]),
        ("cover", ["app.kubernetes.io/component=worker", "shop/worker-elm", "nobody"]),
        ("admits", ["data/redis", "141.193.213.20/32", "shop/worker-elm"]),
        ("walk-yaml", ["kind: NetworkPolicy", "name: catalog", "# observed: "]),
        (
            "walk-rules",
            ["ingress rule 1", "shop/Deployment/worker-acme -> ", "admitted besides: shop/worker-elm"],
        ),
        (
            "judge",
            ["8080/TCP: allowed", "8080/TCP: refused", "admitted by shop/catalog rule 1", "by no rule"],
        ),
    ],
)
def test_it_shows(executed: Any, cell: str, texts: list[str]) -> None:
    output = shown(executed, cell)
    for text in texts:
        assert text in output


def test_it_finds_the_demo_from_the_top_as_well() -> None:
    (setup,) = (cell.source for cell in stored().cells if cell.id == "setup")
    check = "\nassert recording.is_file() and snapshot.is_file()"
    subprocess.run([sys.executable, "-c", setup + check], cwd=ROOT, check=True)


def test_it_draws_two_figures_and_nothing_goes_wrong(executed: Any) -> None:
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_it_is_stored_without_outputs() -> None:
    for cell in stored().cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_it_defines_nothing() -> None:
    """What is worth a function is worth a place in the library."""
    code = "\n".join(cell.source for cell in stored().cells if cell.cell_type == "code")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node.lineno for node in ast.walk(ast.parse(code)) if isinstance(node, kinds)]


def test_it_names_no_place_of_one_machine() -> None:
    text = NOTEBOOK.read_text("utf-8")
    assert str(ROOT) not in text
    assert os.path.expanduser("~") + os.sep not in text
