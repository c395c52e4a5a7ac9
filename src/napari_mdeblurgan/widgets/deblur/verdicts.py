"""How far results can be trusted: remembered with each of them, said as long as it is open, and
saved as a report.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Image

from napari_mdeblurgan.widgets.layers import view
from napari_mdeblurgan.widgets.layers.origin import is_result_layer, proposed_place
from napari_mdeblurgan.widgets.layers.result_metadata import keeping_trust, made_so
from napari_mdeblurgan.widgets.layers.result_pairs import Pairs
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.runs.results import clean_name
from napari_mdeblurgan.widgets.runs.trust import KNOWN_TRUST
from napari_mdeblurgan.widgets.shared.closing import InWords, worker_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari import Viewer
    from napari.layers import Layer

    from napari_mdeblurgan.widgets.runs.job import Noted

KNOWN_NOTED: WeakKeyDictionary[Image, Noted] = (
    WeakKeyDictionary()
)  # of the images of results, by these, beyond the life of one dock widget


class Verdicts:
    """Remembers, as long as a result is there, what was found out about it.

    Parameters
    ----------
    viewer : Viewer
        Whose results they are.
    pairs : Pairs
        Which results belong to which source.
    """

    def __init__(self, viewer: Viewer, pairs: Pairs) -> None:
        self._viewer, self._pairs = viewer, pairs
        self._last: ref[Image] | None = None

    def note(self, result: Image, noted: Noted) -> None:
        """Note what is to be known of the image that `result` was made from."""
        KNOWN_NOTED[result] = noted

    def remember(self, result: Image, trusted: trust.Trusted) -> None:
        """Note what was found out about `result`."""
        KNOWN_TRUST[result] = trusted
        made = result.metadata.get("mdeblurgan", {})
        made = keeping_trust(made, trust.record(trusted), _shape(result))
        result.metadata = {**result.metadata, "mdeblurgan": made}
        self._last = ref(result)

    def told_of(self, active: Layer | None, source: Image | None) -> Image | None:
        """The result that `sentence` and `headline` tell of."""
        found = self._said(active, source)
        return (
            found[0]
            if found is not None
            else active
            if isinstance(active, Image) and is_result_layer(active)
            else None
        )

    def of(self, active: Layer | None, source: Image | None) -> tuple[Image, trust.Trusted] | None:
        """What is known of the result that is selected; else of the newest one
        of the chosen image.
        """
        if (
            isinstance(active, Image)
            and is_result_layer(active)
            and not self._pairs.is_preview(active)
        ):
            return (active, KNOWN_TRUST[active]) if active in KNOWN_TRUST else None
        results = [] if source is None else self._pairs.results_of(source)
        return next(
            ((each, KNOWN_TRUST[each]) for each in reversed(results) if each in KNOWN_TRUST), None
        )

    def sentence(self, active: Layer | None, source: Image | None) -> str:
        """The same in words; what was said last stays where nothing else is known, as long as its
        result is open.
        """
        found = self._said(active, source)
        if found is not None:
            result, trusted = found
            self._last = ref(result)
            return f"{result.name}: {trust.as_shown(trusted, result).assessment.sentence}"
        words = _kept_sentence(active)
        if active is not None and words:
            return f"{active.name}: {words}"
        result = self._newest_noted(active, source)
        return "" if result is None else f"{result.name}: {KNOWN_NOTED[result].sentence}"

    def headline(
        self, active: Layer | None, source: Image | None, chosen: Image | None = None
    ) -> str:
        """What is said first of it, with its sign, as HTML; empty where nothing is known.

        It names the result where that is of another image than the one that is `chosen`, and the
        shape where it is of one of several that were restored and none of them is selected.
        """
        from napari_mdeblurgan.trust.headline import headline_html, headline_in

        found = self._said(active, source)
        layer = active if found is None else found[0]
        made = _made(layer)
        line = headline_in(made.get("trust"))
        if line is None or layer is None:
            return ""
        others = (
            chosen is not None
            and layer is not chosen
            and self._pairs.source_of(layer) not in (None, chosen)
        )
        part = made.get("part") if layer is not active else None
        name = layer.name if others else part
        words = headline_html(line)
        return f"{html.escape(name)}: {words}" if isinstance(name, str) else words

    def noted(self, active: Layer | None, source: Image | None) -> Noted | None:
        """What is to be known of the chosen image, where what is said is of a result of it, or
        nothing is said because nothing was assessed.
        """
        found = self._said(active, source)
        result = self._newest_noted(active, source) if found is None else found[0]
        if result is None or source is None or self._pairs.source_of(result) is not source:
            return None
        return KNOWN_NOTED.get(result)

    def _newest_noted(self, active: Layer | None, source: Image | None) -> Image | None:
        """The result that is selected, or the newest of the chosen image, a preview only where
        there is nothing else, where something is noted of it.
        """
        results = [active] if isinstance(active, Image) and is_result_layer(active) else []
        results = results or ([] if source is None else self._pairs.results_of(source)[::-1])
        noted = (each for each in results if each in KNOWN_NOTED)
        return min(noted, key=self._pairs.is_preview, default=None)

    def _said(
        self, active: Layer | None, source: Image | None
    ) -> tuple[Image, trust.Trusted] | None:
        """Of which assessed result something is said, and what; None where a newer one was not
        assessed.
        """
        found, newest = self.of(active, source), self._newest_noted(active, source)
        if newest is not None and newest not in KNOWN_TRUST:
            return found if self._pairs.is_preview(newest) else None
        if found is None and not (active is not None and is_result_layer(active)):
            last = self._last() if self._last is not None else None
            found = (
                (last, KNOWN_TRUST[last])
                if last is not None and self._pairs.is_open(last)
                else None
            )
        return found

    def _report_path(self, parent: Any, result: Image) -> Path | None:
        name = f"{clean_name(result.name)} trust.html"
        usual = proposed_place(name, self._pairs.source_of(result), result)
        return trust.ask_for_report_path(parent, usual)

    def save_report(
        self,
        found: tuple[Image, trust.Trusted] | None,
        parent: Any,
        say: Callable[[str], None],
        fail: Callable[[str], None],
    ) -> None:
        """Ask where, and save the report on a result; `say` and `fail` get a sentence each."""
        path = None if found is None else self._report_path(parent, found[0])
        if found is None or path is None:
            return
        say("Saving the report…")
        worker_of(
            self._viewer,
            InWords(trust.save_report, "the writing of a report"),
            path,
            trust.as_shown(found[1], found[0]),
            view.full_resolution(found[0]),
            _connect={
                "returned": lambda _: say(f"The report was saved as {path}."),
                "errored": lambda error: fail(str(error)),
            },
        ).start()


def _kept_sentence(layer: Layer | None) -> str:
    """What the file that a result was opened from tells of how far it can be trusted."""
    from napari_mdeblurgan.trust.record import verdict_of

    made = _made(layer)
    return verdict_of(made.get("trust"), made.get("softness"))


def _made(layer: Layer | None) -> Mapping[str, Any]:
    """How a layer was made; empty for one that this program has not made."""
    if not isinstance(layer, Image):
        return {}
    made = layer.metadata.get("mdeblurgan")
    return made_so(made, _shape(layer)) if isinstance(made, dict) else {}


def _shape(layer: Image) -> tuple[int, ...]:
    return view.full_resolution(layer).shape  # type: ignore[attr-defined, no-any-return]
