"""OME-Zarr: read, written block by block, gone on with, and looked at while it is made."""
