"""The wheel by itself: what it holds, and that it works where the sources cannot be seen.

The environment made here sees the third-party packages of this one, but not its
checkout: a path in a ``.pth`` file is not searched for further ``.pth`` files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HATCH = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
PACKAGES = {Path(path).name for path in HATCH["build"]["targets"]["wheel"]["packages"]}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that must end within four minutes, with nothing of ours in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KMSBRIDGE"))}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


def succeed(*command: str | Path, cwd: Path) -> str:
    """Run a program that must succeed; what it printed."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    away = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", away, ROOT, cwd=away)
    [path] = away.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the wheel is installed."""
    away = tmp_path_factory.mktemp("installed")
    venv.create(away / "venv")
    interpreter = away / "venv" / "bin" / "python"
    pip = ("-m", "pip", "--disable-pip-version-check", "--python", interpreter)
    succeed(sys.executable, *pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=away)
    [site] = (away / "venv" / "lib").glob("python*/site-packages")
    (site / "third-party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def test_the_wheel_holds_what_is_declared(wheel: Path) -> None:
    """Its top-level names are the declared packages and its metadata, and each package is typed."""
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert [name for name in names if name.endswith("/licenses/LICENSE")]
    assert [name for name in names if "test_" in name or name.endswith((".pyc", ".db", ".key"))] == []


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """What is released as source holds all that the wheel is built from, and its tests."""
    succeed(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    [rebuilt] = tmp_path.glob("*.whl")
    [sdist] = tmp_path.glob("*.tar.gz")
    assert set(zipfile.ZipFile(rebuilt).namelist()) == set(zipfile.ZipFile(wheel).namelist())
    shutil.unpack_archive(sdist, tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert (unpacked / "tests" / "test_wheel.py").is_file()
    assert (unpacked / ".ci" / "setup").is_file()


def test_the_sources_are_out_of_sight(python: Path, tmp_path: Path) -> None:
    """What is imported there comes from the wheel."""
    code = "import kmsbridge, kmsbridge_local; print(kmsbridge.__file__, kmsbridge_local.__file__, sep='\\n')"
    for path in succeed(python, "-c", code, cwd=tmp_path).split():
        assert Path(path).is_relative_to(python.parent.parent)


def test_the_wheel_brings_its_command(python: Path, tmp_path: Path) -> None:
    """The console script is installed and knows the taxonomy."""
    assert "key_access_revoked" in succeed(python.parent / "kmsbridge", "codes", cwd=tmp_path)


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_program_outside_the_tree_is_checked(checker: str, python: Path, tmp_path: Path) -> None:
    """Both type checkers follow the installed package, and report a planted mistake and nothing else."""
    options = {
        "mypy": ("--strict", "--cache-dir", tmp_path / "cache", "--python-executable", python),
        "pyright": ("--pythonpath", python),
    }
    command = (sys.executable, "-m", checker, *options[checker])
    program = (ROOT / "tests" / "typing" / "consumer.py").read_text()
    (tmp_path / "consumer.py").write_text(program)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    succeed(*command, "consumer.py", cwd=tmp_path)
    (tmp_path / "mistaken.py").write_text(program + "\n\nlength: int = password('memory:')\n")
    done = run(*command, "mistaken.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 error" in done.stdout
    assert f"mistaken.py:{len(program.splitlines()) + 3}" in done.stdout
