"""Text from outside made harmless, once for each place it can end up.

Pod names, labels and DNS names in a flow log are written by whoever runs a pod. What is
shown keeps every character visible; what cannot be shown is written as ``\\u{202e}``.
"""

from __future__ import annotations

import re
import unicodedata

_UNSHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# CI systems carry out what they find in a log: `::warning::` at the start of a line, `##vso[…]` and `##[…]` anywhere.
_COMMAND = re.compile(r"^(?= *::)( *):|#(?=#(?:vso)?\[)", re.IGNORECASE)
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~$&]|^(?:[-+#=!]|[0-9]+[.)])")
_AUTOLINK = re.compile(r"@|#(?=\d)|\bGH(?=-\d)|\b(?:https?|ftp|mailto|xmpp)(?=:)|\bwww(?=\.)", re.IGNORECASE)


def printable(text: str, limit: int = 200) -> str:
    """One line without control, format or direction-changing characters, at most ``limit`` long."""
    shown = "".join(
        f"\\u{{{ord(c):x}}}" if unicodedata.category(c) in _UNSHOWN or (c.isspace() and c != " ") else c
        for c in text[: limit + 1]
    )
    shown = _COMMAND.sub(lambda found: f"{found[1] or ''}\\u{{{ord(found[0][-1]):x}}}", shown)
    return shown if len(shown) <= limit else shown[:limit] + "…"


def markdown(text: str, limit: int = 200) -> str:
    """Text that Markdown shows as it is: no markup, link, mention, HTML or table cell comes of it.

    GitHub looks for mentions and addresses after Markdown was read, so a backslash does not
    stop those; an invisible space does.
    """
    shown = _MARKDOWN.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", printable(text, limit).strip())
    return _AUTOLINK.sub(lambda found: f"{found[0]}&#8203;", shown)


def code(text: str, limit: int = 200) -> str:
    """An inline code span, also inside a table cell, that its content cannot leave."""
    return "`" + (printable(text, limit).replace("`", "'").replace("|", "¦") or " ") + "`"
