"""Names of layers and files as they are: Qt takes a text with a tag in it for a page, which may
show pictures from anywhere.
"""

from __future__ import annotations

import re
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel


def plain(label: QLabel) -> QLabel:
    """Let a label show its text letter by letter; returns the label."""
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def unbroken(text: str) -> str:
    """A text of which no line ends between a number and its % or unit."""
    return re.sub(r"(?<=\d) (?=(?:%|dB|px|µm|nm)(?!\w))", "\u00a0", text)


def literal(text: str) -> str:
    """A text for a tooltip or a message box, which cannot be told to show it letter by letter."""
    return f'<p style="white-space: pre-wrap">{escape(text)}</p>' if "<" in text else text
