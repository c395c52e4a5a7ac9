"""Who imports whom in the package: the list of its layers, and what its modules say.

    python scripts/layers.py  # what each part imports

`tests/test_layers.py` holds that all imports go downwards along the list; `docs/layers_figure.py`
draws it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "napari_mdeblurgan"

LAYERS = tuple(  # a part imports those in the lines above its own
    tuple(line.split())
    for line in """
        _version errors gaussian interruption plain_text stand_ins folders steps short_numbers
        model_file atomic samples lent_pages stopping
        own_folder outputs model_card request
        exclusive network
        model storage
        degradation before_after
        restoration
        trust pairs training
        focus export diagnostics pipeline
        fine_tuning batch
        evaluation
        widgets
        commands
        cli
        __main__
    """.strip().splitlines()
)


def module_files(root: Path = ROOT) -> dict[str, Path]:
    """All modules of the package by their dotted names, and where they are."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """What each module imports, within functions too, but not for types alone: modules of `files`
    in full, others as named.
    """
    graph = {}
    for name, path in files.items():
        found = set()
        for module, part in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            whole = f"{module}.{part}"
            found.add(whole if whole in files else module)
        graph[name] = found - {name}
    return graph


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)
        else:
            yield from _imports(node)


def part_of(name: str) -> str:
    """The folder or file right within the package that a module belongs to; empty for the package
    itself.
    """
    return name.split(".")[1] if "." in name else ""


def arrows(files: Mapping[str, Path]) -> set[tuple[str, str]]:
    """The parts of which one imports the other."""
    graph = import_graph(files)
    pairs = {
        (part_of(name), part_of(other)) for name in files for other in graph[name] if other in files
    }
    return {(part, other) for part, other in pairs if part and other and part != other}


def main() -> None:
    """Print what each part imports, layer by layer."""
    found = arrows(module_files())
    for line in LAYERS:
        for part in line:
            print(f"{part:14}", *sorted(other for one, other in found if one == part))


if __name__ == "__main__":
    main()
