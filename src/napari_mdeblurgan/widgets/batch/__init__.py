"""The dock widget **Batch**: many images in, many out, in the background of the viewer."""
