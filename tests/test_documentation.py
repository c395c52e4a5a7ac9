"""The README and the documentation: their commands can be given, their Python runs, their pictures
are made by scripts.
"""

from __future__ import annotations

import ast
import configparser
import dataclasses
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.network import registry
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import Micrograph, formats, read_image, write_image
from scripts.layers import module_files

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
FEWER_STEPS = (
    '"steps": 2000',
    '"steps": 2',
)  # what is shortened, so that a test does not take minutes


def blocks(language: str) -> list[tuple[str, str]]:
    """Every block of code of a language: page and number, and its text without the indentation of a
    list.
    """
    found = []
    for page in PAGES:
        texts = [
            match
            for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
            if match[2] == language
        ]
        for number, match in enumerate(texts, 1):
            lines = (line.removeprefix(match[1]) for line in match[3].splitlines())
            found.append((f"{page.name}-{number}", "\n".join(lines)))
    return found


def commands() -> list[list[str]]:
    """Every command of a shell that the pages name, as words, without comments and settings of the
    environment.
    """
    lines = (line for _, text in blocks("sh") for line in text.replace("\\\n", " ").splitlines())
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        end = next(
            (number for number, word in enumerate(words) if word in (">", "|", "&&")), len(words)
        )
        if words:
            found.append(words[:end])
    return found


def given_to_mdeblurgan(words: list[str]) -> list[str] | None:
    """The arguments, if the words are a call of this package's command, by whatever program it is
    started.
    """
    if words[0] == "mdeblurgan":
        return words[1:]
    if "napari_mdeblurgan" in words and "-m" in words:
        return words[words.index("napari_mdeblurgan") + 1 :]
    return None


def unique(found: list[list[str]]) -> list[str]:
    return sorted({shlex.join(words) for words in found})


CALLS = unique([words for words in commands() if given_to_mdeblurgan(words) is not None])
SCRIPTS = unique(
    [words for words in commands() if any(word.endswith((".py", ".sh")) for word in words)]
)
PYTHON = blocks("python")


@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_the_command_is_one_that_its_parser_takes(call: str) -> None:
    import typer
    from typer.main import get_command

    from napari_mdeblurgan.cli import app

    arguments = given_to_mdeblurgan(shlex.split(call)) or []
    program = get_command(app)
    at = next(number for number, word in enumerate(arguments) if not word.startswith("-"))
    name, rest = arguments[at], arguments[at + 1 :]
    command = program.commands[name]
    with program.make_context("mdeblurgan", [*arguments[:at], name]) as context:
        if "--help" in rest:
            with pytest.raises((typer.Exit, SystemExit)):
                command.make_context(name, rest, parent=context)
        else:
            command.make_context(name, rest, parent=context)


WRITES = {  # the parameter that says where; what is there is refused, or gone on with
    "restore": "output",
    "focus-stack": "output",
    "simulate": "output",
    "train": "output",
    "fine-tune": "output",
    "export": "output",
}
BLOCKS = blocks("sh")


@pytest.mark.parametrize(("block", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_command_is_not_refused_for_what_one_before_it_has_written(block: str, text: str) -> None:
    from typer.main import get_command

    from napari_mdeblurgan.cli import app

    program, places = get_command(app), []
    for line in text.splitlines():
        name, *rest = given_to_mdeblurgan(shlex.split(line, comments=True) or [""]) or [""]
        if name in WRITES and not {"--help", "--print-config"} & set(rest):
            with program.make_context("mdeblurgan", [name]) as context:
                given = program.commands[name].make_context(name, rest, parent=context).params
            places.append(str(given[WRITES[name]]))
    assert len(places) == len(set(places))


def test_all_commands_are_shown_somewhere() -> None:
    from typer.main import get_command

    from napari_mdeblurgan.cli import app

    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in get_command(app).commands if f"mdeblurgan {name}" not in text] == []


@pytest.mark.parametrize("call", SCRIPTS)
def test_every_script_that_is_named_is_there_and_knows_its_options(call: str) -> None:
    words = shlex.split(call)
    at = next(number for number, word in enumerate(words) if word.endswith((".py", ".sh")))
    script = ROOT / words[at]
    assert script.is_file()
    text = script.read_text(encoding="utf-8")
    options = [word.partition("=")[0] for word in words[at + 1 :] if word.startswith("--")]
    assert [option for option in options if option not in text] == []


def test_the_environments_of_tox_and_the_extras_that_are_named_exist() -> None:
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    named = {
        name
        for words in commands()
        if words[0] == "tox"
        for name in words[words.index("-e") + 1].split(",")
    }
    assert {"docs", "lint"} <= named
    assert [
        n
        for n in named
        if f"[testenv:{n}]" not in tox and n.split("-")[0] not in tox and n[:2] != "py"
    ] == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    wanted = set(re.findall(r"(?:napari-mdeblurgan|\")\.?\[([a-z]+)\]\"", text))
    assert {"qt", "export"} <= wanted <= set(extras)


@pytest.fixture
def registered_for_now() -> Iterator[None]:
    """Formats and networks that a block registers are known no longer than it runs: other tests
    share this process.
    """
    known, networks = formats.formats(), dict(registry._networks)
    yield
    for new in set(formats.formats()) - set(known):
        formats.unregister(new)
    for name in set(registry._networks) - set(networks):
        registry.unregister(registry._networks[name])


@pytest.mark.usefixtures("registered_for_now")
@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[page for page, _ in PYTHON])
def test_every_block_of_python_runs(
    page: str,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    compiled = compile(code.replace(*FEWER_STEPS), page, "exec")
    foreign = set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE))
    if any(importlib.util.find_spec(name) is None for name in foreign):
        ours = [line for line in code.splitlines() if line.startswith("from napari_mdeblurgan")]
        assert ours
        compiled = compile(
            "\n".join(ours), page, "exec"
        )  # what it takes from this package is there
    set_the_scene(tmp_path, code)
    if "gray-x2.onnx" in code:
        pytest.importorskip("onnxscript")
        (tmp_path / "gray-x2.onnx").write_bytes(request.getfixturevalue("grey_onnx"))
    monkeypatch.chdir(tmp_path)
    image = leaf() if "rgb-x2" in code else read_image(sample_path("nuclei")).data[:96, :128]
    names: dict[str, Any] = {"image": image}
    exec(compiled, names)  # noqa: S102 - our own pages
    if "sharp" in names:
        assert names["sharp"].dtype == image.dtype or page.startswith("export")
        assert names["sharp"].shape[-1 if image.ndim == 2 else -2] == 2 * image.shape[1]


def leaf(height: int = 96, width: int = 128) -> np.ndarray:
    return read_image(sample_path("leaf_epidermis")).data[:height, :width]


def set_the_scene(folder: Path, code: str) -> None:
    """The files that a block of code names, as far as it does."""
    if "mine.safetensors" in code:
        from napari_mdeblurgan.model import model_path

        (folder / "somewhere").mkdir()
        (folder / "somewhere" / "mine.safetensors").write_bytes(model_path("gray-x2").read_bytes())
    for name in ("scans", "sharp-images"):
        if f'"{name}"' in code:
            (folder / name).mkdir()
            for number in range(2):
                part = np.ascontiguousarray(leaf(300, 640)[:, 320 * number : 320 * number + 300])
                cut = part if name == "sharp-images" else part[:64, :64]
                write_image(folder / name / f"{number}.png", Micrograph(cut, "YXS"))
    if '"x5"' in code:
        truth = leaf(480, 640).astype(np.float32)
        blurred = gaussian_filter(truth, (2.0, 2.0, 0)).reshape(240, 2, 320, 2, 3).mean(axis=(1, 3))
        for name, pixels in (("x5", blurred), ("x10", truth[60:420, 80:560])):
            (folder / name).mkdir()
            write_image(
                folder / name / "field 1.tif", Micrograph(pixels.round().astype(np.uint8), "YXS")
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_of_the_source_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|sh))\b", text))
    named |= set(re.findall(r"`((?:src|tests|scripts|benchmarks)/[\w./]+)", text))
    there = [
        f"/{path.relative_to(ROOT).as_posix()}"
        for folder in ("src", "tests", "scripts", "benchmarks", "docs")
        for path in (ROOT / folder).rglob("*")
    ]
    assert [n for n in named if not any(path.endswith(f"/{n.rstrip('/')}") for path in there)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)}
    missing = [
        target
        for target in targets
        if target and "://" not in target and not (page.parent / target).exists()
    ]
    assert missing == []


def test_every_picture_is_shown_and_is_made_by_a_script() -> None:
    pictures = [path.name for path in (DOCS / "images").iterdir()]
    shown = "\n".join(page.read_text(encoding="utf-8") for page in (*PAGES, ROOT / "mkdocs.yml"))
    made = "\n".join(script.read_text(encoding="utf-8") for script in DOCS.glob("*.py"))
    assert [name for name in pictures if name not in shown] == []
    assert [name for name in pictures if name not in made and Path(name).stem not in made] == []


def test_every_script_of_pictures_is_run_by_the_one_command() -> None:
    from docs.figures import JOBS

    scripts = {path.relative_to(ROOT).as_posix() for path in DOCS.glob("*.py")} - {
        "docs/figures.py"
    }
    assert scripts <= {job.script for job in JOBS.values()}
    assert all((ROOT / job.script).is_file() for job in JOBS.values())


def test_the_fields_of_a_card_and_the_columns_of_a_table_of_pairs_are_described() -> None:
    from napari_mdeblurgan.model_card import ModelCard
    from napari_mdeblurgan.pairs.table import PAIR_COLUMNS

    text = (DOCS / "formats.md").read_text(encoding="utf-8") + (DOCS / "pairs.md").read_text(
        encoding="utf-8"
    )
    names = [field.name for field in dataclasses.fields(ModelCard)] + list(PAIR_COLUMNS)
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_documentation_is_built_from_the_libraries_of_its_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tox = (
        (ROOT / "tox.ini")
        .read_text(encoding="utf-8")
        .partition("[testenv:docs]")[2]
        .partition("[testenv:")[0]
    )
    assert [
        each for each in project["optional-dependencies"]["docs"] if f"    {each}\n" not in tox
    ] == []


def test_the_reference_of_the_command_line_names_every_option() -> None:
    from typer.main import get_command

    from napari_mdeblurgan.cli import app
    from scripts.docs_hook import on_page_markdown

    text = on_page_markdown((DOCS / "cli.md").read_text(encoding="utf-8"))
    for name, command in get_command(app).commands.items():
        part = text.partition(f"## mdeblurgan {name}\n")[2].partition("\n## ")[0]
        assert all(
            option in part
            for each in command.params
            for option in each.opts
            if option.startswith("--")
        )
        assert f"```sh\nmdeblurgan {name}" in part


def test_the_benchmarks_show_the_tables_of_the_readme() -> None:
    from scripts.docs_hook import on_page_markdown

    text = on_page_markdown((DOCS / "benchmarks.md").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| **rgb-x2**")]
    assert rows
    assert all(row in text for row in rows)
    assert "](docs/" not in text


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def test_the_environment_of_the_documentation_has_what_the_command_line_imports() -> None:
    script = "import sys, napari_mdeblurgan.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    files = module_files()
    needed = {
        name.partition(".")[0]
        for module in loaded
        if module in files
        for node in ast.parse(files[module].read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _imported(node)
    }
    parser = configparser.ConfigParser()
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    listed = set(re.findall(r"^[\w-]+", parser["testenv:docs"]["deps"], re.MULTILINE))
    assert "typer" in needed
    assert needed - set(sys.stdlib_module_names) - {"napari_mdeblurgan"} <= listed
