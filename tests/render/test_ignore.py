from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import Rejected
from anytier.render.ignore import judge, parse, translate


def ignored(text: str, path: str) -> bool:
    """Asked as a walk asks: for each folder above first."""
    rules, matched, out = parse(text, ".dockerignore"), [], False
    parts = path.split("/")
    for count in range(len(parts)):
        out, matched = judge("/".join(parts[: count + 1]), rules, matched)
    return out


# What Docker's own matcher (github.com/moby/patternmatcher 0.6) answers.
@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"]),
        ("/a", ["a", "a/b"], ["b/a"]),
        ("a/", ["a", "a/b"], ["ab"]),
        ("./a//b/../c", ["a/c", "a/c/d"], ["a", "a/b"]),
        ("*", ["a", "a/b", ".git"], []),
        ("*.py", ["x.py", ".py", "x.py/y"], ["a/x.py", "x.pyc"]),
        ("*/*.py", ["a/x.py"], ["x.py", "a/b/x.py"]),
        ("**/*.py", ["x.py", "a/x.py", "a/b/x.py"], ["x.pyc"]),
        ("**/foo", ["foo", "a/foo", "a/b/foo/c"], ["xfoo", "a/xfoo"]),
        ("**foo", ["foo", "xfoo", "a/xfoo"], ["foox"]),
        ("**foo*", ["foo", "foox", "a/foo"], ["xfoo"]),
        ("**", ["a", "a/b"], []),
        ("a/**", ["a/b", "a/b/c"], ["a", "b"]),
        ("a**", ["a", "ab", "a/b"], ["b"]),
        ("a**b", ["ab", "ax/b", "a/b"], ["axb"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb"]),
        ("a?c", ["abc", "a.c"], ["ac", "a/c"]),
        ("[ab]c", ["ac", "bc"], ["cc"]),
        ("[^ab]c", ["cc"], ["ac"]),
        ("[!a]c", ["!c", "ac"], ["bc"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-"]),
        (r"[\]]", ["]"], ["[", "\\"]),
        (r"\*", ["*"], ["a"]),
        (r"a\ b", ["a b"], ["a\\ b"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b){c}$|^", ["a+(b){c}$|^"], ["a"]),
        ("é*", ["é", "éa"], ["e"]),
        ("../a", [], ["a"]),
        (".", [], ["a"]),
        ("", [], ["a"]),
        ("# a", [], ["a", "# a"]),
        (" #a", ["#a"], ["a"]),
        ("  a  ", ["a"], [" a"]),
        ("a\r\nb\r\n", ["a", "b"], []),
        ("a\u2028b", ["a\u2028b"], ["a", "b"]),
        ("\ufeffa", ["a"], []),
        ("*\n!a", ["b", "b/a"], ["a", "a/b"]),
        ("a\n!a/b", ["a", "a/c"], ["a/b", "a/b/c"]),
        ("a\n!a/b\na/b/c", ["a/b/c"], ["a/b"]),
        ("!a\na", ["a"], []),
        ("d\n!d/x\nd", ["d", "d/y"], ["d/x"]),
        ("*\n!**/*.py", ["a", "a/x.txt"], ["x.py", "a/x.py"]),
        ("a\n! a", [], ["a"]),
    ],
)
def test_a_path_is_ignored_as_docker_does(text: str, inside: list[str], outside: list[str]) -> None:
    assert [path for path in inside if not ignored(text, path)] == []
    assert [path for path in outside if ignored(text, path)] == []


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a\n[", 2, "not closed"),
        ("[]", 1, "stands alone"),
        ("[a-]", 1, "stands alone"),
        ("[b-a]", 1, "goes backwards"),
        ("a\n\nb\\", 3, "backslash at the end"),
        ("!", 1, "takes nothing back"),
        ("!  ", 1, "takes nothing back"),
        ("!/", 1, "takes nothing back"),
    ],
)
def test_what_docker_would_not_take_is_named_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse(text, "web/.dockerignore")
    assert caught.value.path == f"web/.dockerignore, line {line}"
    assert what in caught.value.what


names = st.lists(st.text("ab.*?[]\\^-é $+(", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join)


@given(names)
def test_an_escaped_path_matches_itself_and_what_is_below(path: str) -> None:
    escaped = "".join(f"\\{sign}" if sign in "*?[]\\^" else sign for sign in path)
    clean = "/".join(part for part in path.split("/") if part not in ("", "."))
    if not clean or ".." in path.split("/") or path != path.strip() or path != clean:
        return
    assert ignored(escaped, clean)
    assert ignored(escaped, f"{clean}/x")
    assert not ignored(escaped, f"{clean}x")


@given(st.text("ab*?[]^-\\/!# .\n", max_size=20), names)
def test_any_text_is_rules_or_is_refused(text: str, path: str) -> None:
    try:
        ignored(text, path)
    except Rejected as error:
        assert error.do


@given(st.text("ab*?/.", min_size=1, max_size=10), st.text("ab/.", min_size=1, max_size=10))
def test_a_star_is_no_slash(pattern: str, path: str) -> None:
    """The same number of slashes, unless `**` spans folders."""
    import re

    if "**" not in pattern and re.fullmatch(translate(pattern), path):
        assert pattern.count("/") == path.count("/")
