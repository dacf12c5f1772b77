"""The errors a caller can tell apart, by what can be done about them.

    ZtError                     every error this library raises on purpose
    ├── InputError              the input or the options are wrong: mend them
    │   ├── FormatError         a file is not what it was given as
    │   ├── ManifestError       a Kubernetes object is invalid; names file, line and field
    │   ├── FlowSchemaError     a data frame is not a flow or an edge table
    │   └── OptionError         an option or the configuration is wrong
    ├── EvidenceError           the input is readable but cannot carry a recommendation
    └── BrokenRecommendation    the YAML written would refuse what was learned: a bug in here

The library raises and never prints or exits; ``cli.py`` turns this tree into exit codes.
"""

from __future__ import annotations


class ZtError(Exception):
    """Base of every error raised on purpose; the message is written for a person."""

    exit_code = 2


class InputError(ZtError):
    """The input cannot be used as it is."""


class FormatError(InputError):
    """A file does not hold what it was given as."""


class ManifestError(InputError):
    """A Kubernetes object cannot be understood.

    Args:
        reason: what is wrong.
        file: where the object came from.
        line: 1-based line, where known.
        field: path of the offending field, such as ``spec.ingress[0].ports[0].port``.
    """

    def __init__(self, reason: str, *, file: str = "", line: int | None = None, field: str = "") -> None:
        self.reason, self.file, self.line, self.field = reason, file, line, field
        place = ", ".join(part for part in (file, f"line {line}" if line is not None else "", field) if part)
        super().__init__(f"{place}: {reason}" if place else reason)


class FlowSchemaError(InputError):
    """A data frame lacks a column, or a column holds the wrong type."""


class OptionError(InputError):
    """An option, or a value in the configuration file, cannot be used."""


class EvidenceError(ZtError):
    """There is too little evidence to recommend anything."""

    exit_code = 3


class BrokenRecommendation(ZtError):
    """The policies written would refuse a connection that was learned."""

    exit_code = 1
