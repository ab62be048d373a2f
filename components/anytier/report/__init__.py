"""Tables and reports for people and for machines: terminal, Markdown, JSON."""
