"""What a user would see of an operation, kept for a test."""

from __future__ import annotations


class Sink:
    """Lines that pass or stay, and warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def status(self, urn: str, text: str) -> None:
        self.lines.append(text)

    info = status

    def warn(self, urn: str, text: str) -> None:
        self.warnings.append(text)
