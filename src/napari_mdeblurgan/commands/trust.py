"""`mdeblurgan restore --trust --report FILE.html --ensemble`: a restoration that is assessed as well."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.commands.common import WrongUse
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.trust.recording import record_entry, write_report_of

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.model import Model, ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.assess import Assessment

    Shown = Callable[[Generator[Progress, None, Any]], Any]

NAMES = ("error", "consistency", "defocus", "choice", "disagreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked for beyond the restored image.

    Attributes
    ----------
    maps : bool
        Write the maps beside the output.
    report : Path or None
        Write a report there.
    ensemble : bool
        Restore eight times and take the mean; the disagreement is a map as well.
    """

    maps: bool = False
    report: Path | None = None
    ensemble: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return self.maps or self.report is not None or self.ensemble

    @property
    def assesses(self) -> bool:
        """Whether the result is to be assessed."""
        return self.maps or self.report is not None

    def check(self) -> None:
        """Raise `WrongUse` if the report cannot be meant to be written where it is."""
        from napari_mdeblurgan.storage import check_place

        if self.report is None:
            return
        if self.report.suffix.lower() not in (".html", ".htm"):
            raise WrongUse(f"a report is a web page; let {self.report} end in .html.")
        try:
            check_place(self.report)
        except FileError as error:
            raise WrongUse(str(error)) from error

    def files(self, output: Path) -> list[Path]:
        """All that will be written beside the output; the maps of an OME-Zarr lie within it."""
        from napari_mdeblurgan.storage.map_places import map_path

        names = [name for name in NAMES if name != "disagreement" or self.ensemble]
        maps = [map_path(output, name) for name in names] if self.maps and output.suffix.lower() != ".zarr" else []
        return maps if self.report is None else [*maps, self.report]


class Work:
    """Restores an image and assesses it; then writes what was asked for.

    Parameters
    ----------
    wishes : Wishes
    shown : callable
        Runs a generator of `Progress` to its end and shows how far it is.
    binning : int
        By how many pixels the image was binned before.
    """

    def __init__(self, wishes: Wishes, shown: Shown, binning: int = 1) -> None:
        self._wishes, self._shown, self._binning = wishes, shown, binning
        self._assessment: Assessment | None = None
        self._settings: dict[str, str] = {}
        self._plan: RestorationPlan | None = None

    def __call__(self, image: Any, plan: RestorationPlan, model: Model) -> np.ndarray:
        """Restore `image`; the assessment is kept."""
        from napari_mdeblurgan.restoration.engine import ensemble_steps, restore_steps
        from napari_mdeblurgan.trust.assess import assess_steps
        from napari_mdeblurgan.trust.explanation import Explanation
        from napari_mdeblurgan.trust.plan import Wishes as TrustWishes
        from napari_mdeblurgan.trust.plan import plan_trust
        from napari_mdeblurgan.trust.settings import settings_of

        self._plan = plan
        if self._wishes.assesses:
            print("\n".join(domain_lines(image, plan, model.card)), flush=True)
        explanation = spread = None
        if self._wishes.ensemble:
            result, spread = self._shown(ensemble_steps(image, plan, model))
        else:
            explanation = Explanation(plan)
            result = self._shown(restore_steps(image, plan, model, explanation.keep))
        self._settings = settings_of(plan, model.card, ensemble=self._wishes.ensemble, binning=self._binning)
        if self._wishes.assesses:
            print("assessing the result", flush=True)
            trust = plan_trust(image, result, plan, model, TrustWishes(disagreement=spread is not None))
            self._assessment = self._shown(assess_steps(image, result, trust, model, explanation, spread=spread))
        return result  # type: ignore[no-any-return]

    def entry(self, image: Micrograph, plan: RestorationPlan, card: ModelCard) -> dict[str, Any]:
        """How the result was made and what was found out about it, as its file keeps it."""
        return record_entry(image, plan, card, self._assessment, ensemble=self._wishes.ensemble, binning=self._binning)

    def write(self, output: Path, before: Micrograph, after: Micrograph) -> Iterator[str]:
        """Write the maps and the report; yields a line for each file, and the assessment in words."""
        found = self._assessment
        if found is None:
            return
        if self._wishes.maps:
            yield from self._write_maps(output, before, after, found)
        if self._wishes.report is not None:
            assert self._plan is not None
            write_report_of(self._wishes.report, before, after, self._plan, found, self._settings)
            yield str(self._wishes.report)
        yield found.sentence

    def _write_maps(self, output: Path, before: Micrograph, after: Micrograph, found: Assessment) -> Iterator[str]:
        from napari_mdeblurgan.storage import Micrograph, write_image
        from napari_mdeblurgan.storage.map_places import map_path

        for each in found.maps:
            assert self._plan is not None
            frame = after.frame() if each.kind.finer else before.frame(1, self._plan.origin)
            image = Micrograph(each.data, before.axes.removesuffix("S"), **frame)
            path = map_path(output, each.name)
            write_image(path, image)
            unit = f", in {each.kind.unit}" if each.kind.unit else ""
            yield f"{path}: {each.kind.title.lower()}{unit}"


def domain_lines(image: Any, plan: RestorationPlan, card: ModelCard) -> Iterator[str]:
    """Whether an image is one of those that the model knows, said before it is restored: a line for each channel."""
    from napari_mdeblurgan.restoration.measuring import measured_windows
    from napari_mdeblurgan.trust.domain import examine
    from napari_mdeblurgan.trust.error_bar import calibration_of

    windows = plan.windows or measured_windows(image, plan.rgb, plan.window_axes)
    for number, window in enumerate(windows):
        channel = f"channel {number}: " if len(windows) > 1 else ""
        yield channel + examine(image, plan, window, card, calibration_of(card), number).sentence
