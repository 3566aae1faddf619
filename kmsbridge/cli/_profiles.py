"""``kmsbridge init`` and ``kmsbridge profiles``: the configuration file."""

from __future__ import annotations

import os
import re

import click

from kmsbridge import Code, ConflictError, KMSError, Outcome
from kmsbridge._config import FILE_NAME, FILE_VARIABLE, read_file, resolve
from kmsbridge._errors import invalid
from kmsbridge.cli._help import Command
from kmsbridge.cli._options import Chosen, json_option
from kmsbridge.cli._output import note, say, say_json, shown, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from kmsbridge._config import File, Profile

STARTER = """\
# Where kmsbridge connects to. It reads the file that KMSBRIDGE_CONFIG names, else ./kmsbridge.toml,
# else ~/.config/kmsbridge/config.toml. Others must not be able to write it.

# The profile that is used where neither the program nor KMSBRIDGE_PROFILE names one.
default = "local"

# The embedded store: one encrypted file on this machine, nothing to install or start.
# local:/path/to/file.db puts it elsewhere; memory: forgets everything when the program ends.
[profiles.local]
url = "local:"

# A cloud's key service. No secret belongs in this file: credentials come from the cloud's own
# chain, and ${NAME} takes a value from the environment.
#
# [profiles.eu]
# url = "azure-keyvault://${VAULT}"
#
# Where a secret has another name in the backend than in the program:
# [profiles.eu.secrets]
# "billing/db-password" = "LegacyDbPassword"
"""


@click.command(cls=Command, epilog="kmsbridge init")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option
@click.pass_context
def init(context: click.Context, *, force: bool) -> None:
    """Write a starter kmsbridge.toml.

    Its default is an embedded local store. It goes where KMSBRIDGE_CONFIG says, else into the current folder.
    """
    path = os.path.abspath(os.environ.get(FILE_VARIABLE) or FILE_NAME)
    _write_starter(path, force=force)
    if context.ensure_object(Chosen).json:
        say_json({"file": path})
    else:
        say(f"wrote {shown(path)}\nTry: printf %s s3cret | kmsbridge secrets set billing/db-password")


def _write_starter(path: str, *, force: bool) -> None:
    """Write it, readable by its owner only; what is there is replaced whole or not at all."""
    fresh = f"{path}.{os.getpid()}" if force else path
    problem = ""
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(STARTER)
        if force:
            os.replace(fresh, path)
    except FileExistsError:
        pass
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "no legal path"
    else:
        return
    if problem:
        raise invalid(f"{path} cannot be written: {problem}", "file",
                      remediation=f"Go to a folder that you can write, or name a file in {FILE_VARIABLE}.")
    raise ConflictError(
        f"{path} is there already", code=Code.ALREADY_EXISTS, outcome=Outcome.NOT_APPLIED,
        remediation="Edit it, or replace it with: kmsbridge init --force",
    )


@click.command(cls=Command, epilog="kmsbridge profiles")
@json_option
@click.pass_context
def profiles(context: click.Context) -> None:
    """Show the profiles, and where each value comes from.

    Also which profile is used, and why. Values are shown as they stand in the file: what ${NAME}
    stands for is not printed.
    """
    chosen, problem = _default()
    file = read_file()
    listed = [] if file is None else [_record(file, name, chosen) for name in file.profiles]
    if chosen is not None and chosen.name is None:
        listed.append({"name": None, "used": True, "problem": None, "values": [
            {"setting": "url", "value": chosen.url, "from": chosen.origin["url"]},
        ]})
    if not listed and problem is not None:
        raise problem
    chosen_by = None if chosen is None else chosen.origin["url" if chosen.name is None else "profile"]
    if context.ensure_object(Chosen).json:
        say_json({
            "file": None if file is None else file.path,
            "used": None if chosen is None else {"profile": chosen.name, "url": chosen.url, "because": chosen_by},
            "profiles": listed,
        })
        return
    rows = [
        ("*" if each["used"] else "", each["name"] or "(no profile)", value["setting"], value["value"], value["from"])
        for each in listed for value in each["values"]
    ]
    table(("used", "profile", "setting", "value", "from"), rows)
    if chosen is not None:
        say(f"used: {shown(chosen.name or chosen.url)}, because of {shown(str(chosen_by))}")
    for trouble in [each["problem"] for each in listed] if problem is None else [problem.to_dict()]:
        if trouble is not None:
            note(f"{shown(trouble['message'])}\n-> {shown(trouble['remediation'])}")


def _default() -> tuple[Profile | None, KMSError | None]:
    """What a program would connect to that names no target; or why it could not."""
    try:
        return resolve(), None
    except KMSError as error:
        return None, error


def _record(file: File, name: str, chosen: Profile | None) -> dict[str, Any]:
    problem = None
    try:
        file.profile(name, "")
    except KMSError as error:
        problem = error.to_dict()
    return {
        "name": name,
        "used": chosen is not None and chosen.name == name,
        "problem": problem,
        "values": [
            {"setting": setting, "value": value, "from": _origin(value, file.path)}
            for setting, value in _flat(file.profiles[name], "")
        ],
    }


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Every value of a profile, by its dotted name."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _origin(value: str, path: str) -> str:
    names = dict.fromkeys(re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value))
    found = [f"{name} {'from the environment' if name in os.environ else 'not set'}" for name in names]
    return ", ".join([path, *found])
