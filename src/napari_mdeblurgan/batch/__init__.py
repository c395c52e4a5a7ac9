"""Many images in, many out: resumable, in bounded memory, on this machine or on a dask.distributed
cluster.

`open_batch` finds the images, names the results and takes hold of the output folder; `Batch.steps`
does the work. `open_watch` does the same for folders into which images are still written.
"""

from napari_mdeblurgan.batch.batch_recipe import FORMATS
from napari_mdeblurgan.batch.inputs import Source, find_sources
from napari_mdeblurgan.batch.progress import BatchProgress, Failure, Success
from napari_mdeblurgan.batch.run import Batch, open_batch
from napari_mdeblurgan.batch.settings import BatchSettings
from napari_mdeblurgan.batch.watching import Watch, open_watch

__all__ = [
    "FORMATS",
    "Batch",
    "BatchProgress",
    "BatchSettings",
    "Failure",
    "Source",
    "Success",
    "Watch",
    "find_sources",
    "open_batch",
    "open_watch",
]
