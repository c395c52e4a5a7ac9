"""Numbers for people: no more figures than count, and no powers of ten where they can be read
without.
"""

from __future__ import annotations

_MOST = 1e6  # from here on a number is shorter with a power of ten


def short(value: float, figures: int = 2) -> str:
    """A number with so many figures that count, and all of those before the point."""
    whole = 10 ** (figures - 1) <= abs(value) < _MOST
    return f"{value:.0f}" if whole else f"{value:.{figures}g}"
