"""The dock widget **Fine-tune**: from pairs of a user's own microscope to a model for it."""

from napari_mdeblurgan.widgets.fine_tune.widget import FineTuneWidget

__all__ = ["FineTuneWidget"]
