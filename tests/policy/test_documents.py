"""YAML text to plain values: what a word means, what is refused and where, and the line of a field."""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import ManifestError
from recommender.policy.documents import documents, field_name, line_of


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(
            (word, value)
            for words, value in [
                ("~ null Null NULL", None),
                ("yes Yes YES on On ON true True TRUE", True),
                ("no No NO off Off OFF false False FALSE", False),
                ("16 +16 1_6 020 0o20 0x10 0X10 0b10000 0x_1_0", 16),
                ("-8 -010 -0x8", -8),
                ("1e3 1E3 1_000.0 +1000. 1.0e+3", 1000.0),
                (".5 0.5 5e-1", 0.5),
                ("08", 8.0),
                (".inf +.INF", math.inf),
                ("-.Inf", -math.inf),
            ]
            for word in words.split()
        ),
        *(
            (word, word)
            for word in (
                "y", "n", "Y", "yES", "nUll", "1e", "0x", "0x_", "0b_", "0o_", "0b2", "1.2.3", "12:30", "-", "+",
                "...x", "1-2", "2024-01-01", "2024-99-99", "2001-12-14T21:59:43.10-05:00", "=", "-x", "1 2",
                "9" * 5000, "0x" + "f" * 9999,
            )
        ),
    ],
)  # fmt: skip
def test_an_unquoted_word_is_what_kubernetes_takes_it_for(word: str, value: Any) -> None:
    ((read, quoted),) = documents(f"[{word}, '{word}']")
    assert (read, type(read)) == (value, type(value))
    assert quoted == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("a: !!int 3", {"a": 3}, id="a tag that fits"),
        pytest.param("a: !!str 3", {"a": "3"}, id="a number tagged as a string"),
        pytest.param("a: !!float 3", {"a": 3}, id="a whole number tagged as a float"),
        pytest.param("{1: a, true: b, 1.5: c}", {"1": "a", "true": "b", "1.5": "c"}, id="keys, as JSON has them"),
        pytest.param("{on: a}", {True: "a"}, id="a key that would not be what was written"),
        pytest.param("{010: a, 1e3: b}", {8: "a", 1000.0: "b"}, id="numbers as keys likewise"),
        pytest.param("{'on': a, y: b}", {"on": "a", "y": "b"}, id="keys in quotes, and y"),
        pytest.param("- &x {b: 1, c: 1}\n- {<<: *x, c: 2}", [{"b": 1, "c": 1}, {"b": 1, "c": 2}], id="a merge"),
        pytest.param("- &x {b: 1}\n- {<<: [{b: 2}, *x]}", [{"b": 1}, {"b": 2}], id="of several merged the first"),
        pytest.param("{'<<': 1}", {"<<": 1}, id="no merge in quotes"),
    ],
)  # fmt: skip
def test_a_document_is_read_as(text: str, value: Any) -> None:
    assert list(documents(text)) == [value]
    assert list(documents(text.encode())) == [value]


def test_empty_documents_are_none() -> None:
    assert list(documents("a: 1\n---\n---\n# nothing\n")) == [{"a": 1}, None, None]
    assert list(documents("")) == []


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(100)) + "}\n"
for anchor, merged in ("ba", "cb", "dc", "ed"):
    MERGES += f"{anchor}: &{anchor} {{<<: [{', '.join([f'*{merged}'] * 100)}]}}\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        pytest.param("a: ]", 1, "did not find expected", id="syntax"),
        pytest.param("a: 1\n b: 2", 2, "mapping values are not allowed", id="indentation"),
        pytest.param("a: 1\nb: 2\na: 3", 3, "key 'a' is given twice", id="a repeated key"),
        pytest.param("x: {a: 1, 'a': 2}", 1, "key 'a' is given twice", id="a repeated key in quotes"),
        pytest.param("x: {1: 1, '1': 2}", 1, "key '1' is given twice", id="a repeated key, once as a number"),
        pytest.param("x: {on: 1, yes: 2}", 1, "key 'True' is given twice", id="a key twice in other words"),
        pytest.param("x: {<<: {a: 1}, <<: {b: 1}}", 1, "key '<<' is given twice", id="merging twice"),
        pytest.param("x: {<<: 1}", 1, "merges something that is no mapping", id="merging a number"),
        pytest.param("x:\n  <<: [{}, [1]]\n", 3, "merges something that is no mapping", id="merging a list of lists"),
        pytest.param("a: *b", 1, "alias *b stands for nothing", id="an alias of nothing"),
        pytest.param("a: &b [*b]", 1, "or for itself", id="an alias of itself"),
        pytest.param("a: &b 1\n---\na: *b", 3, "alias *b stands for nothing", id="an alias of another document"),
        pytest.param("? {a: b}\n: c", 1, "a key must be a word", id="a mapping as a key"),
        pytest.param("? [a]\n: c", 1, "a key must be a word", id="a list as a key"),
        pytest.param("a:\n  ~: c", 2, "a key must be a word", id="nothing as a key"),
        pytest.param("a: {{ .Values.x }}", 1, "helm template", id="a template"),
        pytest.param("a: 1\n{{ if .x }}\nb: 2", 3, "helm template", id="a template's condition"),
        pytest.param("a: !!python/object:os.system x", 1, "has no meaning here", id="a tag of Python"),
        pytest.param("a: !!python/object/apply:os.system [id]", 1, "has no meaning here", id="a call in Python"),
        pytest.param("a: !!binary x", 1, "has no meaning here", id="binary"),
        pytest.param("a: !!set {b}", 1, "has no meaning here", id="a set"),
        pytest.param("a: !!int x", 1, "'x' is no int", id="a number that is none"),
        pytest.param("a: !!int yes", 1, "'yes' is no int", id="a number that is a boolean"),
        pytest.param("a: !!int 1.5", 1, "'1.5' is no int", id="a whole number that is none"),
        pytest.param("a: !!bool x", 1, "'x' is no bool", id="a boolean that is none"),
        pytest.param("a: !!null x", 1, "'x' is no null", id="nothing that is something"),
        pytest.param("[" * 200_000, 1, "nested deeper", id="brackets without end"),
        pytest.param("- " * 5_000, 1, "nested deeper", id="dashes without end"),
        pytest.param("a: é\nb: \x00", 2, "control characters", id="a control character"),
        pytest.param("a: 1\nb: \ud800", 2, "invalid Unicode", id="half a character"),
        pytest.param(b"a: 1\nb: \xff", 2, "UTF-8", id="not UTF-8"),
        pytest.param(BOMB, 6, "aliases expand to more than 1,000,000 nodes", id="aliases of aliases"),
        pytest.param(MERGES, 3, "aliases expand to more than 1,000,000 nodes", id="merges of merges"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str | bytes, line: int, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ManifestError, match="YAML: ") as caught:
        list(documents(text, "x.yaml"))
    assert reason in caught.value.reason
    assert (caught.value.line, caught.value.file) == (line, "x.yaml")
    assert time.perf_counter() - began < 5


def test_many_small_documents_may_each_use_aliases() -> None:
    text = "a: &a [" + "x, " * 1000 + "]\nb: [" + "*a, " * 900 + "]\n"
    assert len(list(documents("---\n".join([text] * 3)))) == 3


text = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn")), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | text | st.sampled_from(["on", "1e3", "0x1", "<<"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_what_was_dumped_is_read_back(value: Any, flow: bool) -> None:
    quoted = yaml.safe_dump(value, default_flow_style=flow, default_style='"', allow_unicode=True)
    assert list(documents(quoted)) == [value]
    assert list(documents(json.dumps(value, ensure_ascii=False))) == [value]


@given(st.text(st.sampled_from("ab:-[]{}&*!?|>'\"%@`,#\n 01.<~_xoe+\ud800"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ManifestError):
        list(documents(text))
    line_of(text, 0, ("a", 0))


# ---- where it stands ----

TEXT = "---\nkind: x\nitems:\n- a:\n  - 1\n  - 2\n- a: {q: [3]}\n  b:\n    c: 4\n---\n1: y\n"


@pytest.mark.parametrize(
    ("document", "path", "line"),
    [
        pytest.param(0, (), 2, id="the document"),
        pytest.param(0, ("kind",), 2, id="a key"),
        pytest.param(0, ("items", 0), 4, id="an item"),
        pytest.param(0, ("items", 1), 7, id="another item"),
        pytest.param(0, ("items", 0, "a", 1), 6, id="an item in an item"),
        pytest.param(0, ("items", 1, "b", "c"), 9, id="a key in an item"),
        pytest.param(0, ("items", 1, "b", "d"), 8, id="absent: its parent"),
        pytest.param(0, ("items", 1, "no", "more"), 7, id="absent, and its parent"),
        pytest.param(0, ("items", 5), 3, id="no such item: the list"),
        pytest.param(0, ("z",), 2, id="no such key: the document"),
        pytest.param(1, (), 11, id="the next document"),
        pytest.param(1, (1,), 11, id="a key that is a number"),
        pytest.param(2, ("kind",), None, id="no such document"),
    ],
)
def test_line_of(document: int, path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(TEXT, document, path) == line_of(TEXT.encode(), document, path) == line


@pytest.mark.parametrize("text", ["]", "[", "a: ]", "a: \x00", "a: \ud800"])
def test_line_of_what_is_no_yaml_is_not_known(text: str) -> None:
    assert line_of(text, 0, ("b",)) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ((), ""),
        (("spec", "ports", 0, "port"), "spec.ports[0].port"),
        (("items", 3), "items[3]"),
        ((0, "a"), "[0].a"),
        (("metadata", "labels", "a.b/c"), "metadata.labels['a.b/c']"),
        (("labels", "]\u202e"), "labels[']\\\\u{202e}']"),
    ],
)
def test_field_name(path: tuple[str | int, ...], name: str) -> None:
    assert field_name(path) == name
