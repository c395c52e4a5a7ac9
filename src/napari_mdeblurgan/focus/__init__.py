"""Focus stacks: one image that is sharp everywhere, how high every place lies, and how sure that is."""

from __future__ import annotations

from napari_mdeblurgan.focus.stack import AllInFocus, all_in_focus, followed, most_detailed

__all__ = ["AllInFocus", "all_in_focus", "followed", "most_detailed"]
