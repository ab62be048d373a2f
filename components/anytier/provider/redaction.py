"""Secrets out of messages: whole, and in the pieces in which a program that quotes one would print it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

HIDDEN = "[secret]"
FROM = 4  # characters: shorter secrets would blot out innocent words of a message
LINE_FROM = 12  # ... and so would shorter lines of one that has several


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that hides these texts in a message, the longest first."""
    hidden = sorted({piece for text in secrets for piece in pieces(text)}, key=lambda item: (-len(item), item))

    def hide(message: str) -> str:
        for text in hidden:
            message = message.replace(text, HIDDEN)
        return message

    return hide


def pieces(secret: str) -> Iterator[str]:
    """Itself, without the space around it (who reads a file often drops its last line break), and each line of a key or
    of a file, but for such as tell only what it is (the `-----BEGIN` of a key)."""
    bare = secret.strip()
    yield from (text for text in (secret, bare) if len(bare) >= FROM)
    lines = bare.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= LINE_FROM and not line.startswith("-----"))
