"""The commands that documents show in their `console` blocks, read as a shell does, and a clone to run them in."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```console\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`((?:\.venv/bin/)?anytier [a-z][^`\n]*)`")
_GIVEN = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A command of a page, its lines joined as they stand, and what it is shown to print."""

    page: str
    line: str
    output: str

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"

    @property
    def words(self) -> list[list[str]]:
        """The words of each program of it, without variables before them, redirections and comments."""
        return list(_programs(self.line))


def shown(page: Path) -> Iterator[Shown]:
    for found in _BLOCK.finditer(page.read_text()):
        lines = textwrap.dedent(found[2]).splitlines()
        while lines:
            line = lines.pop(0)
            if not line.startswith("$ "):
                continue
            line = line.removeprefix("$ ")
            while not _whole(line) and lines:
                line += "\n" + lines.pop(0)
            output: list[str] = []
            while lines and not lines[0].startswith("$ "):
                output.append(lines.pop(0))
            yield Shown(page.name, line, "\n".join(output).strip("\n"))


def all_shown() -> list[Shown]:
    return [item for page in PAGES for item in shown(page)]


def spans(page: Path) -> list[list[str]]:
    """The words of what stands in a sentence as `anytier VERB ...`; it may be a part of a command."""
    prose = re.sub(r"^( *)```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [words for text in _SPAN.findall(prose) for words in [_lenient(text)]]


def _lenient(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _whole(line: str) -> bool:
    if line.endswith("\\"):
        return False
    try:
        list(_lexer(line))
    except ValueError:  # a quote that is still open
        return False
    return True


def _lexer(line: str) -> shlex.shlex:
    found = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=True)
    found.whitespace_split = True
    return found


def _programs(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    tokens = [*_lexer(line), ";"]
    while tokens:
        token = tokens.pop(0)
        if set(token) <= set("<>") and tokens:
            tokens.pop(0)
        elif set(token) <= set("|&;()"):
            while words and _GIVEN.fullmatch(words[0]):
                words.pop(0)
            if words:
                yield words
            words = []
        else:
            words.append(token)


def copy_clone(folder: Path) -> None:
    """What git keeps of this clone, as it lies here now."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def agrees(shown: str, printed: str) -> bool:
    """Whether a shown output is what was printed, where lines of three dots stand for any lines, also none."""
    pieces = re.split(r"^\.\.\.$\n?", shown + "\n", flags=re.MULTILINE)
    pattern = "(?:.*\n)*?".join(re.escape(piece) for piece in pieces)
    if shown.endswith("\n...") or shown == "...":
        pattern += "(?:.*\n)*"
    return re.fullmatch(pattern, printed.strip("\n") + "\n") is not None
