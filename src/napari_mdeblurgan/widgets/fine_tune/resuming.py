"""The button **Resume**, which is there where there is something to resume."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QMenu, QPushButton

from napari_mdeblurgan.fine_tuning.folder import BegunTuning, all_begun
from napari_mdeblurgan.widgets.shared.plain import literal

_TIP = "Go on with a fine-tuning that was stopped, also one of an earlier session."


class ResumeButton(QPushButton):
    """Offers what was begun and can go on. `chosen` is emitted with the one that the user wants."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__("Resume")
        kept = self.sizePolicy()
        kept.setRetainSizeWhenHidden(True)  # so that the other buttons never move under the mouse
        self.setSizePolicy(kept)
        self.begun: list[BegunTuning] = []
        self._running = False
        self.clicked.connect(self._ask_which)
        self.offer(running=False)

    def look(self, _: int = 0) -> None:
        """Look again what there is; files are looked at, so not at every change."""
        self.begun = all_begun()
        self.offer(running=self._running)

    def offer(self, *, running: bool) -> None:
        """Be there, unless a fine-tuning is running now or there is nothing to resume."""
        self._running = running
        offered = bool(self.begun) and not running
        self.setVisible(offered and self.parent() is not None)
        self.setEnabled(offered)
        self.setToolTip(literal(" ".join([_TIP, *(f"{_words(each)}." for each in self.begun)])))

    def _ask_which(self) -> None:
        """With one only, go on with it."""
        self.look()
        if len(self.begun) == 1:
            self.chosen.emit(self.begun[0])
        elif self.begun:
            menu = QMenu(self)
            for each in self.begun:
                menu.addAction(_words(each), lambda each=each: self.chosen.emit(each))
            menu.exec(self.mapToGlobal(self.rect().bottomLeft()))


def _words(begun: BegunTuning) -> str:
    worked = f"{begun.seconds / 60:.1f} of {round(begun.settings.minutes, 1):g} min"
    return f"{begun.settings.name} ({'finished: more time' if begun.finished else worked})"
