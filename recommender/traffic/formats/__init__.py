"""The formats of flow logs, by name: ``FORMATS`` maps each to the reader of its lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from recommender.errors import OptionError
from recommender.traffic.edges import Edges
from recommender.traffic.formats import hubble
from recommender.traffic.tally import Tally

AUTO: Final = "auto"


class Reader(Protocol):
    """Turns the lines of files into edges, and accounts for each line."""

    def begin(self, tally: Tally) -> None: ...
    def lines(self, lines: list[bytes]) -> None: ...
    def end(self, last: bool = True) -> bool: ...


FORMATS: Final[dict[str, Callable[[Edges, datetime | None, datetime | None], Reader]]] = {
    "hubble": hubble.Reader,
}


def reader_of(
    name: str, edges: Edges, since: datetime | None = None, until: datetime | None = None
) -> Reader:
    """A reader that adds to ``edges``; ``auto`` is the only format there is.

    Raises:
        OptionError: no format has this name; those that exist are named.
    """
    known = FORMATS.get("hubble" if name == AUTO else name)
    if known is None:
        raise OptionError(f"unknown format {name!r}; known are {', '.join([AUTO, *sorted(FORMATS)])}")
    return known(edges, since, until)
