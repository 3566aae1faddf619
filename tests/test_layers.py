"""Imports point one way, downward, and never from the core to a provider."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = [
    {"__main__", "cli", "testing", "contract", "telemetry", "_explain"},
    {""},  # the package itself: what `import kmsbridge` gives
    {"_bridge", "_faces"},
    {"_secrets", "_keys", "_operations", "_envelope"},
    {"_call"},
    {"_registry", "a provider"},
    {"_entra"},
    {"_wire", "_driver", "_retry", "_gate", "_cache", "_telemetry", "_broken_connections", "_held", "_permits"},
    {"_decode", "_runtime", "_model", "_names", "_config", "_options", "_ciphertext", "_aead"},
    {"_errors", "emulation"},
]
"""From the top down. A module may import from its own row and from the rows below."""
HEIGHT = {part: -row for row, parts in enumerate(LAYERS) for part in parts}


def is_core(module: str) -> bool:
    """Whether a module belongs to the core."""
    return module.partition(".")[0] == "kmsbridge"


def part_of(module: str) -> str:
    """The entry of `LAYERS` that a module belongs to."""
    return f"{module}.".split(".")[1] if is_core(module) else "a provider"


def is_emulator(module: str) -> bool:
    """Whether a module speaks a backend's side of the wire."""
    return f"{module}.".split(".")[1] in ("emulator", "emulation")


def sources() -> dict[str, str]:
    """Every module of the core and the providers, by its dotted name."""
    found = {}
    for base, pattern in ((ROOT, "kmsbridge/**/*.py"), (ROOT / "providers", "kmsbridge_*/**/*.py")):
        for path in base.glob(pattern):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path.read_text()
    return found


def imports(module: str, source: str, modules: set[str]) -> list[tuple[str, bool]]:
    """What a module imports of ours, at any depth, and whether it does so when it runs."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, runs: bool) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            runs = False
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in inside]
        found.extend((name, runs) for name in names if name.startswith("kmsbridge"))
        for child in ast.iter_child_nodes(node):
            visit(child, runs)

    visit(ast.parse(source, module), True)
    return found


def offences(modules: dict[str, str]) -> list[str]:
    """Every import that breaks a law, and one circle if there is any."""
    found = []
    graph: dict[str, set[str]] = {}
    for module, source in modules.items():
        for target, runs in imports(module, source, set(modules)):
            package, target_package = module.partition(".")[0], target.partition(".")[0]
            if not is_core(target) and target_package != package:
                found.append(f"{module} imports {target}: neither the core nor a provider may know a provider")
            elif is_emulator(module) and not is_emulator(target):
                found.append(f"{module} imports {target}: an emulator that knew its adapter would prove nothing")
            elif runs and HEIGHT[part_of(target)] > HEIGHT[part_of(module)]:
                found.append(f"{module} imports {target}, which stands above it")
            if runs and target != module:
                graph.setdefault(module, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' <- '.join(error.args[1])}")
    return found


def test_every_module_has_a_layer() -> None:
    """A new module of the core is given its place in `LAYERS` first."""
    assert {part_of(module) for module in sources()} - set(HEIGHT) == set()


def test_imports_point_downward() -> None:
    """No import of the core or of a provider points upward, to a provider, or in a circle."""
    modules = sources()
    assert "kmsbridge._errors" in modules
    assert "kmsbridge_local" in modules
    assert offences(modules) == []


@pytest.mark.parametrize(
    ("module", "line", "says"),
    [
        ("kmsbridge._errors", "import kmsbridge._call", "imports kmsbridge._call, which stands above it"),
        ("kmsbridge._names", "def f():\n    from kmsbridge import _registry", "imports kmsbridge._registry, which"),
        ("kmsbridge._config", "from kmsbridge import Secret", "imports kmsbridge, which stands above it"),
        ("kmsbridge._registry", "import kmsbridge_local", "neither the core nor a provider"),
        ("kmsbridge_local", "import kmsbridge_scaivault", "neither the core nor a provider"),
        ("kmsbridge_local", "from kmsbridge import connect", "imports kmsbridge, which stands above it"),
        ("kmsbridge_local.emulator", "import kmsbridge_local._errors", "would prove nothing"),
        ("kmsbridge._names", "import kmsbridge._config", "a circle: "),
    ],
)
def test_a_wrong_import_is_found(module: str, line: str, says: str) -> None:
    """Each law is broken once, to see that the check can fail."""
    modules = {**sources(), "kmsbridge._config": "import kmsbridge._names\n"}
    modules[module] = f"{modules.get(module, '')}\n{line}\n"
    found = [offence for offence in offences(modules) if says in offence]
    assert found
    assert all(offence.startswith((module, "a circle")) for offence in found)


def test_imports_for_annotations_are_free() -> None:
    """What only a type checker reads may point anywhere."""
    source = "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from kmsbridge._bridge import Bridge\n"
    assert offences({"kmsbridge._errors": source, "kmsbridge._bridge": "import kmsbridge._errors\n"}) == []
