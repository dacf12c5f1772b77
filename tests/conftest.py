"""What all tests share: ``--golden``, where the data is, and how hard hypothesis tries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# A shared machine is slow at times: no example has a deadline. CI tries the same examples every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="rewrite the expected folders of tests/cases")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> bool:
    """True where the expected files are to be rewritten instead of compared with."""
    return bool(request.config.getoption("--golden"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder with the demo's ``flows.jsonl.zst`` and ``cluster.yaml``."""
    return ROOT / "data" / "demo"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder with one small recording of each form."""
    return ROOT / "data" / "samples"


@pytest.fixture(scope="session")
def real_samples() -> Path:
    """Real lines and manifests that may not be copied into the project; skips where they are not at hand."""
    folder = Path(os.environ.get("ZT_REAL_SAMPLES", ROOT.parent / "shared" / "samples"))
    if not folder.is_dir():
        pytest.skip("the real samples are not beside this checkout")
    return folder
