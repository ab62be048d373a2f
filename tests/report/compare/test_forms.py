"""All forms of a comparison: they say the same, and no name or value can become anything but text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.gfm import Rendered
from tests.report.compare.made import DAY, ROOT, both, comparisons, eks, kubeadm, measurement
from tests.report.plan.graphs import HOSTILE
from tests.report.plan.test_markdown import without_code

from anytier.report.compare import html, markdown, terminal, words
from anytier.report.compare.model import Cell, Comparison
from anytier.report.compare.recommend import Needs, recommend
from anytier.report.compare.rows import compared
from anytier.report.text import width

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NEEDS = Needs(team=2, budget=300, compliance=("audit",), burst=2)
GOLDEN = Path(__file__).parent / "golden"


def named(text: str) -> set[str]:
    return set(text.split())


# What a page may be made of.
TAGS = named(
    "html head meta link title style body header main footer section article h1 h2 h3 p div span strong b a sup "
    "ul ol li table dl dt dd thead tbody tr th td details summary figure figcaption svg rect text i code"
)
ATTRIBUTES = named(
    "lang charset name content http-equiv rel href class id scope data-stack value x y width height viewbox role "
    "aria-label preserveaspectratio"
)
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Refuses what a page of ours is not made of; keeps its text and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        given = dict(attrs)
        assert set(given) <= ATTRIBUTES, given
        if tag == "meta" and given.get("http-equiv"):
            assert given["http-equiv"] == "Content-Security-Policy"
        if href := given.get("href"):
            assert href == "data:," or re.match(r"#|https?://", href), href
            self.links.append(href)
        if identifier := given.get("id"):
            self.ids.append(identifier)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    return page


@SLOW
@given(comparisons())
def test_a_page_is_made_of_nothing_but_its_own_parts(found: Comparison) -> None:
    text = html.as_html(found, recommend(found, NEEDS))
    page = parsed(text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    shown = "".join(page.text)
    assert words.title(found.columns[0]) in shown
    for source in found.sources:
        assert words.source(source) in shown


@SLOW
@given(comparisons())
def test_markdown_keeps_its_rows_and_columns(found: Comparison) -> None:
    text = markdown.as_markdown(found, recommend(found, NEEDS))
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert len(rows) == len(found.rows) + 2 * len(found.sections)
    for row in rows:
        assert len(re.split(r"(?<!\\)\|", row)) == len(found.columns) + 3, row
    for line in text.split("\n"):
        outside = re.sub(r"</?sup>|<https?://[^<>\s]*>|<[^<>\s]*>$", "", without_code(line.replace("\\|", "!")))
        assert not re.search(r"[<>\[\]`@]|javascript|www\.", outside), line


@SLOW
@given(comparisons())
def test_github_makes_nothing_of_what_is_not_ours(found: Comparison) -> None:
    shown = Rendered(markdown.as_markdown(found, recommend(found, NEEDS)))
    assert shown.elements <= named("h1 h2 p strong em code ul ol li sup a table thead tbody tr th td br")
    assert not shown.found_by_github and not shown.comments
    assert set(shown.links) <= {str(source.url) for source in found.sources}
    heads = {section.title for section in found.sections} | {"Recommended", "Sources"}
    assert set(shown.headings[1:]) <= heads and len(shown.headings) == len(found.sections) + 3


@SLOW
@given(comparisons())
def test_github_shows_each_cell_as_it_is(found: Comparison) -> None:
    shown = Rendered(markdown.as_markdown(found)).tables
    assert [[row.title for row in section.rows] for section in found.sections] == [
        [row[0] for row in table[1:]] for table in shown
    ]
    for section, table in zip(found.sections, shown, strict=True):
        for row, cells in zip(section.rows, table[1:], strict=True):
            assert [squeezed(text) for text in cells[1:]] == [squeezed(shown_of(found, cell)) for cell in row.cells]


def shown_of(found: Comparison, cell: Cell) -> str:
    """What a reader sees of it."""
    note = f" ({words.line(cell.note, 400)})" if cell.note else ""
    text = words.line(cell.text, 400) if cell.known else "unknown"
    return text + note + ", ".join(map(str, words.numbers(found, cell)))


def squeezed(text: str) -> str:
    """Without spaces, of which a browser shows some and not others; another sign stands for a `|` behind a backslash;
    and no longer than everything is shown."""
    return "".join(text.replace("\\|", "\\¦").split())[:300]


@SLOW
@given(comparisons())
def test_a_terminal_is_not_moved_and_not_overrun(found: Comparison) -> None:
    text = terminal.as_text(found, 100, recommend(found, NEEDS))
    assert all(line.isprintable() for line in text.split("\n"))
    tables = text.partition("\nSOURCES")[0].split("\n\n")[1:]
    heads = {section.title.upper() for section in found.sections}
    for block in tables:
        if any(block.startswith(head[:6]) for head in heads):
            assert all(width(line) <= 100 for line in block.split("\n"))


@given(HOSTILE)
def test_plain_text_is_plain_or_in_a_code_span(text: str) -> None:
    shown = markdown.plain(text)
    assert "\n" not in shown and not re.search(r"(?<!\\)\|", shown)
    assert not re.search(r"[<>\[\]*_#@!~|\\]", without_code(shown.replace("\\|", "!"))), shown


def test_a_pipe_behind_a_backslash_ends_no_cell() -> None:
    assert markdown.plain("a\\|b") == "`a\\¦b`" and markdown.plain("a|b") == "`a\\|b`"


def test_links_go_to_the_web_only() -> None:
    page = html.link("javascript:alert(1)", "here")
    assert page == "here"
    assert 'href="https://example.org/?a=1&amp;b=2"' in html.link("https://example.org/?a=1&b=2", "here")


def test_the_example_of_the_docs_has_every_row() -> None:
    page = (ROOT / "docs" / "compare-example.md").read_text(encoding="utf-8")
    shown = {line.split(" | ")[0].removeprefix("| ") for line in page.split("\n") if line.startswith("| ")}
    left_out = "tests/docs/test_shown.py makes the page anew"
    assert {markdown.plain(row.title) for row in both().rows.values()} <= shown, left_out
    for section in both().sections:
        assert f"## {section.title}\n" in page, left_out


def test_all_forms_say_the_same() -> None:
    found = both()
    advice = recommend(found, NEEDS)
    page = "".join(parsed(html.as_html(found, advice)).text)
    forms = (terminal.as_text(found, None, advice), markdown.as_markdown(found, advice), page)
    for said in ("at least $240.90", "$189.07 to $251.85", "12.5 s", "2026-11-28", "docs/kubeadm.md"):
        assert all(said in form for form in forms), said
    assert all(words.verdict(advice) in form for form in forms)


def test_a_stack_without_a_plan_is_told_in_all_forms() -> None:
    found = both()
    column = found.columns[1].model_copy(update={"errors": ("anytier:eks.version: is old -> give another",)})
    failed = found.model_copy(update={"columns": (found.columns[0], column)})
    page = "".join(parsed(html.as_html(failed)).text)
    for form in (terminal.as_text(failed), markdown.as_markdown(failed), page):
        assert "no plan could be made" in form and "anytier:eks.version: is old" in form


def test_a_chart_is_titled_as_its_row_is() -> None:
    found = compared([kubeadm(measurement=measurement(**{"platform.cpu": 3.0})), eks()], DAY)
    page = html.as_html(found)
    assert "CPU that the platform takes" in page and "Cpu" not in page


def test_a_chart_says_what_its_bars_do_not_have_and_which_are_emulated() -> None:
    slow = measurement("libvirt", create=71, deploy=48.3).model_copy(update={"versions": {"processor": "emulated"}})
    found = compared([kubeadm(measurement=slow, tier="libvirt"), eks(), eks(stack="local", tier="local")], DAY)
    drawn = html.as_html(found).partition("Machines and cluster are made")[2].partition("</figure>")[0]
    assert re.findall("<text[^>]*>([^<]*)", drawn) == [
        "kubeadm",
        "71 s *",
        "eks",
        "unknown",
        "local",
        "nothing to make",
    ]
    assert "* emulated processor" in drawn


def test_a_card_counts_all_machines() -> None:
    card = html.as_html(both()).partition("<h3>kubeadm")[2].partition("</article>")[0]
    assert "3 of yours" in card and "2 of yours" not in card


def test_the_page_loads_nothing() -> None:
    text = html.as_html(both(), recommend(both(), NEEDS))
    assert "<script" not in text and " src=" not in text and "url(" not in text and "@import" not in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize("name", ["comparison.md", "comparison.txt"])
def test_it_reads_as_it_did(name: str, request: pytest.FixtureRequest) -> None:
    found = both(machine_price=40.0)
    advice = recommend(found, NEEDS)
    made = markdown.as_markdown(found, advice) if name.endswith(".md") else terminal.as_text(found, 120, advice) + "\n"
    file = GOLDEN / name
    if request.config.getoption("--accept"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(made, encoding="utf-8")
    assert made == file.read_text(encoding="utf-8"), "look at what changed, then run with --accept"
