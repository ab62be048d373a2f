"""The guestbook's page as a pure function: entries in, HTML out. Every text of a visitor goes through `escape`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any, NamedTuple

ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 10 10'><circle cx='5' cy='5' r='5' fill='%231f5f4a'/></svg>"
)


class Draft(NamedTuple):
    """What stands in the form, and what was wrong with it."""

    name: str = ""
    message: str = ""
    problem: str = ""


def render(book: Mapping[str, Any] | None, draft: Draft, served_by: Mapping[str, str], now: float) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Guestbook</title>
<link rel="icon" href="data:image/svg+xml,{ICON}">
<link rel="stylesheet" href="style.css">
</head>
<body>
<main>
<header>
  <p class="eyebrow">Running on anytier</p>
  <h1>Guestbook</h1>
  <p class="lead">You found your way here. Leave a line for whoever comes next.</p>
  {facts(served_by)}
</header>
{form(draft)}
{entries(book, now)}
</main>
<footer><p>Reload to meet another replica. Entries are shared: they live in the store, on its volume.</p></footer>
</body>
</html>
"""


def form(draft: Draft) -> str:
    problem = f'<p class="problem" role="alert">{escape(draft.problem)}</p>' if draft.problem else ""
    return f"""<form class="card" method="post" action="./" aria-label="Sign the guestbook">
  {problem}
  <label for="name">Your name</label>
  <input id="name" name="name" required maxlength="40" autocomplete="name" value="{escape(draft.name)}">
  <label for="message">Your message</label>
  <textarea id="message" name="message" required maxlength="280" rows="3">{escape(draft.message)}</textarea>
  <div class="row"><span class="hint">Up to 280 characters, kept on a volume.</span><button>Sign the book</button></div>
</form>"""


def entries(book: Mapping[str, Any] | None, now: float) -> str:
    if book is None:
        return ""
    if not book["entries"]:
        return '<p class="empty">The first page is still blank. Yours?</p>'
    cards = "\n".join(card(entry, now) for entry in book["entries"])
    total = book["total"]
    return f"""<section aria-labelledby="entries">
<h2 id="entries">{total} {"entry" if total == 1 else "entries"}</h2>
<ol class="entries">
{cards}
</ol>
</section>"""


def card(entry: Mapping[str, Any], now: float) -> str:
    name, message, at = str(entry["name"]), str(entry["message"]), str(entry["at"])
    tone = sum(name.encode()) % 6
    return f"""<li class="card entry">
  <span class="avatar tone-{tone}" aria-hidden="true">{escape(name[:1].upper())}</span>
  <div>
    <p class="who"><strong>{escape(name)}</strong> <time datetime="{escape(at)}">{ago(at, now)}</time></p>
    <p class="message">{escape(message)}</p>
  </div>
</li>"""


def ago(at: str, now: float) -> str:
    """`at` in ISO 8601, as a person says it."""
    seconds = max(0, int(now - datetime.fromisoformat(at).timestamp()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def facts(served_by: Mapping[str, str]) -> str:
    items = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in served_by.items())
    return f'<dl aria-label="Served by">{items}</dl>'
