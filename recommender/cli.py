"""The command line: it parses, calls and prints, and knows nothing of the domain.

The only module that touches stdout, stderr, exit codes and the terminal. What is heavy is
imported when it is first needed, so that help and usage errors answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from recommender import __version__
from recommender.errors import InputError, OptionError, ZtError
from recommender.options import Options, jobs, moment, read_config, since, with_config
from recommender.text import printable

if TYPE_CHECKING:
    from recommender.cluster.inventory import Inventory
    from recommender.recommend import Recommendation

    Tell = Callable[[str, int | None, int | None], None]

CONFIG = "zt-recommend.yaml"
DEBUG = "ZT_RECOMMEND_DEBUG"
BUG = 70  # EX_SOFTWARE of sysexits.h

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


def _format(name: str) -> str:
    if name != "auto":
        from recommender.traffic.formats import FORMATS

        if name not in FORMATS:
            raise OptionError(f"{name!r} is none of auto, {', '.join(sorted(FORMATS))}")
    return name


_PARAMETERS = {"from": "sources", "namespace": "namespaces", "format": "format_"}


def _configure(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Read the configuration before the other options, whose defaults it holds."""
    path = value or (Path(CONFIG) if Path(CONFIG).is_file() else None)
    if path is not None:
        config = read_config(path)
        ctx.obj = (config, str(path))
        ctx.default_map = {_PARAMETERS.get(name, name): said for name, said in config.items()}
    return path


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
    "--format",
    "format_",
    type=_Parsed("format", _format),
    default="auto",
    show_default=True,
    metavar="NAME",
    help="The recording's format: auto or hubble.",
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
    type=_Parsed("number", jobs),
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
    if "none" in cluster and len(cluster) > 1:
        raise OptionError("--cluster none stands alone")
    if out is not None:
        from recommender.report.place import check

        check(out)
    found = _recommend(sources, cluster, options, format_, jobs)
    from recommender.report.summary import summary

    if out is None:
        _print(found.yaml)
        _say(summary(found))
    else:
        from recommender.report.folder import files
        from recommender.report.place import write

        write(out, files(found))
        _say(summary(found))
        _say(printable(f"written to {out}: begin with REVIEW.md", 2000))


def _recommend(
    sources: tuple[str, ...], cluster: tuple[str, ...], options: Options, format_: str, jobs: int
) -> Recommendation:
    with _progress() as tell:
        tell("loading", None, None)
        from recommender.recommend import recommend
        from recommender.traffic.ingest import read_edges

        tell("reading the cluster", None, None)
        inventory = _inventory(cluster)
        edges = read_edges(
            *sources,
            format=format_,
            since=options.start,
            until=options.until,
            jobs=jobs,
            progress=lambda done, total: tell("reading flows", done, total),
        )
        tell("learning and proving", None, None)
        return recommend(edges, inventory, options)


def _inventory(cluster: tuple[str, ...]) -> Inventory:
    from recommender.cluster.inventory import Inventory

    return Inventory.unknown() if cluster == ("none",) else Inventory.from_manifests(*cluster)


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on stderr, told the stage, what is done and what there is; nothing where it is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from time import monotonic

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # Without a thread that draws: reading forks only while there is none.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)
        last = ("", 0.0)

        def tell(stage: str, done: int | None, total: int | None) -> None:
            nonlocal last
            if stage != last[0] or monotonic() - last[1] > 0.1:
                last = (stage, monotonic())
                bar.update(
                    task, description=stage, completed=done or 0, total=total, visible=True, refresh=True
                )

        yield tell


def _print(text: str) -> None:
    """To stdout, in UTF-8 whatever the locale.

    Raises:
        InputError: it cannot be written, as on a full disk.
        BrokenPipeError: whoever reads has seen enough.
    """
    if sys.stdout is None:
        raise InputError("standard output is closed: give --out DIR")
    try:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _hush(sys.stdout)
        raise InputError(f"standard output: {error.strerror}") from None


def _say(text: str) -> None:
    """A line or more to stderr; where nobody can read it, it is lost."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(text.rstrip("\n") + "\n")
            sys.stderr.flush()
        except OSError:
            _hush(sys.stderr)


def _hush(stream: IO[str]) -> None:
    """Python writes what is left when it ends, and would complain once more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Stopped(BaseException):
    """A signal asked to stop."""

    def __init__(self, number: int) -> None:
        self.number = number


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # What follows is cleaning up, which a second signal must not leave half done.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise _Stopped(number)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; errors become messages. Returns the exit code."""
    try:
        with command.make_context("zt-recommend", list(arguments)) as ctx:
            command.invoke(ctx)
        return 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except ZtError as error:
        _say(f"zt-recommend: {_shown(str(error))}")
        return error.exit_code
    except click.ClickException as error:
        _say(f"zt-recommend: {_shown(error.format_message())}\nTry 'zt-recommend --help' for help.")
        return 2
    except (_Stopped, KeyboardInterrupt) as stopped:
        number = stopped.number if isinstance(stopped, _Stopped) else signal.SIGINT
        _say("zt-recommend: interrupted")
        return 128 + number
    except BrokenPipeError:
        _hush(sys.stdout)
        return 128 + signal.SIGPIPE
    except Exception as error:
        return _bug(error)


def _bug(error: Exception) -> int:
    import traceback

    if os.environ.get(DEBUG):
        _say(_shown(traceback.format_exc()))
        return BUG
    where = traceback.extract_tb(error.__traceback__)[-1]
    _say(
        _shown(
            f"zt-recommend: {type(error).__name__} in {Path(where.filename).name}, line {where.lineno}: "
            f"this is a bug; please report it, with what {DEBUG}=1 adds to this message"
        )
    )
    return BUG


def _shown(message: str) -> str:
    return "\n".join(printable(line, 2000) for line in message.split("\n"))


def main() -> None:
    """The console script."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _stop)
    sys.exit(run(sys.argv[1:]))


__all__ = ["command", "main", "run"]
