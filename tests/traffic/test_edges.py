"""Sets of ports, and edges that add up the same in any order."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.traffic.edges import End, Ports

PORT = st.integers(0, 65535)
MANY = st.tuples(PORT, st.integers(0, 9000)).map(lambda at: [(at[0] + n * 7) % 65536 for n in range(at[1])])


def ports_of(numbers: list[int]) -> Ports:
    ports = Ports()
    for number in numbers:
        ports.add(number)
    return ports


@given(st.lists(PORT) | MANY, st.lists(PORT) | MANY)
def test_ports_are_a_set(first: list[int], second: list[int]) -> None:
    ports, other = ports_of(first), ports_of(second)
    assert len(ports) == len(set(first))
    ports.update(pickle.loads(pickle.dumps(other)))
    assert len(ports) == len({*first, *second})


@pytest.mark.parametrize("count", [10, 5_000, 65_536])
def test_ports_are_small(count: int) -> None:
    ports = ports_of(list(range(count)))
    assert len(ports) == count
    assert len(pickle.dumps(ports)) < 2 * count + 9_000 if count < 4096 else 9_000


def test_who_asked() -> None:
    end = End("10.0.0.1", "shop", "web-1", (), "", "prod")
    assert end.asker == ("shop", "web-1")
    assert end._replace(pod="").asker == ("", "10.0.0.1")
