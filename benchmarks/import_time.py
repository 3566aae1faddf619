"""What `import kmsbridge` costs a fresh interpreter, beside other packages. Target: 25 ms, 6 MiB."""

from __future__ import annotations

import statistics
import subprocess
import sys
from importlib.util import find_spec

ROUNDS = 15
IMPORTS = {
    "(nothing)": "pass",
    "kmsbridge": "import kmsbridge",
    "dataclasses": "import dataclasses",
    "asyncio": "import asyncio",
    "cryptography": "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
    "click": "import click",
    "keyring": "import keyring",
    "tenacity": "import tenacity",
    "stamina": "import stamina",
    "urllib3": "import urllib3",
    "aiohttp": "import aiohttp",
    "azure": "import azure.keyvault.secrets",
}
PROBE = """
import sys, time
with open("/proc/self/statm") as stream: before = int(stream.read().split()[1])
modules, start = len(sys.modules), time.perf_counter()
{statement}
seconds = time.perf_counter() - start
with open("/proc/self/statm") as stream: pages = int(stream.read().split()[1]) - before
print(seconds * 1e3, pages * 4 / 1024, len(sys.modules) - modules)
"""


def measure(statement: str) -> tuple[float, ...]:
    """Milliseconds, MiB and modules that a statement costs in one fresh interpreter."""
    command = [sys.executable, "-c", PROBE.format(statement=statement)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return tuple(float(word) for word in printed.split())


def main() -> None:
    """Print one row for each package that is installed."""
    names = [name for name in IMPORTS if name == "(nothing)" or find_spec(name) is not None]
    rounds: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    for turn in range(ROUNDS + 1):  # the first turn warms the page cache and the compiled files
        for name in names:
            figures = measure(IMPORTS[name])
            if turn:
                rounds[name].append(figures)
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in rounds.items()}
    own = medians["kmsbridge"]
    print(f"{'import':14} {'ms':>7} {'MiB':>6} {'modules':>8} {'times kmsbridge':>16}")
    for name, (milliseconds, mebibytes, modules) in medians.items():
        print(f"{name:14} {milliseconds:7.1f} {mebibytes:6.1f} {modules:8.0f} {milliseconds / own[0]:16.2f}")


main()
