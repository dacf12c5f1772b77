"""The command line: it parses, calls and prints, and knows nothing of the domain.

The only module that touches stdout, stderr, exit codes and the terminal. What is heavy is
imported when it is first needed, so that help and usage errors answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recommender import __version__
from recommender.errors import InputError, OptionError, ZtError
from recommender.options import Options, moment, read_config, since, with_config
from recommender.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from recommender.cluster.inventory import Inventory
    from recommender.recommend import Recommendation

CONFIG = "zt-recommend.yaml"

NO_SOURCE = f"""no flows to learn from: neither --from nor a source in the configuration. Give one of
  --from FILE      a Hubble recording: an exporter's file, or `hubble observe -o jsonpb`; plain, gzip or zstd
  --from 'GLOB'    several of them, such as 'events*.log.gz'
  --from DIR       every file in a folder
  --from -         standard input: hubble observe -o jsonpb --since 24h | zt-recommend --from - …
  from: [FILE, …]  the same in {CONFIG}, or in the file given with --config"""

NO_CLUSTER = """no inventory: give one of
  --cluster FILE   what this writes (also a folder, also JSON, also several):
                   kubectl get ns,nodes,pods,svc,endpointslices,netpol,deploy,rs,sts,ds,cronjobs,jobs -A -o yaml
  --cluster none   to go by the labels in the flows alone"""


class _Parsed(click.ParamType):  # type: ignore[type-arg]
    """A parameter read by one of the functions in ``options.py``."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)


def _jobs(text: str) -> int:
    if text == "all":
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise OptionError(f"{text!r} is neither a number of processes nor 'all'")
    return int(text)


def _configure(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Read the configuration before the other options, whose defaults it holds."""
    path = value or (Path(CONFIG) if Path(CONFIG).is_file() else None)
    if path is not None:
        config = read_config(path)
        ctx.obj = (config, str(path))
        ctx.default_map = {
            {"from": "sources", "namespace": "namespaces", "format": "format_"}.get(name, name): _text(
                name, said
            )
            for name, said in config.items()
        }
    return path


def _text(name: str, said: Any) -> Any:
    """A value of the configuration as the command line would have said it."""
    if name in ("from", "cluster", "namespace"):
        return [str(item) for item in said] if isinstance(said, list) else [str(said)]
    return said.isoformat() if hasattr(said, "isoformat") else str(said)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="A recording: file, glob, folder or - (stdin). Repeatable.",
)
@click.option(
    "--since",
    type=_Parsed("time", since),
    default="24h",
    show_default=True,
    metavar="24h|TIME",
    help="How far to look back from the newest flow, or from --until; or a time.",
)
@click.option(
    "--until", type=_Parsed("time", moment), metavar="TIME", help="Look at nothing after this time."
)
@click.option(
    "--format", "format_", default="auto", show_default=True, help="The recording's format: auto or hubble."
)
@click.option(
    "--cluster",
    multiple=True,
    metavar="PATH|none",
    help="A snapshot by kubectl (file or folder, repeatable), or none.",
)
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, help="Protect only this namespace. Repeatable."
)
@click.option(
    "--target",
    type=click.Choice(["networkpolicy"]),
    default="networkpolicy",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a folder a namespace, REVIEW.md and proposal.json here instead of YAML to stdout.",
)
@click.option(
    "--jobs",
    type=_Parsed("number", _jobs),
    default="1",
    show_default=True,
    metavar="N|all",
    help="Processes to read with.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    callback=_configure,
    is_eager=True,
    metavar="FILE",
    help=f"The configuration.  [default: {CONFIG}, if there is one]",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    since: Any,
    until: Any,
    format_: str,
    cluster: tuple[str, ...],
    namespaces: tuple[str, ...],
    target: str,
    out: Path | None,
    jobs: int,
    config: Path | None,
) -> None:
    """Learn least-privilege Kubernetes NetworkPolicies from the traffic a cluster really has.

    Reads a recording of flows and a snapshot of the cluster, writes NetworkPolicy YAML to
    stdout and everything for people to stderr. Exit codes: 0 done, 1 the proposal does not
    hold, 2 the input or the options, 3 too little evidence.
    """
    said, file = ctx.obj or ({}, "")
    options = with_config(Options(since=since, until=until, namespaces=namespaces), said, file)
    if not sources:
        raise OptionError(NO_SOURCE)
    if not cluster:
        raise OptionError(NO_CLUSTER)
    if "live" in cluster:
        raise OptionError("reading a live cluster is not there yet\n" + NO_CLUSTER)
    if out is not None:
        _check_folder(out)
    found = _recommend(sources, cluster, options, format_, jobs)
    if out is None:
        sys.stdout.write(found.yaml)
        sys.stdout.flush()
    else:
        from recommender.report.folder import files

        _write_folder(out, files(found))
    _summary(found, out)


def _recommend(
    sources: tuple[str, ...], cluster: tuple[str, ...], options: Options, format_: str, jobs: int
) -> Recommendation:
    inventory = _inventory(cluster)
    from recommender.recommend import recommend
    from recommender.traffic.ingest import read_edges

    with _progress() as progress:
        edges = read_edges(
            *sources, format=format_, since=options.start, until=options.until, jobs=jobs, progress=progress
        )
    return recommend(edges, inventory, options)


def _inventory(cluster: tuple[str, ...]) -> Inventory:
    from recommender.cluster.inventory import Inventory

    if "none" in cluster:
        if len(cluster) > 1:
            raise OptionError("--cluster none stands alone")
        return Inventory.unknown()
    return Inventory.from_manifests(*cluster)


def _check_folder(out: Path) -> None:
    """Refuse to replace a folder that holds anything this tool did not write.

    Raises:
        InputError: it is a file, or holds other files.
    """
    import json

    from recommender.report.folder import PROPOSAL

    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"--out {out}: is a file")
    there = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    try:
        ours = set(json.loads((out / PROPOSAL).read_text("utf-8"))["files"]) if there else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if foreign := sorted(there - ours):
        raise InputError(
            f"--out {out}: holds {printable(foreign[0])}, which zt-recommend did not write; name another folder"
        )


def _write_folder(out: Path, files: Mapping[str, str]) -> None:
    """Write all of them or nothing: into a new folder beside ``out`` that then takes its place.

    Raises:
        InputError: the folder cannot be written.
    """
    import shutil
    import tempfile

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from None
    old = new.with_name(new.name + ".old")
    try:
        for name, text in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        new.chmod(0o755)
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


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on stderr while reading; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading flows"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def _summary(found: Recommendation, out: Path | None) -> None:
    from rich.table import Table

    from recommender.report.summary import lines, table

    console = _console()
    grid = Table(*table(found)[0], box=None, pad_edge=False)
    for row in table(found)[1:]:
        grid.add_row(*row)
    console.print(grid)
    for line in lines(found):
        console.print(line, soft_wrap=True)
    if out is not None:
        console.print(f"written to {printable(str(out))}: begin with REVIEW.md", soft_wrap=True)


def main() -> None:
    """Run the command and turn errors into messages and exit codes."""
    try:
        command(prog_name="zt-recommend", standalone_mode=False)
    except ZtError as error:
        click.echo(f"zt-recommend: {_shown(str(error))}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("zt-recommend: interrupted, nothing was written", err=True)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _shown(message: str) -> str:
    return "\n".join(printable(line, 2000) for line in message.split("\n"))


__all__ = ["command", "main"]
