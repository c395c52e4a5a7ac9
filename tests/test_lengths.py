"""Files and functions stay short enough to be read in one go."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 450


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "scripts", "docs"])
def test_no_file_is_longer_than_it_may_be(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert files
    assert not {file.name: count for file, count in lines.items() if count > MOST_LINES}


LONG = {  # and why it reads better so
    ("widgets/batch/batch_controls.py", "make_batch_controls"): "a list of controls",
    ("widgets/deblur/controls.py", "make_controls"): "a list of controls",
    ("widgets/deblur/widget.py", "__init__"): "makes the parts and gives them to each other",
    ("widgets/focus_stack/stack_panel.py", "__init__"): "a list of controls",
    ("restoration/plan.py", "planning"): "settles one thing after another, each from those before",
    ("restoration/walk.py", "walk"): "has threads that share what is in it",
    ("pairs/register.py", "register_images"): "one step after another, each with its way out",
}


def test_no_function_is_longer_than_60_lines_but_for_those_that_read_better_so() -> None:
    package = ROOT / "src" / "napari_mdeblurgan"
    long = {
        (file.relative_to(package).as_posix(), node.name)
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and _length(node) > 60
    }
    assert long == set(LONG)


def _length(function: ast.FunctionDef) -> int:
    """Lines after the docstring."""
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    assert function.end_lineno is not None
    return function.end_lineno - first.lineno + 1
