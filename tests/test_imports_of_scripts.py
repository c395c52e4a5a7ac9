"""Benchmarks, scripts and those that make pictures are not run by the tests: what they take from
the package by name has to be there all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.layers import module_files

ROOT = Path(__file__).parents[1]
OF_EVERY_MODULE = {"__file__", "__name__", "__version__"}


@pytest.mark.parametrize("folder", ["benchmarks", "scripts", "docs"])
def test_what_is_taken_from_the_package_is_there(folder: str) -> None:
    files = module_files()
    names = {
        name: _names(ast.parse(path.read_text(encoding="utf-8"))) for name, path in files.items()
    }
    scripts = list((ROOT / folder).rglob("*.py"))
    assert scripts
    assert not [
        f"{script.name}: {module}.{name}"
        for script in scripts
        for module, name in _taken(ast.parse(script.read_text(encoding="utf-8")), files)
        if name not in names[module] | OF_EVERY_MODULE and f"{module}.{name}" not in files
    ]


def test_names_and_attributes_are_found() -> None:
    script = "from p import a\nfrom p.b import c as d\nfrom q import r\na.e = d.f\nr.g()\n"
    assert set(_taken(ast.parse(script), {"p": Path(), "p.a": Path(), "p.b": Path()})) == {
        ("p", "a"),
        ("p.b", "c"),
        ("p.a", "e"),
    }


def _taken(tree: ast.Module, files: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Module and name of all that is imported from the package, and of what is got from, or set in,
    its modules that are imported.
    """
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in files:
            for alias in node.names:
                yield node.module, alias.name
                if f"{node.module}.{alias.name}" in files:
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        ):
            yield modules[node.value.id], node.attr


def _names(tree: ast.Module) -> set[str]:
    """All that a module defines or imports at its top, also under a condition."""
    found = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        todo += ast.iter_child_nodes(node)
    return found
