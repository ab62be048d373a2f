"""Markdown as GitHub shows it: rendered by GitHub's own renderer, and taken apart for tests to look at.

Mentions and references are no Markdown: GitHub makes them afterwards, of text that is no code (`found_by_github`).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

# As in a comment; that raw HTML is let through is the hardest case, since GitHub keeps much of it.
_OPTIONS = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES | Options.CMARK_OPT_HARDBREAKS
_REFERENCES = re.compile(
    r"(?<!\w)@\w"  # somebody is told
    r"|\#\d|\bGH-\d"  # an issue
    r"|\b[0-9a-f]{7,40}\b"  # a commit
    r"|:[a-z0-9_+-]+:"  # an emoji
    r"|\$[^$]+\$",  # a formula
    re.IGNORECASE,
)
_VOID = {"br", "hr", "img", "input"}


def html_of(text: str) -> str:
    made: str = cmarkgfm.github_flavored_markdown_to_html(text, _OPTIONS)
    return made


class Rendered(HTMLParser):
    """`elements`: each that there is, as `tag attribute=value`; `loose`: all text that is neither code nor a link's;
    `links`: where they lead; `tables`: the text of their rows' cells; `headings`: theirs, code in backticks.
    AssertionError for elements that do not stand in each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.loose: list[str] = []
        self.links: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self.comments: list[str] = []
        self._open: list[str] = []
        self.feed(html_of(text))
        self.close()
        assert not self._open, self._open

    @property
    def found_by_github(self) -> list[str]:
        return [found[0] for text in self.loose for found in _REFERENCES.finditer(text)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(" ".join([tag, *(f"{name}={value or ''}" for name, value in attrs if name != "href")]))
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        assert tag in _VOID, tag

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, tag

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        code = "code" in self._open
        if not code and "a" not in self._open:
            self.loose.append(data)
        if {"th", "td"} & set(self._open):
            self.tables[-1][-1][-1] += data
        if self._open and re.fullmatch("h[1-6]", self._open[0]):
            self.headings[-1] += f"`{data}`" if code else data
