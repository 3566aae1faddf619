"""What is packaged and what may be imported: names, versions, markers, contents."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import kmsbridge

ROOT = Path(__file__).parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [ROOT / path for path in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def project_files() -> list[Path]:
    """Every file of the project that people read, without what is made from it."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and (path.name == ".ci" or path.name[0] != ".")]
    inside = [path for folder in folders if folder.name != "dist" for path in folder.rglob("*")]
    files = [path for path in [*ROOT.iterdir(), *inside] if path.is_file()]
    return [path for path in files if "__pycache__" not in path.parts and path.suffix != ".pyc"]


def test_import_loads_the_standard_library_only() -> None:
    """``import kmsbridge`` loads no third-party module, no provider, and none of the slow standard modules."""
    code = "import sys; old = set(sys.modules); import kmsbridge; print(*sorted(set(sys.modules) - old))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "kmsbridge" in loaded
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"kmsbridge"}
    slow = {"asyncio", "dataclasses", "email", "http", "importlib.metadata", "inspect", "logging"}
    slow |= {"socket", "sqlite3", "ssl", "urllib.request"}
    assert not slow & set(loaded)


def test_public_names_are_complete_and_sorted() -> None:
    """`__all__` names everything that is visible in the package, constants first, then classes, then functions."""
    named = {name for name in dir(kmsbridge) if not isinstance(getattr(kmsbridge, name), ModuleType)}
    assert set(kmsbridge.__all__) == {name for name in named if not name.startswith("_")}
    assert kmsbridge.__all__ == sorted(
        kmsbridge.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )


def test_public_names_show_the_public_path() -> None:
    """Tracebacks and reprs say ``kmsbridge.NotFoundError``, not where the class is written."""
    exported = [getattr(kmsbridge, name) for name in kmsbridge.__all__]
    named = [thing for thing in exported if inspect.isclass(thing) or inspect.isfunction(thing)]
    assert len(named) > 30
    assert [thing for thing in named if thing.__module__ != "kmsbridge"] == []


def test_public_names_are_described() -> None:
    """Every public class, function, method and property has a docstring of its own."""
    missing: list[str] = []
    for name in kmsbridge.__all__:
        thing = getattr(kmsbridge, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        missing += [name] if not vars(thing).get("__doc__") and not inspect.isfunction(thing) else []
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                missing += [f"{name}.{member}"] if not value.__doc__ else []
    assert missing == []


def test_every_public_name_is_typed_by_example() -> None:
    """``tests/typing/api.py`` uses every public name, so that a checker sees how each may be written."""
    tree = ast.parse((ROOT / "tests/typing/api.py").read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kmsbridge"
    }
    assert set(kmsbridge.__all__) - used == set()


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    """The lazy ``__version__`` does not hide that a name is not there."""
    with pytest.raises(AttributeError, match="no attribute 'seal'"):
        _ = kmsbridge.seal


def test_one_version() -> None:
    """pyproject.toml holds the version; the package reports it and the changelog describes it."""
    version = PYPROJECT["project"]["version"]
    assert kmsbridge.__version__ == version
    assert re.search(rf"^## \[?{re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_package_is_declared_and_typed() -> None:
    """The wheel ships the core and every provider, each with its ``py.typed``."""
    providers = [path.parent for path in (ROOT / "providers").glob("kmsbridge_*/__init__.py")]
    assert sorted(PACKAGES) == sorted([ROOT / "kmsbridge", *providers])
    assert [package.name for package in PACKAGES if not (package / "py.typed").is_file()] == []


def test_every_provider_has_an_entry_point() -> None:
    """A first-party provider is found as those of third parties are."""
    points = PYPROJECT["project"]["entry-points"]["kmsbridge.providers"]
    assert set(points.values()) == {package.name for package in PACKAGES if package.name != "kmsbridge"}


def test_all_means_all() -> None:
    """The extra ``all`` names every extra that an application may want."""
    extras = PYPROJECT["project"]["optional-dependencies"]
    [requirement] = extras["all"]
    named = requirement.removeprefix("kmsbridge[").removesuffix("]").split(",")
    assert set(named) == set(extras) - {"all", "dev", "pytest"}


def test_every_dependency_is_a_range() -> None:
    """Requirements have a lower bound, which ``make test-oldest`` tests, and pin nothing."""
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = [requirement for group in groups for requirement in group if not requirement.startswith("kmsbridge[")]
    assert [requirement for requirement in wanted if ">=" not in requirement or "==" in requirement] == []


FOREIGN = {
    "a path of somebody's machine": re.compile(r"[/](root|work|opt)/\w|[/](home|Users)/(?!u\b)\w|[A-Z]:\\Users"),
    "a place of packages": re.compile(r"pypi[.](org|python)|pythonhosted[.]|[-]-((extra-)?index-url|find-links)"),
}


def test_nothing_belongs_to_one_machine() -> None:
    """No file of the project holds a path of a machine, or the host of a package index."""
    files = project_files()
    assert {ROOT / "pyproject.toml", ROOT / ".ci" / "setup", Path(__file__).resolve()} <= set(files)
    found = [
        f"{path.relative_to(ROOT)}: {what}: {match[0]}"
        for path in files
        for what, pattern in FOREIGN.items()
        if (match := pattern.search(path.read_bytes().decode("utf-8", "replace")))
    ]
    assert found == []


def test_python_files_stay_readable() -> None:
    """No module is longer than 800 lines."""
    sizes = {path.name: len(path.read_text().splitlines()) for path in project_files() if path.suffix == ".py"}
    assert {name: size for name, size in sizes.items() if size > 800} == {}
