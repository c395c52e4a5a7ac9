"""TIFF in all its dialects: plain, OME, ImageJ, Micro-Manager and those of scanners."""
