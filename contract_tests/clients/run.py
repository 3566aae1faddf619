"""Runs the vendors' own clients against our emulators, and writes what passed to docs/clients.md.

Each folder beside this file belongs to one emulator and holds a folder for each client: one in
Python (`check.py`, with `requirements.txt`) or in JavaScript (`check.mjs`, with `package.json`).
`steps.txt` lists what a client must report; it lies beside the client, or one folder up when
all clients of an emulator report the same. Each client is installed into an environment of its
own under `.venv/clients`, apart from ours. Anything that fails, or is missing, fails the whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INSTALLED = ROOT / ".venv" / "clients"
INSTALL_SECONDS = 300
CLIENT_SECONDS = 180
STOP_SECONDS = 30
TRIES = 3
INSTALLS_AT_ONCE = 4

HEAD = """# The vendors' own clients against our emulators

Written by `make clients`. Each client is the vendor's, unmodified, at the newest version that its package
index has; every step named here passed. An error step means that the client saw the code which the
backend puts innermost.

| emulator | client | version | steps that passed |
|---|---|---|---|
"""


def main() -> None:
    """Run every client; write the table when all have passed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise SystemExit("the JavaScript clients need Node.js 20 or newer with npm (Debian: apt install nodejs npm)")
    rows = []
    folders = sorted(path for path in HERE.glob("*/*/") if path.name != "__pycache__")
    with ThreadPoolExecutor(INSTALLS_AT_ONCE) as pool:
        commands = list(pool.map(lambda folder: install(folder, node, npm), folders))
    for folder, command in zip(folders, commands, strict=True):
        name, client = folder.parent.name.replace("_", "-"), folder.name.replace("_", "-")
        steps = steps_of(folder)
        started = time.monotonic()
        versions = run(name, command, steps)
        sys.stdout.write(f"{name}, {client}: {len(steps)} steps in {time.monotonic() - started:.1f} s\n")
        shown = "<br>".join(f"{package} {number}" for package, number in versions.items())
        rows.append(f"| {name} | {client} | {shown} | {', '.join(steps)} |\n")
    if not rows:
        raise SystemExit(f"there is no client in {HERE}")
    (ROOT / "docs" / "clients.md").write_text(HEAD + "".join(rows))


def steps_of(folder: Path) -> list[str]:
    """What the client in this folder must report, in order."""
    own = folder / "steps.txt"
    return (own if own.exists() else folder.parent / "steps.txt").read_text().splitlines()


def install(folder: Path, node: str, npm: str) -> list[str]:
    """Install the client of this folder; the command that runs it."""
    home = INSTALLED / folder.parent.name / folder.name
    return install_python(folder, home) if (folder / "check.py").exists() else install_node(folder, home, node, npm)


def install_python(folder: Path, home: Path) -> list[str]:
    """Install a Python client; the command that runs it."""
    python = home / "venv" / "bin" / "python"
    if not python.exists():
        attempt([sys.executable, "-m", "venv", str(home / "venv")], ROOT)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "--retries", "10"]
    attempt([*pip, "install", "--upgrade", "--requirement", str(folder / "requirements.txt")], ROOT)
    return [str(python), str(folder / "check.py")]


def install_node(folder: Path, home: Path, node: str, npm: str) -> list[str]:
    """Install a JavaScript client; the command that runs it."""
    away = home / "node"
    away.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "check.mjs"):
        shutil.copyfile(folder / name, away / name)
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=5"]
    attempt([npm, "install", *quiet], away)
    attempt([npm, "update", *quiet], away)
    return [node, str(away / "check.mjs")]


def attempt(command: list[str], folder: Path) -> None:
    """Run a program that needs the network, up to three times."""
    for pause in (*range(5, 5 * TRIES, 5), 0):
        done = subprocess.run(command, cwd=folder, timeout=INSTALL_SECONDS, check=False)
        if done.returncode == 0:
            return
        time.sleep(pause)
    raise SystemExit(f"this failed {TRIES} times: {' '.join(command)}")


def run(name: str, command: list[str], steps: list[str]) -> dict[str, str]:
    """Run one client against an emulator of its own; the versions it reports.

    Fails unless it reports every step, each once and in order.
    """
    with emulator(name) as environment:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, timeout=CLIENT_SECONDS, check=False
        )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    passed = [line["step"] for line in said if "step" in line]
    if done.returncode or passed != steps:
        missing = next((step for step in steps if step not in passed), "nothing, but in another order")
        raise SystemExit(f"{command[-1]}: status {done.returncode}; missing: {missing}")
    versions: dict[str, str] = said[-1]["versions"]
    return versions


@contextmanager
def emulator(name: str) -> Iterator[dict[str, str]]:
    """A stand-alone emulator on a free port, and the environment that points a client at it."""
    command = [sys.executable, "-m", "kmsbridge.cli", "emulate", name, "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # empty when the emulator has ended instead
        if not line:
            raise SystemExit(f"the emulator of {name} did not start")
        told = json.loads(line)
        yield {**os.environ, "EMULATOR_URL": told["url"], "EMULATOR_TOKEN": told["token"], **told["environment"]}
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


if __name__ == "__main__":
    main()
