"""Many images in, many out: resumable, in bounded memory, on this machine or on a dask.distributed cluster.

`open_batch` finds the images, names the results and takes hold of the output folder; `Batch.steps` does the work.
"""

from napari_mdeblurgan.batch.inputs import Source, find_sources
from napari_mdeblurgan.batch.progress import BatchProgress, Failure, Success
from napari_mdeblurgan.batch.recipe import FORMATS
from napari_mdeblurgan.batch.run import Batch, BatchSettings, open_batch

__all__ = [
    "FORMATS",
    "Batch",
    "BatchProgress",
    "BatchSettings",
    "Failure",
    "Source",
    "Success",
    "find_sources",
    "open_batch",
]
