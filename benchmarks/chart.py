"""The figures as a picture: a bar each, long as its ratio by its target, with its spread. Plain SVG, no library."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.figures import Figure

__all__ = ["chart"]

WIDTH, ROW, LEFT, RIGHT, TOP = 860, 26, 240, 150, 46
MOST = 2.0
"""Times the target at which a bar ends; its number tells the rest."""
MET, MISSED, INK, QUIET = "#2f855a", "#c05621", "#1a202c", "#718096"


def chart(figures: Sequence[Figure], title: str) -> str:
    """An SVG document; the vertical line is the target of every bar."""
    height = TOP + ROW * len(figures) + 14
    target = LEFT + _length(1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="14" font-weight="600" fill="{INK}">{escape(title)}</text>',
        f'<text x="{target:.1f}" y="38" text-anchor="middle" fill="{QUIET}">target</text>',
        *(part for row, figure in enumerate(figures) for part in _bar(figure, TOP + ROW * row)),
        f'<line x1="{target:.1f}" y1="{TOP - 4}" x2="{target:.1f}" y2="{height - 10}" stroke="{INK}" '
        'stroke-dasharray="3 3"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(figure: Figure, y: float) -> list[str]:
    median, least, most = (_length(value / figure.target) for value in figure.ratio)
    colour, middle = (MET if figure.is_met else MISSED), y + 8
    label = f"{figure.ratio.median:.3g} of {figure.target:g}"
    return [
        f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end" fill="{INK}">{escape(figure.name)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{median:.1f}" height="16" rx="2" fill="{colour}"/>',
        f'<line x1="{LEFT + least:.1f}" y1="{middle}" x2="{LEFT + most:.1f}" y2="{middle}" stroke="{INK}"/>',
        f'<text x="{WIDTH - RIGHT + 10}" y="{y + 12}" fill="{INK}">{label}</text>',
    ]


def _length(times: float) -> float:
    return min(times, MOST) / MOST * (WIDTH - LEFT - RIGHT)
