"""Names of policies are valid whatever a log said, and tell different workloads apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.learning.names import object_name
from recommender.policy.selector import is_subdomain


@pytest.mark.parametrize("name", ["web", "web-1", "a.b-c.d", "0", "x" * 200])
def test_a_valid_name_stays(name: str) -> None:
    assert object_name(name) == name


@pytest.mark.parametrize(
    "name", ["Web", "web_1", "../../etc/passwd", "a\nb: c", "", "-", "web ", "x" * 300, "\ud800"]
)
def test_an_invalid_one_says_what_it_can_and_ends_in_a_hash(name: str) -> None:
    assert object_name(name) != name
    assert is_subdomain(object_name(name))


@given(st.text(), st.text())
def test_names_are_valid_and_differ_where_the_text_does(one: str, other: str) -> None:
    assert is_subdomain(object_name(one))
    assert (object_name(one) == object_name(other)) == (one == other)
