"""Places boxes in layers from left to right, each behind what it needs, so that no two overlap. Pure geometry.

In four steps: a box's layer is the longest way to it; a line over several layers has a place in each of them (lines of
one source share it); the order within a layer follows the neighbours' (barycentres); and each box is as near to the
middle of its neighbours as the order allows, which is an isotonic regression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

GAP = 14.0  # between two boxes of a layer
LANE = 6.0  # what a passing line takes
BETWEEN = 52.0  # two layers
_SWEEPS = 8


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Line:
    """From one box to another by way of points, in pairs: where it enters a layer between, and where it leaves it."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    boxes: Mapping[str, Box] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class _Slot:
    """A box in its layer, or the place of a source's lines in one that they pass."""

    key: str
    layer: int
    passing: bool = False


def place(sizes: Mapping[str, tuple[float, float]], needs: Mapping[str, Sequence[str]]) -> Layout:
    """`sizes`: width and height of each box. `needs`: for a box those before it; they come earlier in `sizes`."""
    if not sizes:
        return Layout()
    layer_of = _layers(list(sizes), needs)
    ways = {(source, key): _way(source, key, layer_of) for key in sizes for source in needs.get(key, ())}
    layers = _ordered(layer_of, ways)
    tops = _heights(layers, ways, sizes)
    widths = [max((sizes[slot.key][0] for slot in layer if not slot.passing), default=0.0) for layer in layers]
    lefts = [sum(widths[:index]) + BETWEEN * index for index in range(len(widths))]
    boxes = {key: Box(lefts[layer_of[key]], tops[_Slot(key, layer_of[key])], *sizes[key]) for key in sizes}
    lines = tuple(_line(way, boxes, tops, lefts, widths) for way in ways.values())
    bottom = max([box.y + box.height for box in boxes.values()] + [y for line in lines for _, y in line.points])
    return Layout(boxes, lines, lefts[-1] + widths[-1], bottom)


def _layers(keys: Sequence[str], needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The longest way to each; one that needs nothing stands right before the first that needs it."""
    found: dict[str, int] = {}
    for key in keys:
        found[key] = max((found[other] + 1 for other in needs.get(key, ())), default=0)
    first: dict[str, int] = {}
    for key in keys:
        for other in needs.get(key, ()):
            first[other] = min(first.get(other, found[key]), found[key])
    return {key: first[key] - 1 if not needs.get(key) and key in first else layer for key, layer in found.items()}


def _way(source: str, target: str, layer_of: Mapping[str, int]) -> tuple[_Slot, ...]:
    begin, end = layer_of[source], layer_of[target]
    passed = (_Slot(source, layer, passing=True) for layer in range(begin + 1, end))
    return (_Slot(source, begin), *passed, _Slot(target, end))


def _ordered(layer_of: Mapping[str, int], ways: Mapping[tuple[str, str], tuple[_Slot, ...]]) -> list[list[_Slot]]:
    """Each layer's slots from top to bottom. First as they come, then swept left and right a few times."""
    layers: list[list[_Slot]] = [[] for _ in range(max(layer_of.values()) + 1)]
    slots = dict.fromkeys([*(_Slot(key, layer) for key, layer in layer_of.items()), *_all(ways)])
    for slot in slots:
        layers[slot.layer].append(slot)
    left, right = _neighbours(ways)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        near = left if forward else right
        for layer in layers if forward else reversed(layers):
            rank = {slot: index for each in layers for index, slot in enumerate(each)}
            mean = {slot: _mean([rank[other] for other in near.get(slot, ())], rank[slot]) for slot in layer}
            layer.sort(key=lambda slot, mean=mean: mean[slot])  # type: ignore[misc]
    return layers


def _heights(
    layers: Sequence[Sequence[_Slot]],
    ways: Mapping[tuple[str, str], tuple[_Slot, ...]],
    sizes: Mapping[str, tuple[float, float]],
) -> dict[_Slot, float]:
    """Each slot's upper edge; the highest is at 0."""
    tall = {slot: LANE if slot.passing else sizes[slot.key][1] for layer in layers for slot in layer}
    left, right = _neighbours(ways)
    middle: dict[_Slot, float] = {}
    for layer in layers:
        top = 0.0
        for slot in layer:
            middle[slot] = top + tall[slot] / 2
            top += tall[slot] + GAP
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = []
            for slot in layer:
                near = [middle[other] for other in (*left.get(slot, ()), *right.get(slot, ()))]
                wanted.append(_mean(near, middle[slot]))
            apart = [(tall[a] + tall[b]) / 2 + GAP for a, b in pairwise(layer)]
            middle.update(zip(layer, _spaced(wanted, apart), strict=True))
    highest = min(middle[slot] - tall[slot] / 2 for slot in middle)
    return {slot: middle[slot] - tall[slot] / 2 - highest for slot in middle}


def _spaced(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """The values nearest to `wanted` (least squares) of which each is at least `apart` above the one before."""
    shift = [sum(apart[:index]) for index in range(len(wanted))]
    blocks: list[tuple[float, int]] = []  # mean, how many
    for value, moved in zip(wanted, shift, strict=True):
        blocks.append((value - moved, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n)]
    flat = [mean for mean, number in blocks for _ in range(number)]
    return [value + moved for value, moved in zip(flat, shift, strict=True)]


def _line(
    way: tuple[_Slot, ...],
    boxes: Mapping[str, Box],
    tops: Mapping[_Slot, float],
    lefts: Sequence[float],
    widths: Sequence[float],
) -> Line:
    source, target = boxes[way[0].key], boxes[way[-1].key]
    points = [(source.x + source.width, source.middle)]
    for slot in way[1:-1]:
        y = tops[slot] + LANE / 2
        points += [(lefts[slot.layer], y), (lefts[slot.layer] + widths[slot.layer], y)]
    return Line(way[0].key, way[-1].key, (*points, (target.x, target.middle)))


def _all(ways: Mapping[tuple[str, str], tuple[_Slot, ...]]) -> Iterator[_Slot]:
    for way in ways.values():
        yield from way


def _neighbours(
    ways: Mapping[tuple[str, str], tuple[_Slot, ...]],
) -> tuple[dict[_Slot, list[_Slot]], dict[_Slot, list[_Slot]]]:
    left: dict[_Slot, dict[_Slot, None]] = {}
    right: dict[_Slot, dict[_Slot, None]] = {}
    for way in ways.values():
        for a, b in pairwise(way):
            right.setdefault(a, {})[b] = None
            left.setdefault(b, {})[a] = None
    return {slot: list(near) for slot, near in left.items()}, {slot: list(near) for slot, near in right.items()}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else float(otherwise)
