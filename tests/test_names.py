"""A public name means one thing: it is defined in one module of the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from scripts.layers import module_files

# Names that several modules define, the modules (a dot at the end: all within it), and why
ALLOWED = {
    "log": (("",), "every module's own log"),
    "main": (("__main__", "cli", "fine_tuning.worker"), "where a process begins"),
    "list_images": (("storage.",), "what every format of files offers, see `storage.formats`"),
    "open_image": (("storage", "storage."), "of a format, and of any file"),
    "register": (("network.registry", "storage.formats"), "the same for networks and formats"),
    "unregister": (("network.registry", "storage.formats"), "the same for networks and formats"),
    "restore": (
        ("restoration.engine", "commands.restore"),
        "the command is called as what it does is called in Python",
    ),
}


# commands, docks, processes, and modules that the documentation names: as their folders say
MODULES = {"evaluate", "pairs", "progress", "run", "settings", "widget", "worker"}


def test_a_module_has_a_name_of_its_own() -> None:
    names = [
        name.rpartition(".")[2]
        for name, path in module_files().items()
        if path.name != "__init__.py"
    ]
    assert {name for name in names if names.count(name) > 1} == MODULES


def test_a_public_name_is_defined_in_one_module() -> None:
    doubled = {
        name: modules
        for name, modules in _doubled(module_files()).items()
        if name not in ALLOWED or not all(_allowed(name, module) for module in modules)
    }
    assert not doubled, "rename it, or begin it with an underscore where nobody imports it"


def test_what_may_be_doubled_is() -> None:
    doubled = _doubled(module_files())
    assert set(ALLOWED) <= set(doubled), "it is no longer: take it out of the list"
    unused = {
        (name, where)
        for name, (places, _) in ALLOWED.items()
        for where in places
        if not any(_within(module, where) for module in doubled[name])
    }
    assert not unused


def test_functions_classes_and_constants_count_and_private_ones_do_not(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    text = "def f():\n    inner = 1\nclass C:\n    x = 1\nA, B = 1, 2\nD: int = 3\n_own = 4\n"
    for name, source in (("a", text), ("b", f"if True:\n    E = 5\n{text}"), ("c", "E = 6\n")):
        (tmp_path / "p" / f"{name}.py").write_text(source)
    both = {"a", "b"}
    assert _doubled(module_files(tmp_path / "p")) == {
        **dict.fromkeys(("f", "C", "A", "B", "D"), both),
        "E": {"b", "c"},
    }


def _doubled(files: dict[str, Path]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for module, path in files.items():
        for name in _defined(ast.parse(path.read_text(encoding="utf-8")).body):
            if not name.startswith("_"):
                found[name].add(module.partition(".")[2])
    return {name: modules for name, modules in found.items() if len(modules) > 1}


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    """Names that a module defines, also under a condition; not those that it imports."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (
                each.id
                for target in targets
                for each in ast.walk(target)
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            )
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _defined(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _defined(handler.body)


def _allowed(name: str, module: str) -> bool:
    return any(_within(module, where) for where in ALLOWED[name][0])


def _within(module: str, where: str) -> bool:
    return module == where or (where.endswith(".") and module.startswith(where)) or not where
