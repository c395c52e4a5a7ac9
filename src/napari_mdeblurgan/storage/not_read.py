"""What to do with files of kinds that are not read, by their endings."""

from __future__ import annotations

_EXPORT = (
    "open it in the program of the microscope, or in Fiji (Bio-Formats), and save it as OME-TIFF, "
    "which keeps its pixel sizes"
)
_ARRAY = (
    "write what it holds as TIFF in Python, as `write_image` or `tifffile.imwrite` does, with its "
    "pixel size"
)
_UNPACK = "unpack it first, and name what was in it"
_REMEDIES = {
    ".vsi .ets .ims .sld .zvi .flex .xlef .mrxs .bif .sif .mvd2 .ics .ids .msr .obf .dm3 .dm4 .mrc "
    ".rec .dcm .nrrd .fli .lei .ipw .c01 .vms .i2i": _EXPORT,
    ".nd": "name one of the .stk or .tif files beside it, which it describes",
    ".npy .npz .h5 .hdf5 .hdf .mat .n5 .nii .nii.gz .fits": _ARRAY,
    ".zip .ozx .7z .rar .tar .gz .tgz .bz2 .xz": _UNPACK,
}
_OTHERS = "save it as .tif or .png"


def remedy(name: str) -> str:
    """What to do with a file of this name, which is not read, as the end of a sentence."""
    name = name.lower()
    for endings, what in _REMEDIES.items():
        if name.endswith(tuple(endings.split())):
            return what
    return _OTHERS
