"""Who imports whom: downwards along one list of layers, never in a circle, and only the widgets
know Qt and napari.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from scripts.layers import LAYERS, import_graph, module_files, part_of

SCREEN = {"napari", "qtpy", "magicgui", "superqt", "pyqtgraph", "vispy", "PyQt6", "PySide6"}
RANKS = {part: rank for rank, line in enumerate(LAYERS) for part in line}
FILES = module_files()


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return import_graph(FILES)


@pytest.fixture(scope="module")
def imports(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    return [(name, other) for name, found in graph.items() for other in found]


def test_no_module_imports_itself_by_way_of_others(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter({name: found & FILES.keys() for name, found in graph.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(reversed(error.args[1]))}")


def test_every_part_imports_only_what_lies_below_it(imports: list[tuple[str, str]]) -> None:
    between = [
        (part_of(name), part_of(other), name, other) for name, other in imports if other in FILES
    ]
    upwards = [
        f"{name} imports {other}"
        for part, below, name, other in between
        if part and below and part != below and RANKS[part] <= RANKS[below]
    ]
    assert not upwards


def test_every_part_has_its_place_in_the_list() -> None:
    assert sorted(part for line in LAYERS for part in line) == sorted(
        {part_of(name) for name in FILES} - {""}
    )


def test_only_widgets_know_the_screen(imports: list[tuple[str, str]]) -> None:
    assert not [
        f"{name} imports {other}"
        for name, other in imports
        if other.split(".")[0] in SCREEN and part_of(name) != "widgets"
    ]


def test_an_import_within_a_function_counts_and_one_for_types_does_not(tmp_path) -> None:
    (tmp_path / "p").mkdir()
    for name, text in (
        ("a", "if TYPE_CHECKING:\n    from p import b\ndef f():\n    from p.b import g\n"),
        ("b", "import numpy\ng = 1\n"),
    ):
        (tmp_path / "p" / f"{name}.py").write_text(text)
    assert import_graph(module_files(tmp_path / "p")) == {"p.a": {"p.b"}, "p.b": {"numpy"}}
