"""Label semantics, a row each, with the rows where Kubernetes surprises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.policy.selector import (
    EVERYTHING,
    Requirement,
    Selector,
    is_dns_label,
    is_label_key,
    is_label_value,
    is_subdomain,
    labels_of,
    namespaces_named,
)

WEB = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("requirements", "labels", "matches"),
    [
        pytest.param([], {}, True, id="nothing required selects pods without labels"),
        pytest.param([], WEB, True, id="nothing required selects everything"),
        pytest.param([("app", "In", ("web",))], WEB, True, id="In, the value"),
        pytest.param([("app", "In", ("api", "web"))], WEB, True, id="In, one of the values"),
        pytest.param([("app", "In", ("api",))], WEB, False, id="In, another value"),
        pytest.param([("app", "In", ("web",))], {}, False, id="In, key absent"),
        pytest.param([("app", "In", ("",))], {}, False, id="In, an absent key is not an empty value"),
        pytest.param([("app", "In", ("",))], {"app": ""}, True, id="In, the empty value"),
        pytest.param([("app", "In", ("Web",))], WEB, False, id="In, values are case-sensitive"),
        pytest.param([("app", "NotIn", ("web",))], WEB, False, id="NotIn, the value"),
        pytest.param([("app", "NotIn", ("api",))], WEB, True, id="NotIn, another value"),
        pytest.param([("app", "NotIn", ("web",))], {}, True, id="NotIn matches where the key is absent"),
        pytest.param([("app", "Exists", ())], WEB, True, id="Exists, key there"),
        pytest.param([("app", "Exists", ())], {"app": ""}, True, id="Exists, an empty value is there"),
        pytest.param([("app", "Exists", ())], {}, False, id="Exists, key absent"),
        pytest.param([("app", "DoesNotExist", ())], WEB, False, id="DoesNotExist, key there"),
        pytest.param([("app", "DoesNotExist", ())], {}, True, id="DoesNotExist, key absent"),
        pytest.param(
            [("app", "In", ("web",)), ("tier", "In", ("back",))], WEB, False, id="all requirements must hold"
        ),
        pytest.param(
            [("app", "In", ("web",)), ("app", "In", ("api",))], WEB, False, id="two on one key must both hold"
        ),
    ],
)
def test_matching(
    requirements: list[tuple[str, str, tuple[str, ...]]], labels: dict[str, str], matches: bool
) -> None:
    selector = Selector(tuple(Requirement(*parts) for parts in requirements))  # type: ignore[arg-type]
    assert selector.matches(labels) is matches


@pytest.mark.parametrize(
    ("operator", "values", "complaint"),
    [
        pytest.param("In", (), "needs values", id="In without values"),
        pytest.param("NotIn", (), "needs values", id="NotIn without values"),
        pytest.param("Exists", ("x",), "takes no values", id="Exists with values"),
        pytest.param("DoesNotExist", ("x",), "takes no values", id="DoesNotExist with values"),
        pytest.param("Equals", ("x",), "is none of In, NotIn", id="an operator there is not"),
        pytest.param("in", ("x",), "is none of In, NotIn", id="operators are case-sensitive"),
    ],
)
def test_a_requirement_that_cannot_be_is_refused(
    operator: str, values: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Requirement("app", operator, values)  # type: ignore[arg-type]


def test_selectors_that_say_the_same_are_equal() -> None:
    a = Requirement("app", "In", ("web", "api", "web"))
    b = Requirement("app", "In", ("api", "web"))
    c = Requirement("tier", "Exists")
    assert Selector((a, c)) == Selector((c, b, c))
    assert hash(Selector((a, c))) == hash(Selector((c, b)))
    assert Selector.of({"b": "2", "a": "1"}) == Selector.of([("a", "1"), ("b", "2")])
    assert Selector() == EVERYTHING


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        pytest.param(EVERYTHING, "everything", id="everything"),
        pytest.param(Selector.of(WEB), "app=web, tier=front", id="labels"),
        pytest.param(namespaces_named(["b", "a"]), "kubernetes.io/metadata.name in (a, b)", id="namespaces"),
        pytest.param(
            Selector(
                (
                    Requirement("a", "NotIn", ("1", "2")),
                    Requirement("b", "Exists"),
                    Requirement("c", "DoesNotExist"),
                )
            ),
            "a not in (1, 2), b exists, no c",
            id="expressions",
        ),
    ],
)
def test_as_a_person_reads_it(selector: Selector, text: str) -> None:
    assert str(selector) == text


@pytest.mark.parametrize(
    ("text", "is_one_of"),
    [
        pytest.param("web", "label subdomain key value", id="a word"),
        pytest.param("0-9", "label subdomain key value", id="digits"),
        pytest.param("a.b", "subdomain key value", id="a dot"),
        pytest.param("a" * 63, "label subdomain key value", id="63 characters"),
        pytest.param("a" * 64, "subdomain", id="64 characters"),
        pytest.param("a" * 253, "subdomain", id="253 characters"),
        pytest.param("a" * 254, "", id="254 characters"),
        pytest.param("Web_1", "key value", id="upper case and underscore"),
        pytest.param("", "value", id="nothing"),
        pytest.param("example.com/part", "key", id="a prefix"),
        pytest.param("a" * 253 + "/" + "b" * 63, "key", id="the longest key"),
        pytest.param("a" * 254 + "/b", "", id="a prefix too long"),
        pytest.param("Example.com/part", "", id="upper case in a prefix"),
        pytest.param("/part", "", id="a slash without a prefix"),
        pytest.param("example.com/", "", id="a prefix alone"),
        pytest.param("a/b/c", "", id="two slashes"),
        *(pytest.param(text, "", id=repr(text)) for text in ("-a", "a-", ".a", "a.", "..", "a\n", "é", "a b", "٣")),
        pytest.param("a.-b", "key value", id="a dash after a dot"),
        pytest.param("a..b", "key value", id="two dots"),
    ],
)  # fmt: skip
def test_what_may_be_a_name(text: str, is_one_of: str) -> None:
    checks = {"label": is_dns_label, "subdomain": is_subdomain, "key": is_label_key, "value": is_label_value}
    assert [name for name, check in checks.items() if check(text)] == is_one_of.split()


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]))


@given(LABELS, st.sampled_from("abc"), st.sets(st.sampled_from(["", "x", "y"]), min_size=1))
def test_each_operator_and_its_opposite_part_all_label_sets(
    labels: dict[str, str], key: str, values: set[str]
) -> None:
    given_values = tuple(values)
    assert Requirement(key, "In", given_values).matches(labels) is not Requirement(
        key, "NotIn", given_values
    ).matches(labels)
    assert Requirement(key, "Exists").matches(labels) is not Requirement(key, "DoesNotExist").matches(labels)


@given(LABELS)
def test_labels_as_a_value_do_not_depend_on_order(labels: dict[str, str]) -> None:
    assert labels_of(reversed(list(labels.items()))) == labels_of(labels)
    assert Selector.of(labels).matches(labels)
