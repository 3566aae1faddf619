"""Runs the vendors' own clients against our emulators, and writes what passed to docs/clients.md.

Each folder beside this file belongs to one emulator. It has the steps that every client
must report (`steps.txt`), a client in Python (`check.py`, with `requirements.txt`) and one
in JavaScript (`check.mjs`, with `package.json`). Clients are installed into the folder
`.venv/clients`, apart from ours. Anything that fails, or is missing, fails the whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
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
    for folder in sorted(path.parent for path in HERE.glob("*/steps.txt")):
        steps = folder.joinpath("steps.txt").read_text().splitlines()
        name = folder.name.replace("_", "-")
        home = INSTALLED / folder.name
        clients = {"Python": install_python(folder, home), "JavaScript": install_node(folder, home, node, npm)}
        for language, command in clients.items():
            started = time.monotonic()
            versions = run(name, command, steps)
            sys.stdout.write(f"{name}, {language}: {len(steps)} steps in {time.monotonic() - started:.1f} s\n")
            shown = "<br>".join(f"{package} {number}" for package, number in versions.items())
            rows.append(f"| {name} | {language} | {shown} | {', '.join(steps)} |\n")
    if not rows:
        raise SystemExit(f"there is no client in {HERE}")
    (ROOT / "docs" / "clients.md").write_text(HEAD + "".join(rows))


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
