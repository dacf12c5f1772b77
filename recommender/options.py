"""What a person decides: the options of a recommendation, and the configuration file that holds them.

The configuration is YAML. Options of the command line stand in it under their own names;
these besides::

    contract:                 # the infrastructure destinations: always, observed or never
      dns: always
      api-server: observed
      metadata: never
      vault: {when: always, namespace: vault, pods: {app: vault}, ports: [8200/TCP]}
      proxy: {when: always, address: 10.1.2.3/32, ports: [3128/TCP]}
    labels:
      moving: ["example.com/release-*"]    # never select by these
      stable: [example.com/tenant-number]  # numbers that are names, not build numbers
    families: true            # may a selector admit a whole family most of which was seen
    trust: {scan-targets: 8, scan-minutes: 10}
    exclude: [sandbox]        # namespaces to leave alone
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from recommender.errors import OptionError

When = Literal["always", "observed", "never"]
_WHEN: Final[tuple[When, ...]] = ("always", "observed", "never")

BUILT_IN: Final[Mapping[str, When]] = {
    "dns": "always",
    "api-server": "observed",
    "metadata": "observed",
    "monitoring": "observed",
}
"""The infrastructure destinations every cluster may have, and what holds unless it is said otherwise.

NodeLocal DNSCache is part of ``dns``: where it is seen it is where DNS is answered.
"""


@dataclass(frozen=True, slots=True)
class Destination:
    """An entry of the contract: where, and whether it is admitted unseen.

    The built-in ones are found in the cluster; own ones say where they are: pods by
    namespace and labels, or an address block. ``ports`` are (protocol, number).
    """

    name: str
    when: When
    namespace: str = ""
    pods: tuple[tuple[str, str], ...] = ()
    address: str = ""
    ports: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that changes a recommendation besides its input.

    ``since`` counts back from ``until``, or from the newest flow. ``namespaces`` names the
    only ones to protect; empty means every one with workloads except the system's own.
    ``many_addresses`` is how many nameless outside addresses on one port are one block, not
    many.
    """

    since: timedelta | datetime | None = timedelta(hours=24)
    until: datetime | None = None
    namespaces: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    contract: tuple[Destination, ...] = tuple(Destination(name, when) for name, when in BUILT_IN.items())
    moving_labels: tuple[str, ...] = ()
    stable_labels: tuple[str, ...] = ()
    families: bool = True
    scan_targets: int = 8
    scan_within: timedelta = timedelta(minutes=10)
    many_addresses: int = 4

    def __post_init__(self) -> None:
        if isinstance(self.since, datetime) and self.until is not None and self.since >= self.until:
            raise OptionError(f"since {self.since.isoformat()} is not before until {self.until.isoformat()}")

    @property
    def start(self) -> datetime | None:
        """The beginning of the window, where it is known before anything was read."""
        if isinstance(self.since, timedelta):
            return self.until - self.since if self.until is not None else None
        return self.since


_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_LONGEST: Final = timedelta(days=36_525)
_YEARS: Final = range(1970, 2200)


def duration(text: str) -> timedelta:
    """``24h``, ``7d``, ``1h30m``: a length of time greater than none.

    Raises:
        OptionError: the text is no duration, or one of more than a century.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text.strip():
        raise OptionError(f"{text!r} is no duration: give a number and a unit, such as 24h, 90m, 7d or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST.total_seconds():
        raise OptionError(f"{text!r} is longer than a century")
    if seconds < 1:
        raise OptionError(f"{text!r} is no time at all")
    return timedelta(seconds=seconds)


def moment(text: str) -> datetime:
    """A time in ISO 8601; without a zone it is UTC.

    Raises:
        OptionError: the text is no time, or one in no year that has flows.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise OptionError(f"{text!r} is no time: write it as 2026-11-24T08:00:00Z") from None
    if found.year not in _YEARS:
        raise OptionError(f"{text!r} is not between {_YEARS[0]} and {_YEARS[-1]}")
    return found


def since(text: str) -> timedelta | datetime:
    """What ``--since`` takes: a duration, or a time."""
    if re.fullmatch(r"\s*(?:[0-9.]+[a-z])+\s*", text):
        return duration(text)
    if re.match(r"\s*[0-9]{4}-", text):
        return moment(text)
    raise OptionError(f"{text!r} is neither a duration such as 24h nor a time such as 2026-11-24T08:00:00Z")


def jobs(text: str) -> int:
    """What ``--jobs`` takes: a number of processes, or ``all`` for one on each core, which is 0."""
    if text == "all":
        return 0
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 1024:
        raise OptionError(f"{text!r} is neither a number of processes nor 'all'")
    return int(text)


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise OptionError(f"{place}: must be a list")
    return value


def _string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise OptionError(f"{place}: must be text")
    return value


def _strings(value: Any, place: str) -> tuple[str, ...]:
    return tuple(_string(item, place) for item in _list(value, place))


def _time(value: Any, place: str) -> str:
    """A time as text; YAML reads some as times already."""
    return value.isoformat() if isinstance(value, date) else _string(value, place)


def _number(value: Any, place: str) -> str:
    return str(value) if type(value) is int else _string(value, place)


def _some(value: Any, place: str) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else _strings(value, place)


_COMMAND_LINE: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "from": _some,
    "since": lambda value, place: since(_time(value, place)),
    "until": lambda value, place: moment(_time(value, place)),
    "format": _string,
    "cluster": _some,
    "namespace": _some,
    "target": _string,
    "out": _string,
    "jobs": lambda value, place: jobs(_number(value, place)),
}
"""The options of the command line, and how each is read where it stands in the configuration."""
_BESIDES: Final = frozenset({"contract", "labels", "families", "trust", "exclude"})


def read_config(path: Path) -> dict[str, Any]:
    """The configuration file as a mapping: its keys checked, the command line's options read.

    Raises:
        OptionError: it cannot be read, is no YAML mapping, has a key that is not known, or one
            of the command line's with a value that is none.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OptionError(f"{path}: not UTF-8 text") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or (str(error).partition("\n")[0] if mark is None else "")
        raise OptionError(f"{path}{place}: no valid YAML: {reason}") from None
    if loaded is None:
        return {}
    config = _mapping(loaded, str(path))
    _known(config, _COMMAND_LINE.keys() | _BESIDES, str(path))
    return {
        key: _said(_COMMAND_LINE[key], value, f"{path}: {key}") if key in _COMMAND_LINE else value
        for key, value in config.items()
    }


def _said(read: Callable[[Any, str], Any], value: Any, place: str) -> Any:
    try:
        return read(value, place)
    except OptionError as error:
        raise OptionError(str(error) if str(error).startswith(place) else f"{place}: {error}") from None


def with_config(options: Options, config: Mapping[str, Any], file: str = "") -> Options:
    """The options with what the configuration says of the contract, labels, families and trust.

    Raises:
        OptionError: a value cannot be used; names file and key.
    """
    place = f"{file}: " if file else ""
    labels = _mapping(config.get("labels", {}), f"{place}labels")
    _known(labels, {"moving", "stable"}, f"{place}labels")
    trust = _mapping(config.get("trust", {}), f"{place}trust")
    _known(trust, {"scan-targets", "scan-minutes"}, f"{place}trust")
    families = config.get("families", options.families)
    if not isinstance(families, bool):
        raise OptionError(f"{place}families: must be true or false")
    return replace(
        options,
        contract=_contract(options.contract, config.get("contract", {}), f"{place}contract"),
        moving_labels=_strings(labels.get("moving", []), f"{place}labels.moving") or options.moving_labels,
        stable_labels=_strings(labels.get("stable", []), f"{place}labels.stable") or options.stable_labels,
        exclude=_strings(config.get("exclude", []), f"{place}exclude") or options.exclude,
        families=families,
        scan_targets=_count(trust.get("scan-targets", options.scan_targets), f"{place}trust.scan-targets"),
        scan_within=timedelta(
            minutes=_count(
                trust.get("scan-minutes", int(options.scan_within.total_seconds() // 60)),
                f"{place}trust.scan-minutes",
            )
        ),
    )


def _contract(base: tuple[Destination, ...], table: Any, place: str) -> tuple[Destination, ...]:
    found = {entry.name: entry for entry in base}
    for name, said in _mapping(table, place).items():
        where = f"{place}.{name}"
        entry = {"when": said} if isinstance(said, str) else _mapping(said, where)
        _known(entry, {"when", "namespace", "pods", "address", "ports"}, where)
        when = entry.get("when", "observed")
        if when not in _WHEN:
            raise OptionError(f"{where}: {when!r} is none of {', '.join(_WHEN)}")
        found[name] = Destination(name, when) if name in BUILT_IN else _own(name, when, entry, where)
        if name in BUILT_IN and entry.keys() != {"when"}:
            raise OptionError(f"{where}: is found in the cluster; give a place of your own another name")
    return tuple(found[name] for name in sorted(found))


def _own(name: str, when: When, entry: Mapping[str, Any], where: str) -> Destination:
    """A destination the cluster does not tell of: pods or an address, and ports."""
    if not entry.keys() & {"namespace", "pods", "address"}:
        known = ", ".join(BUILT_IN)
        raise OptionError(f"{where}: neither one of {known} nor a namespace with pods or an address")
    if ("address" in entry) == ("namespace" in entry) or ("pods" in entry) != ("namespace" in entry):
        raise OptionError(f"{where}: give a namespace with pods, or an address, not both")
    pods = _mapping(entry.get("pods", {}), f"{where}.pods")
    if "pods" in entry and not pods:
        raise OptionError(f"{where}.pods: name the labels of the pods")
    ports = _list(entry.get("ports", []), f"{where}.ports")
    if not ports:
        raise OptionError(f"{where}.ports: name at least one, such as 8200/TCP")
    return Destination(
        name=name,
        when=when,
        namespace=_string(entry.get("namespace", ""), f"{where}.namespace"),
        pods=tuple(sorted((key, _string(value, f"{where}.pods.{key}")) for key, value in pods.items())),
        address=_cidr(entry["address"], f"{where}.address") if "address" in entry else "",
        ports=tuple(_port(port, f"{where}.ports") for port in ports),
    )


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise OptionError(f"{place}: must be a mapping of names")
    return value


def _known(value: Mapping[str, Any], known: Set[str], place: str) -> None:
    for key in value:
        if key not in known:
            raise OptionError(f"{place}: unknown key {key!r}; known are {', '.join(sorted(known))}")


def _count(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
        raise OptionError(f"{place}: must be a whole number of at least 1")
    return value


def _cidr(value: Any, place: str) -> str:
    try:
        return str(ipaddress.ip_network(_string(value, place)))
    except ValueError as error:
        raise OptionError(f"{place}: {error}") from None


def _port(value: Any, place: str) -> tuple[str, int]:
    match = re.fullmatch(r"([0-9]{1,5})(?:/(TCP|UDP|SCTP))?", str(value))
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise OptionError(f"{place}: {value!r} is no port such as 8200/TCP")
    return (match[2] or "TCP", int(match[1]))
