"""The group **Your microscope** of the dock widget: asked for once, kept between sessions, and
optional.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from magicgui.widgets import Container, FloatSpinBox
from qtpy.QtWidgets import QSizePolicy

from napari_mdeblurgan.storage.objective import LARGEST_NA, is_light
from napari_mdeblurgan.widgets.runs.known_optics import Microscope
from napari_mdeblurgan.widgets.shared.choices import read_choices, write_choices
from napari_mdeblurgan.widgets.shared.fold import Fold
from napari_mdeblurgan.widgets.shared.rows import LABEL_WIDTH, WIDER, in_a_row, name_of, read_aloud

TITLE = "Your microscope"
_TIP = (
    "Optional: the objective, the light and the camera that you work with. Where a file says "
    "nothing of its objective, Sharpness takes from here how sharp a result can be."
)
FIELDS = {  # name: label, tooltip, what stands before and after the number, largest, decimals, step
    "magnification": (
        "Objective",
        "Magnification of the objective, times that of a tube lens.",
        "× ",
        "",
        500,
        1,
        1,
    ),
    "numerical_aperture": (
        "",
        "Numerical aperture, as it is engraved on the objective.",
        "NA ",
        "",
        LARGEST_NA,
        2,
        0.05,
    ),
    "wavelength_nm": (
        "Light",
        "Wavelength of the light that is seen; green where not known.",
        "",
        " nm",
        2000,
        0,
        10,
    ),
    "camera_pixel_um": (
        "",
        "Edge of a pixel of the camera. Where a layer knows the size of its pixels, that counts.",
        "",
        " µm camera",
        100,
        2,
        0.05,
    ),
}
_UNKNOWN = "?"
_SHARES = 0, 3, 4  # of a row: its label, and the two fields by what they say at most
NARROWEST = 50  # pixels of a field, for which napari's style has more


class MicroscopeGroup:
    """The fields; `widget` is to be laid out.

    Parameters
    ----------
    on_change : callable
        Called without arguments when the user has said something else.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.microscope = read_choices(Microscope)
        if self.microscope.wavelength_um is None:  # which counts as not known
            self.microscope = replace(self.microscope, wavelength_nm="")
        self.boxes = {name: self._box(name) for name in FIELDS}
        rows = [
            self._row("magnification", "numerical_aperture"),
            self._row("wavelength_nm", "camera_pixel_um"),
        ]
        self._fold = Fold(rows, _TIP, open_=False, on_fold=self._tell)
        self.fold, self.details, self.widget = (
            self._fold.button,
            self._fold.details,
            self._fold.widget,
        )
        self._tell()

    def _box(self, name: str) -> FloatSpinBox:
        _, tip, before, after, largest, decimals, step = FIELDS[name]
        try:
            value = min(max(float(getattr(self.microscope, name)), 0), largest)
        except ValueError:
            value = 0.0
        box = FloatSpinBox(value=value, min=0, max=largest, step=step, tooltip=tip)
        box.native.setDecimals(decimals)
        box.native.setPrefix(before)
        box.native.setSuffix(after)
        box.native.setSpecialValueText(f"{before}{_UNKNOWN}{after}")
        box.native.setKeyboardTracking(False)
        policy = (
            box.native.sizePolicy()
        )  # or the first of a row would leave the second too little beside a scroll bar
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
        box.native.setSizePolicy(policy)
        box.native.setStyleSheet(f"min-width: {NARROWEST}px;")
        box.native.setButtonSymbols(box.native.ButtonSymbols.NoButtons)  # two fit into a row
        box.changed.connect(lambda said: self._on_box(name, said))
        return box

    def _row(self, *names: str) -> Container:
        label = name_of(FIELDS[names[0]][0], FIELDS[names[0]][1], LABEL_WIDTH + WIDER)
        row = in_a_row(label, *(self.boxes[name] for name in names), shares=_SHARES)
        for name in names:
            read_aloud(FIELDS[name][1], self.boxes[name].native)
        return row

    def _on_box(self, name: str, said: float) -> None:
        if name == "wavelength_nm" and said and not is_light(said / 1000):
            self.boxes[name].value = 0  # shown as not known, as which it counts
            return
        self.microscope = replace(self.microscope, **{name: f"{said:g}" if said else ""})
        write_choices(self.microscope)
        self._tell()
        self._on_change()

    def _tell(self) -> None:
        """Name the group, and what it says while it is folded."""
        said = [box.native.text() for box in self.boxes.values() if box.value]
        self._fold.tell(TITLE if self._fold.open or not said else f"{TITLE}: {', '.join(said)}")
