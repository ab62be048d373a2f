#!/usr/bin/env python3
"""What the pipeline says on GitHub: one comment on a pull request, one issue on drift, and whether a change may go on.

Standard library only. The token is in GITHUB_TOKEN, and goes nowhere but to the server in GITHUB_API_URL. What is
posted was written by `anytier preview`, which lets nothing of a stranger's leave its code span; nothing is added here.

    usage: github.py comment --file FILE                   post it on the pull request, or update what was posted
           github.py verdict --save FILE --fail-on GRADE   end with 1 if the change is as grave and no label allows it
           github.py issue --file FILE --title TITLE       open the issue, or update it; --close: all is well again

Exit codes: 0 done; 1 refused, or the server would not; 2 the command line, a file or the environment is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMENT_MARK, DRIFT_MARK = "<!-- anytier preview -->", "<!-- anytier drift -->"
MOST = 65_536  # characters of a body
# From harmless to grave, as `anytier preview` has them; `failed` is graver than all, and no label allows it.
GRADES = ("safe", "unknown", "disruptive", "replaces", "data-loss")
ALLOW, ALLOW_POLICY = "anytier:allow-", "anytier:allow-policy"
AUTHOR = "github-actions[bot]"  # who GITHUB_TOKEN is
TRIES, LONGEST = 4, 30.0  # of one request; seconds
PAGES = 50  # of a hundred entries each


class Wrong(Exception):
    """`code` is the exit code; the text has a path, what is wrong and what to do."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token would go with it."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Api:
    """The part of GitHub's REST API that is needed, for one repository."""

    def __init__(self, url: str, repository: str, token: str, pause: float = 1.0) -> None:
        self.base = f"{url.rstrip('/')}/repos/{repository}"
        self.token, self.pause = token, pause
        self.opener = urllib.request.build_opener(Straight)

    @classmethod
    def here(cls) -> Api:
        repository, token = needed("GITHUB_REPOSITORY"), needed("GITHUB_TOKEN")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", repository):
            raise Wrong(2, "GITHUB_REPOSITORY: is no OWNER/NAME -> a workflow has it")
        pause = float(os.environ.get("ANYTIER_RETRY_SECONDS", "1"))
        return cls(os.environ.get("GITHUB_API_URL") or "https://api.github.com", repository, token, pause)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; None where it has none. Tries again what a server or a limit refuses for the moment."""
        for left in reversed(range(TRIES)):
            try:
                return self._once(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code == 404 and method == "DELETE":
                    return None  # somebody was faster
                passing = error.code in (429, 500, 502, 503, 504) or "retry-after" in error.headers
                if not left or not passing:
                    raise Wrong(1, self._said(method, path, error)) from None
                time.sleep(min(_seconds(error.headers.get("retry-after"), self.pause), LONGEST))
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                # Whether a POST came through is not known: a second one could say everything twice.
                if not left or method == "POST":
                    what = getattr(error, "reason", error)
                    raise Wrong(1, f"{method} {path}: no answer ({what}) -> run the job again") from None
                time.sleep(self.pause)
        raise AssertionError("not reached")

    def all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page by page."""
        for page in range(1, PAGES + 1):
            asked = urllib.parse.urlencode({**query, "per_page": "100", "page": str(page)})
            found = self.call("GET", f"{path}?{asked}")
            yield from (item for item in found if isinstance(item, dict))
            if len(found) < 100:
                return

    def _once(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "anytier",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        with self.opener.open(request, timeout=LONGEST) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def _said(self, method: str, path: str, error: urllib.error.HTTPError) -> str:
        """What the server says of it, and never the token."""
        try:
            what = str(json.loads(error.read(10_000)).get("message"))
        except (ValueError, AttributeError, OSError):
            what = str(error.reason)
        do = {
            401: "GITHUB_TOKEN must be the job's token",
            403: "give the job the permission: pull-requests: write for comments, issues: write for issues",
            404: "is it there, and may the job's token see it?",
        }.get(error.code, "run the job again")
        return f"{method} {path}: {error.code} {' '.join(what.split())[:300]} -> {do}"


def _seconds(text: str | None, usual: float) -> float:
    try:
        return float(text) if text else usual
    except ValueError:  # a date
        return usual


def needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Wrong(2, f"{name}: is not set -> a workflow's step sets it: env: {{{name}: ...}}")
    return value


def event() -> dict[str, Any]:
    """What set the workflow off, as GitHub wrote it into a file."""
    try:
        found = json.loads(Path(needed("GITHUB_EVENT_PATH")).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise Wrong(2, "GITHUB_EVENT_PATH: cannot be read -> a workflow has it") from None
    return found if isinstance(found, dict) else {}


def number() -> int:
    found = (event().get("pull_request") or {}).get("number")
    if not isinstance(found, int):
        raise Wrong(2, "GITHUB_EVENT_PATH: is about no pull request -> run this for pull requests only")
    return found


def head_sha() -> str:
    """The pull request's newest commit, as the event has it."""
    found = ((event().get("pull_request") or {}).get("head") or {}).get("sha")
    if not isinstance(found, str) or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", found):
        raise Wrong(2, "GITHUB_EVENT_PATH: names no commit of a pull request -> run this for pull requests only")
    return found


def body_of(file: str, mark: str) -> str:
    """The text for GitHub, with `mark` as its first line in place of the one that it has."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise Wrong(2, f"--file: {file} cannot be read -> `anytier preview --markdown` writes it") from None
    first, _, rest = text.partition("\n")
    if first != COMMENT_MARK:
        raise Wrong(2, f"--file: {file} does not begin with {COMMENT_MARK} -> `anytier preview --markdown` writes it")
    return within_limit(f"{mark}\n{rest}", file)


def within_limit(text: str, file: str) -> str:
    if len(text) > MOST:
        raise Wrong(2, f"--file: {file} has more than {MOST} characters -> `anytier preview --markdown` cuts it")
    return text


def ours(item: dict[str, Any], mark: str, author: str) -> bool:
    """Anybody can write a comment with our mark in it: only one of our own is updated."""
    by = (item.get("user") or {}).get("login")
    return by == author and str(item.get("body") or "").split("\n", 1)[0].strip() == mark


def comment(api: Api, args: argparse.Namespace) -> int:
    """Posted or updated. Where what is posted is of another commit than before, the labels go that allowed it: what
    somebody allowed was what they had seen. They go first, so that a job which is stopped in between leaves none."""
    head = f"<!-- head {head_sha()} -->"
    mark, rest = body_of(args.file, COMMENT_MARK).split("\n", 1)
    text, pull = within_limit(f"{mark}\n{head}\n{rest}", args.file), number()
    found = [item for item in api.all(f"/issues/{pull}/comments") if ours(item, COMMENT_MARK, args.author)]
    if not found or head not in str(found[0]["body"]).split("\n")[:2]:
        for name in sorted(allowing(api, pull)):
            api.call("DELETE", f"/issues/{pull}/labels/{urllib.parse.quote(name, safe='')}")
            print(f"took label {name} away: nobody has seen yet what these commits do")
    if found:
        api.call("PATCH", f"/issues/comments/{int(found[0]['id'])}", {"body": text})
        print(f"updated comment {int(found[0]['id'])} of pull request {pull}")
    else:
        made = api.call("POST", f"/issues/{pull}/comments", {"body": text})
        print(f"posted comment {int(made['id'])} on pull request {pull}")
    return 0


def issue(api: Api, args: argparse.Namespace) -> int:
    """One open issue at most, found by its mark. `--close`: says that all is well, if there is one."""
    asked = {"state": "open", "labels": args.label, "creator": args.author}
    found = [item for item in api.all("/issues", **asked) if ours(item, DRIFT_MARK, args.author)]
    if args.close:
        for item in found:
            api.call("PATCH", f"/issues/{int(item['number'])}", {"state": "closed", "state_reason": "completed"})
            print(f"closed issue {int(item['number'])}: nothing differs any more")
        return 0
    text = body_of(args.file, DRIFT_MARK)
    if found:
        if found[0].get("body") != text:
            api.call("PATCH", f"/issues/{int(found[0]['number'])}", {"title": args.title, "body": text})
        print(f"updated issue {int(found[0]['number'])}")
    else:
        made = api.call("POST", "/issues", {"title": args.title, "body": text, "labels": [args.label]})
        print(f"opened issue {int(made['number'])}")
    return 0


def verdict(api: Api, args: argparse.Namespace) -> int:
    """Labels count as they are now, not as they were when the workflow began."""
    stacks, pull = saved(args.save), number()
    refusals = list(refused(stacks, args.fail_on, args.fail_on_policy, allowing(api, pull)))
    for text in refusals:
        print(text, file=sys.stderr)
    print(f"{len(stacks)} stacks: {'refused' if refusals else 'nothing that is refused'}")
    return 1 if refusals else 0


def allowing(api: Api, pull: int) -> set[str]:
    """The pull request's labels that allow something."""
    names = (str(item.get("name")) for item in api.all(f"/issues/{pull}/labels"))
    return {name for name in names if name.startswith(ALLOW)}


def refused(stacks: list[dict[str, Any]], limit: str, policy: bool, given: set[str]) -> Iterator[str]:
    """A line for each reason."""
    for item in stacks:
        name, grade = plain(str(item["stack"])), str(item["grade"])
        if grade == "failed":
            yield f"stack {name}: has no preview -> mend what the comment says; no label allows this"
        elif not allowed(grade, limit, given):
            yield f"stack {name}: {grade} -> if that is meant, a maintainer sets the label {ALLOW}{grade}"
        if policy and item["refused"] and ALLOW_POLICY not in given:
            do = f"mend it, waive it in the stack's config, or set the label {ALLOW_POLICY}"
            yield f"stack {name}: breaks a rule of the policy pack that it did not break before -> {do}"


def allowed(grade: str, limit: str, given: set[str]) -> bool:
    """Less grave than the limit, or there is a label for it, or for what is graver."""
    if grade not in GRADES or limit not in GRADES or GRADES.index(grade) < GRADES.index(limit):
        return True
    return any(f"{ALLOW}{known}" in given for known in GRADES[GRADES.index(grade) :])


def plain(name: str) -> str:
    """A stack's name is a file's, so anybody's: in a job's log no part of it must be a command of the workflow."""
    return re.sub(r"[^A-Za-z0-9._-]", "?", name)[:100]


def saved(file: str) -> list[dict[str, Any]]:
    do = "`anytier preview --save FILE` writes it"
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Wrong(2, f"--save: {file} cannot be read -> {do}") from None
    known = {"failed", "none", *GRADES}
    whole = isinstance(found, list) and all(
        isinstance(item, dict)
        and item.get("grade") in known
        and isinstance(item.get("refused"), bool)
        and "stack" in item
        for item in found
    )
    if not whole or not found:
        raise Wrong(2, f"--save: {file} holds no preview -> {do}")
    return list(found)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="github.py", description="What the pipeline says on GitHub.")
    verbs = made.add_subparsers(dest="verb", required=True)
    on_pull = verbs.add_parser("comment", help="post the comment of a pull request, or update it")
    on_pull.add_argument("--file", required=True, help="what `anytier preview --markdown` wrote")
    judge = verbs.add_parser("verdict", help="whether the change may go on")
    judge.add_argument("--save", required=True, metavar="FILE", help="what `anytier preview --save` wrote")
    judge.add_argument("--fail-on", default="data-loss", choices=(*GRADES, "never"), help="refuse what is as grave")
    judge.add_argument("--fail-on-policy", action="store_true", help="refuse new findings that are more than advice")
    drift = verbs.add_parser("issue", help="open or update the issue about drift")
    drift.add_argument("--file", help="what `anytier preview --markdown` wrote")
    drift.add_argument("--title", default="What runs is not what the repository says")
    drift.add_argument("--label", default="anytier-drift")
    drift.add_argument("--close", action="store_true", help="close it: nothing differs any more")
    for verb in (on_pull, drift):
        verb.add_argument("--author", default=AUTHOR, help=f"who the token is (default {AUTHOR})")
    return made


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    try:
        if args.verb == "issue" and bool(args.file) == args.close:
            raise Wrong(2, "issue: needs --file or --close -> give one of them")
        verb = {"comment": comment, "verdict": verdict, "issue": issue}[args.verb]
        return verb(Api.here(), args)
    except Wrong as error:
        print(f"github.py: {error}", file=sys.stderr)
        return error.code
    except (KeyError, TypeError, ValueError) as error:
        print(
            f"github.py: the server's answer has another form than is known ({type(error).__name__})", file=sys.stderr
        )
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
