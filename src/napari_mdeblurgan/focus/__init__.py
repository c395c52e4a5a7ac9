"""Focus stacks: one image that is sharp everywhere, how high every place lies, and how sure that
is.
"""

from __future__ import annotations

from napari_mdeblurgan.focus.further_axes import (
    ManyInFocus,
    many_followed_steps,
    many_in_focus_steps,
)
from napari_mdeblurgan.focus.stack import (
    AllInFocus,
    FocusChoice,
    all_in_focus,
    followed,
    most_detailed,
)

__all__ = [
    "AllInFocus",
    "FocusChoice",
    "ManyInFocus",
    "all_in_focus",
    "followed",
    "many_followed_steps",
    "many_in_focus_steps",
    "most_detailed",
]
