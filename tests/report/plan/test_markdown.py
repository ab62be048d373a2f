"""Markdown that lies cannot be written: whatever a name or a value is, it stands in a code span on a line of ours."""

from __future__ import annotations

import re

from hypothesis import given
from tests.gfm import Rendered
from tests.report.plan.graphs import FEW, HOSTILE, graph, graphs, node

from anytier.report.plan import markdown, words
from anytier.report.plan.diff import compare
from anytier.report.plan.graph import Graph

# Every line there is, with code spans taken out: none of it is anybody's but ours.
LINE = re.compile(
    r"|".join(
        (
            r"",
            r"(🟢|⚪|🟡|🟠|🔴|✅) \*\*§\*\*: [a-z0-9, ()]+",
            r"\*\*§\*\*: \d+ resources? of \d+ kinds?",
            r"<details( open)?><summary>((🟢|⚪|🟡|🟠|🔴) [a-z ]+: \d+ changes?|all resources)</summary>",
            r"</details>",
            r"- \d+ × §",
            r"- \*\*(add|change|replace|remove)\*\* § §(: [A-Za-z,;' ]+)?",
            r"  - §: § → §( \((makes|may make) it anew\))?",
            r"  - and \d+ more inputs?",
            r"  - read by §(, §)*",
            r"- § §(, after §(, §)*)?",
            r"- and more: it would be too long",
            r"\d+ changes? left out here: it would be too long.",
        )
    )
)


# What GitHub may make of it.
ELEMENTS = {"p", "strong", "code", "ul", "ol", "li", "br", "details", "details open=", "summary"}


def without_code(line: str) -> str:
    """By CommonMark's rule: a run of backticks opens, and the next run of the same length closes."""
    out, at = "", 0
    while (start := line.find("`", at)) >= 0:
        fence = re.compile("`+").match(line, start)
        assert fence is not None
        close = re.search(rf"(?<!`){fence[0]}(?!`)", line[fence.end() :])
        assert close is not None, "a code span that does not end"
        out += line[at:start] + "§"
        at = fence.end() + close.end()
    return out + line[at:]


def content(span: str) -> str:
    """What a reader sees of a code span."""
    fence = re.match("`+", span)
    assert fence is not None and without_code(span) == "§"
    inner = span[fence.end() : -fence.end()]
    padded = inner.startswith(" ") and inner.endswith(" ") and inner.strip(" ")
    return inner[1:-1] if padded else inner


def is_ours(text: str) -> None:
    for line in text.split("\n"):
        assert LINE.fullmatch(without_code(line)), line


def looks_like_ours(text: str) -> None:
    """As GitHub would show it."""
    found = Rendered(text)
    assert found.elements <= ELEMENTS
    assert not found.found_by_github and not found.comments


@given(HOSTILE)
def test_a_code_span_shows_what_it_was_given(text: str) -> None:
    span = markdown.code(text)
    assert "\n" not in span and span.isprintable()
    assert content(span) == words.name(text, 400)


@FEW
@given(graphs(), graphs())
def test_no_name_and_no_value_leaves_its_code_span(one: Graph, other: Graph) -> None:
    is_ours(markdown.changes(compare(one, other), words.Names(other)))
    is_ours(markdown.tree(other))


@FEW
@given(graphs(), graphs())
def test_github_makes_nothing_of_a_name_or_a_value(one: Graph, other: Graph) -> None:
    looks_like_ours(markdown.changes(compare(one, other), words.Names(other)))
    looks_like_ours(markdown.tree(other))


def test_a_stacks_name_with_a_colon_is_whole_in_its_code_span() -> None:
    text = markdown.tree(graph(stack="a: @everyone"))
    assert text.startswith("**`a: @everyone`**: 0 resources of 0 kinds\n")


def test_a_long_diff_is_cut_and_says_so() -> None:
    many = graph(*(node("anytier:docker:Volume", f"v{number}", {"name": "n"}) for number in range(200)))
    text = markdown.changes(compare(many, graph()), words.Names(many), most=3000)
    assert len(text) <= 3000
    shown, left = text.count("**remove**"), re.search(r"(\d+) changes left out here", text)
    assert left and shown + int(left[1]) == 200 and shown > 10
    assert text.count("<details") == text.count("</details>")
    is_ours(text)
    whole = markdown.tree(many, most=3000)
    assert len(whole) <= 3000 and "and more" in whole


def test_the_gravest_stands_first_and_open() -> None:
    base = graph(node("anytier:docker:Volume", "data", {"name": "a"}))
    head = graph(node("anytier:docker:Volume", "data", {"name": "b"}), node("anytier:docker:Network", "net"))
    assert markdown.changes(compare(base, head), words.Names(head)) == (
        "🔴 **`dev`**: 1 to add, 1 to replace (1 data loss, 1 safe)\n\n"
        "<details open><summary>🔴 data loss: 1 change</summary>\n\n"
        "- **replace** `docker:Volume` `data`: the data in the volume goes\n"
        '  - `name`: `"a"` → `"b"` (makes it anew)\n\n'
        "</details>\n\n"
        "<details><summary>🟢 safe: 1 change</summary>\n\n"
        "- **add** `docker:Network` `net`\n\n"
        "</details>\n"
    )


def test_nothing_to_do_is_one_line() -> None:
    same = graph(node("anytier:docker:Network", "net"))
    assert markdown.changes(compare(same, same), words.Names(same)) == "✅ **`dev`**: no changes\n"
