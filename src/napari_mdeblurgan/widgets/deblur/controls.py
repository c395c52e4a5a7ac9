"""The parts of the dock widget: what they are called, what their tooltips say and how they lie. No
behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, Container, Label, ProgressBar, PushButton, Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QSizePolicy

from napari_mdeblurgan.widgets.runs.trust import ENSEMBLE_TIP, REPORT_TIP, TRUST_TIP
from napari_mdeblurgan.widgets.shared.offered_models import OUTPUT_TIP, SAME_PIXELS
from napari_mdeblurgan.widgets.shared.plain import literal, plain
from napari_mdeblurgan.widgets.shared.rows import (
    LABEL_WIDTH,
    PROGRESS_STEPS,
    SMALLEST_WIDTH,
    WIDER,
    in_a_row,
    let_shrink,
    name_of,
    named,
    pass_focus,
    read_aloud,
    wrap,
)
from napari_mdeblurgan.widgets.shared.sizes import AsHigh, AsWide, Lines
from napari_mdeblurgan.widgets.shared.wording import on_bar

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.widgets.shared.choices import Choices

COMPARE_KEY = "Alt-B"
COMPARE_WAYS = BLINK, CURTAIN, SIDE_BY_SIDE = "Blink", "Curtain", "Side by side"
COMPARE_TIP = (
    "Look at before and after, of all channels of a run. "
    f"{COMPARE_KEY.replace('-', '+')} always blinks."
)
PROFILE_TIP = (
    "Plot before and after along a line, with the error bar as a band: along the selected line of "
    "a Shapes layer, or a new one whose ends can be dragged."
)
COMPARE_BY_TIP = (
    "Blink: switch between before and after. Curtain: a line to drag over the image, before on "
    "its left, after on its right. Side by side: two views that move together. When it ends, all "
    "is shown as it was."
)
THIS_SLICE = "This slice only"
HALVE_TIP = (
    "Average the image over blocks of 2 × 2 pixels before it is restored; a ×2 model then gives "
    "back the image's own pixels. Better where the image is blurred over more than two of its "
    "pixels."
)
AVERAGE_TIP = (
    "Average the image over blocks of {0} × {0} pixels before it is restored: then the model knows "
    "its blur, or more of it. A ×2 model gives back fewer pixels than the image has."
)
AS_MODEL = "model"  # as many pixels in the result as the model makes
IMAGE_TIP = "The image layer to sharpen. It follows the layer that you select in the layer list."
SAVE_TIP = (
    "Save the result as OME-TIFF or OME-Zarr, with its pixel size, unit, names, colours, and how "
    "it was made and how far it can be trusted; the channels of a run together. Its maps are "
    "saved with it."
)
HEADLINE_TIP = (
    "How far the result can be trusted, in one line: "
    "✓ no doubt was found, ! one was, ✗ two were. Details tells all that was found."
)
MAPS_TIP = (
    "Show or hide the maps of this result: where its error is large, where it contradicts the "
    "image, where the image is out of focus, and where the network was guessing. A map is made a "
    "layer above the result when it is first shown."
)
WHICH_MAP_TIP = "Which map is shown."
TIME_TIP = (
    "How long Deblur + SR will take, by what earlier runs with this model and these "
    "choices took on this computer."
)
BUTTON_HEIGHT = 26
_STATUS_LINES = 2  # that most of what is said takes
ALL_OF_IT = 100  # of the height, beside the empty space that napari puts below a dock widget


@dataclass(frozen=True, slots=True)
class Controls:
    """The widgets that the user sees, in their order from top to bottom."""

    image: ComboBox
    model: ComboBox
    about: Label
    device: ComboBox
    output: ComboBox
    halve: CheckBox
    this_slice: CheckBox
    trust: CheckBox
    ensemble: CheckBox
    preview: PushButton
    run: PushButton
    time: Label
    progress: ProgressBar
    cancel: PushButton
    working: Container
    under_way: Container
    compare: PushButton
    compare_by: ComboBox
    profile: PushButton
    save: PushButton
    report: PushButton
    maps: CheckBox
    which_map: ComboBox
    maps_row: Container
    legend: Label
    details: Label
    headline: Label
    halve_again: PushButton
    strong_again: PushButton
    status: Label


Entries = Callable[[Any], list[tuple[str, Any]]]


def show_choices(controls: Controls, last: Choices) -> None:
    """Begin with what was chosen the last time."""
    controls.trust.value = last.trust != "no"
    controls.ensemble.value = last.ensemble == "yes"
    controls.halve.value = last.halve == "yes"
    if last.output in controls.output.choices:
        controls.output.value = last.output


def show_scale(controls: Controls, scale: int) -> None:
    """Let the choice of the result's pixels say how many times those of the image the chosen model
    makes.
    """
    box, entries = controls.output, _output_entries(scale)
    if box.native.itemText(0) != entries[0][0]:
        value = box.value
        with box.changed.blocked():
            box.choices = []  # or a new name would come after the old ones
            box.choices = entries
            box.value = value


def _output_entries(scale: int) -> list[tuple[str, str]]:
    return [(f"×{scale}", AS_MODEL), (SAME_PIXELS, SAME_PIXELS)]


def chosen_output_scale(value: str | None, card: ModelCard | None = None) -> int | None:
    """The same choice as `make_plan` takes it; `card` is that of the model whose factor the
    drop-down shows.
    """
    if value == SAME_PIXELS:
        return 1
    return card.scale if card is not None and card.output_scale is not None else None


def make_controls(images: Entries, models: Entries, devices: Entries) -> Controls:
    """Make the widgets, unconnected; each drop-down asks its function for its entries as (words,
    value).
    """
    progress = ProgressBar(
        value=0,
        min=0,
        max=PROGRESS_STEPS,
        tooltip="How far the work is, and how long it will last.",
    )
    cancel = PushButton(
        text="Cancel",
        tooltip="Stop within a second or two; what is on disk is kept.",
    )
    time, working = Label(value="", tooltip=TIME_TIP), in_a_row(progress, cancel)
    maps = CheckBox(text="Trust maps", value=False, tooltip=MAPS_TIP)
    which_map = ComboBox(choices=[], tooltip=WHICH_MAP_TIP)
    read_aloud("Which map", which_map.native)
    controls = Controls(
        image=ComboBox(
            label="Image",
            choices=images,
            tooltip=IMAGE_TIP,
        ),
        model=ComboBox(
            label="Model",
            choices=models,
            tooltip="The trained network. One for colour or one for grey images is picked by the "
            "layer.",
        ),
        about=Label(value=""),
        device=ComboBox(
            label="Device",
            choices=devices,
            tooltip="Where the network runs. Automatic takes a graphics card if there is one, "
            "else the CPU.",
        ),
        output=ComboBox(label="Output", choices=_output_entries(2), tooltip=OUTPUT_TIP),
        halve=CheckBox(text="Halve first", value=False, tooltip=HALVE_TIP),
        this_slice=CheckBox(
            text=THIS_SLICE,
            value=False,
            tooltip="Restore only the plane that the viewer shows now, not every plane of the "
            "stack.",
        ),
        trust=CheckBox(text="Trust", value=True, tooltip=TRUST_TIP),
        ensemble=CheckBox(text="Average of 8 (8 × slower)", value=False, tooltip=ENSEMBLE_TIP),
        preview=PushButton(
            text="Preview",
            tooltip="Restore only what the canvas shows now, to see in seconds what the model "
            "does.",
        ),
        run=PushButton(
            text="Deblur + SR",
            tooltip="Restore the whole image and put the sharp one, of the pixels in Output, as a "
            "new layer on top of it.",
        ),
        time=time,
        progress=progress,
        cancel=cancel,
        working=working,
        under_way=_one_place(time, working),
        compare=PushButton(text="Show", tooltip=COMPARE_TIP),
        compare_by=ComboBox(choices=COMPARE_WAYS, value=BLINK, tooltip=COMPARE_BY_TIP),
        profile=PushButton(text="Line profile", tooltip=PROFILE_TIP),
        save=PushButton(text="Save result…", tooltip=SAVE_TIP, enabled=False),
        report=PushButton(text="Save report…", tooltip=REPORT_TIP),
        maps=maps,
        which_map=which_map,
        maps_row=in_a_row(maps, which_map, shares=(0, 1)),
        legend=Label(value="", tooltip="What the colours of the layer [estimate used] stand for."),
        details=Label(value=""),
        headline=Label(value="", tooltip=HEADLINE_TIP, visible=False),
        halve_again=PushButton(visible=False),
        strong_again=PushButton(text="Run again for strong blur", visible=False),
        status=Label(value=""),
    )
    for label in (
        controls.about,
        controls.time,
        controls.legend,
        controls.headline,
        controls.details,
        controls.status,
    ):
        wrap(label)
    for label in (controls.about, controls.details, controls.status):
        plain(label.native)
    for box in (controls.image, controls.model, controls.device):
        let_shrink(box.native)
    for button in (
        controls.compare,
        controls.profile,
        controls.save,
        controls.report,
    ):  # fixed shares of a row, whatever the first says
        policy = button.native.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
        button.native.setSizePolicy(policy)
    for button in (
        controls.compare,
        controls.profile,
        controls.save,
        controls.report,
    ):  # napari makes those that are enabled lower
        button.min_height = BUTTON_HEIGHT
    controls.status.native.installEventFilter(Lines(controls.status.native, _STATUS_LINES))
    controls.status.native.setAlignment(Qt.AlignmentFlag.AlignTop)
    controls.progress.native.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return controls


def laid_out(controls: Controls, *more: Widget, sharpness: Widget, details: Widget) -> list[Widget]:
    """Arrange the widgets in rows for a vertical container without labels of its own; `more` come
    before the buttons.

    What is said of a run, and the verdict on its result, come right below the button that was
    pressed: there they are seen without scrolling on a low screen, too.
    """
    return [
        *(named(box) for box in (controls.image, controls.model)),
        controls.about,
        named(controls.device),
        named(controls.output),
        in_a_row(controls.trust, controls.ensemble),
        in_a_row(controls.halve, controls.this_slice),
        *more,
        in_a_row(controls.preview, controls.run),
        controls.under_way,
        controls.status,
        controls.headline,
        controls.halve_again,
        controls.strong_again,
        in_a_row(
            name_of("Compare", COMPARE_BY_TIP, LABEL_WIDTH + WIDER),
            controls.compare_by,
            shares=(0, 1),
        ),
        in_a_row(controls.compare, controls.profile, shares=(1, 1)),
        in_a_row(controls.save, controls.report, shares=(1, 1)),
        sharpness,
        controls.maps_row,
        controls.legend,
        details,
    ]


def scrolling(place: Container, rows: list[Widget]) -> Container:
    """Lay the rows out in `place`, to be scrolled where the screen is too low for all of them, as
    at 200 % on many.
    """
    box: Container = Container(widgets=rows, labels=False, scrollable=True)
    box.native.layout().addStretch(1)
    box.root_native_widget.setFrameShape(QFrame.Shape.NoFrame)
    box.root_native_widget.setVerticalScrollBarPolicy(
        Qt.ScrollBarPolicy.ScrollBarAlwaysOn
    )  # or all would move as it comes
    AsWide(box.root_native_widget, SMALLEST_WIDTH)
    place.native.layout().addWidget(box.root_native_widget, ALL_OF_IT)
    place.margins = (0, 0, 0, 0)
    return box


def _one_place(time: Label, working: Container) -> Container:
    """One of both at a time, in a place that is as high for either: or what lies below would move
    to where **Cancel** was, under a late click.
    """
    place = Container(widgets=[time, working], labels=False)
    place.margins = (0, 0, 0, 0)
    place.native.installEventFilter(AsHigh(place.native, working.native))
    return place


def show_working(controls: Controls, *, running: bool, ready: bool) -> None:
    """Enable what starts the work where all is ready, and let the bar and **Cancel** take the place
    of the time that it will take, or leave it; the keyboard goes with them.
    """
    starts = controls.run, controls.preview, controls.halve_again, controls.strong_again
    if running:
        _let_take_place(controls.working, controls.time)
        pass_focus(controls.cancel.native, *(each.native for each in starts))
    for each in starts:
        each.enabled = ready
    if not running:
        pass_focus(controls.run.native, controls.cancel.native, controls.progress.native)
        _let_take_place(controls.time, controls.working)


def show_cancelling(controls: Controls) -> None:
    """Disable **Cancel**, which has been pressed."""
    pass_focus(controls.progress.native, controls.cancel.native)
    controls.cancel.enabled = False


def _let_take_place(there: Widget, gone: Widget) -> None:
    gone.visible = False  # first, or there would be room for both for a moment
    there.visible = True


def show_image(controls: Controls, name: str) -> None:
    """Let the tooltip tell the whole name of the chosen image, for the drop-down may be too narrow
    for it.
    """
    controls.image.tooltip = literal("\n".join(filter(None, (name, IMAGE_TIP))))


def show_life(controls: Controls) -> None:
    """Let the bar move without saying how far, until the first tile is done."""
    bar = controls.progress
    bar.min = bar.max = 0
    bar.native.setFormat("")


def show_progress(controls: Controls, fraction: float, time_left: str) -> None:
    """Let the bar say how far the work is, from 0 to 1, and how long it will last."""
    bar = controls.progress
    bar.max = PROGRESS_STEPS
    bar.value = round(fraction * PROGRESS_STEPS)
    bar.native.setFormat(on_bar(fraction, time_left))


def tell_averaging(button: CheckBox | PushButton, binning: int, more: str = "") -> None:
    """Let a button say over how many pixels along y and x an image is averaged before it is
    restored.
    """
    halves = binning <= 2
    first = "Halve first" if halves else f"Average {binning} × {binning} first"
    button.text, button.tooltip = first + more, HALVE_TIP if halves else AVERAGE_TIP.format(binning)
