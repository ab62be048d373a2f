"""The examples that pages show are what the tool says now: a comparison, a comment, and the pictures of both.

    make test-clouds ARGS="--accept tests/docs/test_shown.py"

makes them anew, and wants a headless Chromium for the pictures.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from tests import picture
from tests.browser import Browser, browser, program
from tests.docs import example
from tests.docs.runs import parsed
from tests.gfm import html_of
from tests.standins.installed import needs_sdks

from anytier.cli import compare
from anytier.report.compare import html, markdown
from anytier.report.compare.recommend import recommend
from anytier.report.compare.rows import compared

DOCS = Path(__file__).parents[2] / "docs"
COMPARISON = DOCS / "compare-example.md"
COMMENT = DOCS / "ci" / "comment-example.md"
# Picture -> the page that it is of.
PICTURES = {
    **{f"compare-{name}.png": COMPARISON for name in ("light", "dark", "phone")},
    "preview-comment.png": COMMENT,
}
SIZES: dict[str, tuple[Literal["light", "dark"], int, int]] = {
    "light": ("light", 1280, 1400),
    "dark": ("dark", 1280, 1400),
    "phone": ("light", 390, 1100),
}
STALE = f"run: {__doc__.splitlines()[2].strip()}"


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--accept"))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    found = program()
    assert found is not None, "the text is made anew, but no picture: there is no headless Chromium here"
    with browser(found, folder) as opened:
        yield opened


@needs_sdks
def test_the_comparison_is_what_the_tool_says_now(
    accept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of the day that it names: prices have dates."""
    monkeypatch.chdir(DOCS.parent)
    said = COMPARISON.read_text(encoding="utf-8")
    (day,) = re.findall(r"^Made on (\S+)\.$", said, re.MULTILINE)
    args = parsed(["compare", "--recommend", "--team", "2", "--burst", "3"])
    needs = compare.wanted(args)
    assert needs is not None
    today = datetime.date.today() if accept else datetime.date.fromisoformat(day)
    found = compared(compare.subjects_of(args), today)
    advice = recommend(found, needs)
    now = markdown.as_markdown(found, advice).rstrip("\n") + "\n"
    if accept:
        COMPARISON.write_text(now, encoding="utf-8")
        page = tmp_path / "compare.html"
        page.write_text(html.as_html(found, advice), encoding="utf-8")
        with chromium(tmp_path / "browser") as opened:
            for name, (theme, *size) in SIZES.items():
                picture.take(opened, page, DOCS / "images" / f"compare-{name}.png", now, (size[0], size[1]), theme)
    else:
        assert now == said, STALE


def test_the_comment_is_what_the_pipeline_writes_now(accept: bool, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    now = example.comment(tmp_path / "shop")
    if accept:
        COMMENT.write_text(now, encoding="utf-8")
        page = tmp_path / "comment.html"
        page.write_text(example.as_github_shows(html_of(now)), encoding="utf-8")
        with chromium(tmp_path / "browser") as opened:
            picture.take(opened, page, DOCS / "images" / "preview-comment.png", now, (900, 600), whole=True)
    assert now == COMMENT.read_text(encoding="utf-8"), STALE


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_of_what_its_page_says(name: str, accept: bool) -> None:
    if accept:
        pytest.skip("they are being made")
    said = PICTURES[name].read_text(encoding="utf-8")
    assert picture.mark_of((DOCS / "images" / name).read_bytes()) == picture.digest(said), STALE


def test_a_picture_without_a_mark_is_of_nothing() -> None:
    png = (DOCS / "images" / "guestbook.png").read_bytes()
    assert picture.mark_of(png) is None
    assert picture.mark_of(picture.marked(png, "abc")) == "abc"
