"""The folder of ``--out``: what of it may be replaced, and how it is written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex

from recommender.errors import InputError

PROPOSAL = "proposal.json"


def check(out: Path) -> None:
    """Refuse what cannot be written, or replaced, before hours of flows are read.

    Raises:
        InputError: it is no folder, cannot be written, or holds anything this tool did not write.
    """
    out = Path(os.path.realpath(out))
    there = next(path for path in (out, *out.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise InputError(f"--out {out}: {'is a file' if there == out else f'{there} is a file'}")
    if there == out:
        ours = _written_before(out)
        foreign = next((name for name in _inside(out) if name not in ours), None)
        if foreign is not None:
            raise InputError(
                f"--out {out}: holds {foreign}, which zt-recommend did not write; name another folder"
            )
        if os.path.ismount(out) or out in (Path.cwd(), *Path.cwd().parents):
            raise InputError(
                f"--out {out}: cannot be replaced, being a mount point or the current folder; name one in it"
            )
        there = out.parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: no permission to write in {there}")


def _inside(folder: Path) -> Iterator[str]:
    for at, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        yield from (os.path.relpath(os.path.join(at, name), folder) for name in names + links)


def _written_before(out: Path) -> set[str]:
    """The files an earlier run wrote into this folder, as its proposal.json has it."""
    try:
        proposal = json.loads((out / PROPOSAL).read_text("utf-8"))
        return set(proposal["files"]) if proposal["tool"] == "zt-recommend" else set()
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return set()


def write(out: Path, files: Mapping[str, str]) -> None:
    """Write all of them or nothing: into a new folder beside ``out`` that then takes its place.

    Raises:
        InputError: the folder cannot be written.
    """
    out = Path(os.path.realpath(out))
    new = out.with_name(f".{out.name[:100]}.{token_hex(8)}")
    old = new.with_name(new.name + ".old")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
        for name, text in files.items():
            path = new / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        if out.exists():
            out.rename(old)
        new.rename(out)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from None
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
