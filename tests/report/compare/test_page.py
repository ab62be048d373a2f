"""The page in a real browser: light and dark, wide and on a phone, on paper, and nothing loaded from elsewhere.

With `ANYTIER_PICTURES=FOLDER` its pictures are kept, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.browser import NAMES, Browser, browser, program
from tests.report.compare.made import DAY, eks, kubeadm, measurement

from anytier.report.compare.html import as_html
from anytier.report.compare.recommend import Needs, recommend
from anytier.report.compare.rows import compared

FOUND = program()
pytestmark = pytest.mark.skipif(FOUND is None, reason=f"no browser here: none of {', '.join(NAMES)}")

HOSTILE = "<img src=https://example.org/x.png><script>document.title='taken'</script>"
CONTRAST = """
(() => {
  const rgb = text => (text.match(/[0-9.]+/g) || []).map(Number);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const found = rgb(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const light = found => found.slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  let worst = 21;
  for (const node of document.querySelectorAll('h1,h2,h3,dt,dd,p,th,td div,li,summary,figcaption,.note,a')) {
    if (!node.getClientRects().length || !node.textContent.trim()) continue;
    const [one, other] = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    worst = Math.min(worst, (one + 0.05) / (other + 0.05));
  }
  return worst;
})()
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    measured = kubeadm(measurement=measurement(deploy=12.5, noop=1.2))
    failed = eks(stack=HOSTILE, graph=None, errors=(HOSTILE,))
    found = compared([measured, eks(), eks(stack="auto", mode="auto"), failed], DAY, 40)
    file = tmp_path_factory.mktemp("page") / "compare.html"
    file.write_text(as_html(found, recommend(found, Needs(team=2, budget=300, burst=2))), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert FOUND is not None
    with browser(FOUND, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def kept(chromium: Browser, name: str) -> None:
    if folder := os.environ.get("ANYTIER_PICTURES"):
        chromium.picture(Path(folder) / f"{name}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 640)])
def test_it_reads_at_any_width_in_both_themes(
    chromium: Browser, page: Path, theme: Literal["light", "dark"], width: int, height: int
) -> None:
    chromium.open(page, width, height, theme)
    kept(chromium, f"{width}-{theme}")
    assert chromium.js("document.documentElement.scrollWidth") <= width
    over = """[...document.querySelectorAll('td, tbody th, figure, li, article, dd')].filter(part =>
      part.clientWidth > 1 && part.scrollWidth > part.clientWidth + 1 &&
      getComputedStyle(part).display !== 'inline').length"""
    assert chromium.js(over) == 0
    assert chromium.js("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    assert chromium.js(CONTRAST) >= 4.5
    dark = chromium.js("getComputedStyle(document.body).backgroundColor")
    level = sum(map(int, re.findall(r"\d+", dark)[:3])) / 3
    assert level < 60 if theme == "dark" else level > 200


def test_a_row_is_a_card_on_a_phone_and_names_its_stacks(chromium: Browser, page: Path) -> None:
    chromium.open(page, 390, 844)
    first = "document.querySelector('#sla td')"
    assert chromium.js(f"getComputedStyle({first}).display") == "grid"
    assert chromium.js(f"getComputedStyle({first}, '::before').content") == '"kubeadm"'
    chromium.open(page, 1280, 900)
    assert chromium.js(f"getComputedStyle({first}).display") == "table-cell"
    assert chromium.js(f"getComputedStyle({first}, '::before').content") == "none"


def test_charts_are_drawn_inside_of_their_boxes(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280, 900)
    assert chromium.js("document.querySelectorAll('figure svg rect').length") >= 8
    outside = """[...document.querySelectorAll('figure')].filter(box =>
      [...box.querySelectorAll('rect, text')].some(part => {
      const [a, b] = [part.getBoundingClientRect(), box.getBoundingClientRect()];
      return a.left < b.left - 1 || a.right > b.right + 1 || a.bottom > b.bottom + 1;
    })).map(box => box.textContent)"""
    assert chromium.js(outside) == []


def test_it_loads_nothing_and_runs_nothing(chromium: Browser, page: Path) -> None:
    chromium.errors.clear()
    chromium.open(page, 1280, 900)
    assert [url for url in chromium.requests if not url.startswith("data:")] == [page.resolve().as_uri()]
    assert chromium.js("document.title") == "guestbook: where to run it"
    assert chromium.js("document.scripts.length + document.images.length") == 0
    assert chromium.js("document.body.textContent.includes('<script>')") is True
    assert chromium.errors == []


def test_a_small_number_leads_to_its_source(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280, 900)
    lost = (
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(a.hash.slice(1))).length"
    )
    assert chromium.js(lost) == 0
    assert chromium.js("document.querySelector('#cost\\\\.total td:nth-of-type(2) sup a').hash").startswith("#source-")


def test_it_prints_in_black_on_white_and_whole(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1000, 900, "dark")
    chromium.media("dark", "print")
    assert chromium.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.js("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    paper = chromium.pdf()
    assert paper.startswith(b"%PDF-") and 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 12
