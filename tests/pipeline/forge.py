"""GitHub's REST API for comments, labels and issues, as far as the pipeline uses it, on a port of this machine.

It refuses what the real one refuses: no token, a token without the permission, a body that is too long, what is not
there. Faults are asked for by `fail`: the next answers, each a status and headers.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REPOSITORY = "example/project"
BOT = "github-actions[bot]"
Answer = tuple[int, Any]


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (status, {"message": message})


@dataclass
class Forge:
    """`tokens`: what each may do. `log`: method and path of each request, and who asked."""

    url: str = ""
    tokens: dict[str, Mapping[str, str]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    fail: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    redirected: list[str] = field(default_factory=list)
    _number: int = 100

    def token(self, permissions: Mapping[str, str]) -> str:
        """A new one, which may do this and no more."""
        made = f"ghs-token-{len(self.tokens)}"
        self.tokens[made] = dict(permissions)
        return made

    def next(self) -> int:
        self._number += 1
        return self._number

    # the routes

    def answer(self, method: str, target: str, token: str, body: Any) -> Answer:
        path, _, query = target.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        self.log.append(f"{method} {path}")
        try:
            if token not in self.tokens:
                raise Refused(401, "Bad credentials")
            for pattern, verbs in ROUTES.items():
                found = re.fullmatch(f"/repos/{REPOSITORY}{pattern}", urllib.parse.unquote(path))
                if found and method in verbs:
                    name, route = verbs[method]
                    self._may(token, name)
                    return route(self, found.groups(), asked, body)
            raise Refused(404, "Not Found")
        except Refused as refused:
            return refused.answer

    def _may(self, token: str, permission: str) -> None:
        """`issues:write`; what is written on a pull request may be done with `pull-requests: write`, too."""
        if not any(_covers(self.tokens[token], item) for item in permission.split("|")):
            raise Refused(403, "Resource not accessible by integration")


def _covers(given: Mapping[str, str], asked: str) -> bool:
    name, _, level = asked.partition(":")
    return given.get(name) in (("write",) if level == "write" else ("read", "write"))


def _page(items: list[dict[str, Any]], asked: Mapping[str, str]) -> Answer:
    size, page = min(int(asked.get("per_page", "30")), 100), int(asked.get("page", "1"))
    return 200, items[(page - 1) * size : page * size]


def _text(body: Any) -> str:
    text = body.get("body") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text or len(text) > 65_536:
        raise Refused(422, "Validation Failed: body is too long (maximum is 65536 characters)")
    return text


def _list_comments(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    return _page([item for item in forge.comments if item["issue"] == int(groups[0])], asked)


def _add_comment(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    made = {"id": forge.next(), "issue": int(groups[0]), "user": {"login": BOT}, "body": _text(body)}
    forge.comments.append(made)
    return 201, made


def _change_comment(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    found = next((item for item in forge.comments if item["id"] == int(groups[0])), None)
    if found is None:
        raise Refused(404, "Not Found")
    if found["user"]["login"] != BOT:
        raise Refused(403, "Resource not accessible by integration")
    found["body"] = _text(body)
    return 200, found


def _list_labels(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    return _page([{"name": name} for name in forge.labels], asked)


def _drop_label(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    if groups[1] not in forge.labels:
        raise Refused(404, "Label does not exist")
    forge.labels.remove(groups[1])
    return 200, []


def _list_issues(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    found = [
        item
        for item in forge.issues
        if item["state"] == asked.get("state", "open")
        and asked.get("labels", "") in ("", *(label["name"] for label in item["labels"]))
        and asked.get("creator") in (None, item["user"]["login"])
    ]
    return _page(found, asked)


def _add_issue(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    labels = [{"name": name} for name in body.get("labels", [])]
    made = {"number": forge.next(), "state": "open", "user": {"login": BOT}, "labels": labels}
    forge.issues.append({**made, "title": body["title"], "body": _text(body)})
    return 201, forge.issues[-1]


def _change_issue(forge: Forge, groups: Any, asked: Any, body: Any) -> Answer:
    found = next((item for item in forge.issues if item["number"] == int(groups[0])), None)
    if found is None:
        raise Refused(404, "Not Found")
    found.update({key: value for key, value in body.items() if key in ("title", "body", "state", "state_reason")})
    return 200, found


Route = Callable[[Forge, Any, Any, Any], Answer]
ROUTES: Mapping[str, Mapping[str, tuple[str, Route]]] = {
    r"/issues/(\d+)/comments": {
        "GET": ("issues:read|pull-requests:read", _list_comments),
        "POST": ("issues:write|pull-requests:write", _add_comment),
    },
    r"/issues/comments/(\d+)": {"PATCH": ("issues:write|pull-requests:write", _change_comment)},
    r"/issues/(\d+)/labels": {"GET": ("issues:read|pull-requests:read", _list_labels)},
    r"/issues/(\d+)/labels/(.+)": {"DELETE": ("issues:write|pull-requests:write", _drop_label)},
    r"/issues": {"GET": ("issues:read", _list_issues), "POST": ("issues:write", _add_issue)},
    r"/issues/(\d+)": {"PATCH": ("issues:write", _change_issue)},
}


@contextmanager
def serving() -> Iterator[Forge]:
    forge = Forge()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "null")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            if self.path.startswith("/elsewhere"):
                forge.redirected.append(token)
            headers: dict[str, str] = {}
            if forge.fail:
                status, headers = forge.fail.pop(0)
                forge.log.append(f"{self.command} failed {status}")
                answer: Any = {"message": "as the test asked"}
            else:
                status, answer = forge.answer(self.command, self.path, token, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _any

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    forge.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
