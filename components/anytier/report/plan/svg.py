"""A plan as a picture: each resource a box behind those that it waits for, coloured by what makes it. Pure.

One file without scripts or links, light or dark as its reader's system is. A label is given its width, so that it stays
in its box whatever font there is; what does not fit is cut, and whole in the box's tooltip.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from anytier.report.plan import words
from anytier.report.plan.graph import Graph, Node
from anytier.report.plan.layout import Box, Layout, Line, place
from anytier.report.text import width

_NAMESPACE = "http://www.w3.org/2000/svg"
_NAME, _KIND = 7.25, 6.05  # a column's width at 12 and 10 pixels, of a monospaced font
_LONGEST = 34  # columns of a label
_HEIGHT, _PADDING, _MARGIN, _HEAD = 42.0, 12.0, 24.0, 76.0
# Family -> its hue. What a type belongs to: our modules, Kubernetes, the clouds.
_FAMILIES: dict[str, tuple[str, int]] = {
    "machines": ("machines and what is on them", 210),
    "docker": ("Docker", 190),
    "cluster": ("cluster", 265),
    "kubernetes": ("Kubernetes", 225),
    "secrets": ("secrets and keys", 340),
    "aws": ("AWS", 32),
    "gcp": ("Google Cloud", 145),
    "azure-native": ("Azure", 205),
    "providers": ("providers", 60),
    "other": ("other", 0),
}
_MODULES = {
    "docker": "docker",
    "host": "machines",
    "libvirt": "machines",
    "kubeadm": "cluster",
    "kubernetes": "kubernetes",
    "index": "secrets",
}


def picture(graph: Graph) -> str:
    """The whole file."""
    nodes = {node.key: node for node in graph.resources if not node.component}
    layout = place({key: _size(node) for key, node in nodes.items()}, graph.direct)
    families = [family for family in _FAMILIES if any(family_of(node) == family for node in nodes.values())]
    legend = sum(_legend_width(family) for family in families)
    title = words.head_of(graph)
    whole = max(layout.width, legend, width(title) * 9.0) + 2 * _MARGIN
    tall = layout.height + _HEAD + _MARGIN
    root = ET.Element(
        "svg",
        {
            "xmlns": _NAMESPACE,
            "viewBox": f"0 0 {whole:.0f} {tall:.0f}",
            "width": f"{whole:.0f}",
            "height": f"{tall:.0f}",
            "role": "img",
            "aria-label": title,
        },
    )
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "style").text = _style(families)
    ET.SubElement(root, "rect", {"class": "ground", "width": "100%", "height": "100%"})
    _text(root, "head", _MARGIN, _MARGIN + 10, title)
    _legend(root, families)
    plot = ET.SubElement(root, "g", {"transform": f"translate({_MARGIN:.0f} {_HEAD:.0f})"})
    _draw(plot, nodes, layout)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True) + "\n"


def families() -> dict[str, str]:
    """Every family that `family_of` knows, as people say it."""
    return {name: said for name, (said, _) in _FAMILIES.items()}


def family_of(node: Node) -> str:
    if node.type.startswith("pulumi:providers:"):
        return "providers"
    if node.type == "anytier:index:Identity":
        return "other"  # whose deployment it is: no secret
    if node.package == "anytier":
        return _MODULES.get(node.type.split(":")[1], "other")
    return node.package if node.package in _FAMILIES else "other"


def labels(node: Node) -> tuple[str, str]:
    """The two lines in a box."""
    return words.name(node.name, _LONGEST), words.name(node.kind, _LONGEST + 6)


def _size(node: Node) -> tuple[float, float]:
    name, kind = labels(node)
    return max(width(name) * _NAME, width(kind) * _KIND) + 2 * _PADDING, _HEIGHT


def _draw(plot: ET.Element, nodes: dict[str, Node], layout: Layout) -> None:
    below = ET.SubElement(plot, "g", {"class": "lines"})
    for line in layout.lines:
        ET.SubElement(below, "path", {"d": _curve(line)})
    for key, box in layout.boxes.items():
        _box(plot, nodes[key], box)


def _box(plot: ET.Element, node: Node, box: Box) -> None:
    group = ET.SubElement(plot, "g", {"class": f"box {family_of(node)}"})
    whole = f"{words.name(node.kind)}\n{words.name(node.name)}"
    ET.SubElement(group, "title").text = whole
    ET.SubElement(
        group,
        "rect",
        {
            "x": _number(box.x),
            "y": _number(box.y),
            "width": _number(box.width),
            "height": _number(box.height),
            "rx": "7",
        },
    )
    name, kind = labels(node)
    _text(group, "name", box.x + _PADDING, box.y + 18, name, width(name) * _NAME)
    _text(group, "kind", box.x + _PADDING, box.y + 33, kind, width(kind) * _KIND)


def _text(parent: ET.Element, kind: str, x: float, y: float, text: str, length: float | None = None) -> None:
    how = {"class": kind, "x": _number(x), "y": _number(y)}
    if length is not None:
        how |= {"textLength": _number(length), "lengthAdjust": "spacingAndGlyphs"}
    ET.SubElement(parent, "text", how).text = text


def _curve(line: Line) -> str:
    """Level through the layers between, and bent between two of them."""
    (x, y), *rest = line.points
    steps = [f"M{_number(x)} {_number(y)}"]
    for index, (to_x, to_y) in enumerate(rest):
        if index % 2 == 1:  # through a layer
            steps.append(f"H{_number(to_x)}")
        else:
            half = (x + to_x) / 2
            steps.append(
                f"C{_number(half)} {_number(y)} {_number(half)} {_number(to_y)} {_number(to_x)} {_number(to_y)}"
            )
        x, y = to_x, to_y
    return "".join(steps)


def _legend(root: ET.Element, families: Iterable[str]) -> None:
    x = _MARGIN
    for family in families:
        group = ET.SubElement(root, "g", {"class": f"box {family}"})
        mark = {"x": _number(x), "y": _number(_MARGIN + 22), "width": "12", "height": "12", "rx": "3"}
        ET.SubElement(group, "rect", mark)
        said = _FAMILIES[family][0]
        _text(group, "kind", x + 18, _MARGIN + 32, said, width(said) * _KIND)
        x += _legend_width(family)


def _legend_width(family: str) -> float:
    return width(_FAMILIES[family][0]) * _KIND + 42


def _style(families: Iterable[str]) -> str:
    light, dark = [], []
    for family in families:
        hue = _FAMILIES[family][1]
        tint = 0 if family == "other" else 1
        light.append(f".{family} rect{{fill:hsl({hue} {70 * tint}% 95%);stroke:hsl({hue} {55 * tint}% 52%)}}")
        dark.append(f".{family} rect{{fill:hsl({hue} {32 * tint}% 17%);stroke:hsl({hue} {45 * tint}% 55%)}}")
    return (
        "text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1b1f24}"
        ".head{font:600 15px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
        ".name{font-size:12px}.kind{font-size:10px;fill:#57606a}"
        ".ground{fill:#fff}.lines path{fill:none;stroke:#8c959f;stroke-width:1.2;stroke-opacity:.6}"
        f"{''.join(light)}"
        "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.kind{fill:#9da7b3}"
        f".ground{{fill:#0d1117}}.lines path{{stroke:#7d8590}}{''.join(dark)}}}"
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
