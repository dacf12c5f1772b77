"""Text from outside is harmless wherever it ends up: a terminal, a CI log, Markdown."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from recommender.text import code, markdown, printable

# What attackers write, and anything else.
PIECES = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(
        "` | * _ [x](http://e) ![x](y) <b> <!-- @team #1 GH-1 http:// www. :: ##[ ##vso[ ~~ \\ & - 1. $".split()
    ),
    st.sampled_from([" ", "\n", "\x1b[31m", "\u202e", "\u2028", "\ud800"]),
)
TEXTS = st.lists(PIECES, max_size=10).map("".join)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-1", "web-1"),
        ("a\nb\tc\x1b[0m", "a\\u{a}b\\u{9}c\\u{1b}[0m"),
        ("a\u202eb\u2028c\ud800\0", "a\\u{202e}b\\u{2028}c\\u{d800}\\u{0}"),
        ("bücher.example", "bücher.example"),
        ("::warning::x", "\\u{3a}:warning::x"),
        ("  ::add-mask::x", "  \\u{3a}:add-mask::x"),
        ("fd00::1 and 2001:db8::/32", "fd00::1 and 2001:db8::/32"),
        ("##[group] and ##VSO[task.x]", "\\u{23}#[group] and \\u{23}#VSO[task.x]"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(TEXTS)
def test_printable_is_one_line_without_anything_unseen(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 201
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in shown)
    assert not re.search(r"^\s*::|##(vso)?\[", shown, re.IGNORECASE)
    assert printable(shown) == shown


def tokens(text: str) -> list[str]:
    found = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text)
    return [each.type for token in found for each in (token, *(token.children or ()))]


@given(TEXTS)
def test_markdown_is_text_and_nothing_else(text: str) -> None:
    assert set(tokens("- " + markdown(text, 10_000))) <= {
        "bullet_list_open", "list_item_open", "paragraph_open", "inline", "text", "text_special",
        "paragraph_close", "list_item_close", "bullet_list_close",
    }  # fmt: skip
    row = f"| a | b |\n|---|---|\n| {markdown(text, 10_000)} | {code(text, 10_000)} |\n"
    assert tokens(row).count("td_open") == 2
    assert tokens(row).count("code_inline") == 1
    assert set(tokens(f"### {markdown(text)}")) <= {
        "heading_open",
        "inline",
        "text",
        "text_special",
        "heading_close",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@team", "@&#8203;team"),
        ("see #12 and GH-12", "see #&#8203;12 and GH&#8203;-12"),
        ("https://e.example", "https&#8203;://e.example"),
        ("www.e.example", "www&#8203;.e.example"),
        ("a@b.example", "a@&#8203;b.example"),
    ],
)
def test_what_a_forge_makes_links_of_is_broken(text: str, shown: str) -> None:
    assert markdown(text) == shown


@given(TEXTS)
def test_code_is_one_span(text: str) -> None:
    assert tokens(f"see {code(text, 10_000)} there").count("code_inline") == 1
    assert "|" not in code(text)


def test_code_of_nothing_is_still_a_span() -> None:
    assert code("") == "` `"
