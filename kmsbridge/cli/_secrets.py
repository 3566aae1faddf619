"""``kmsbridge secrets``: one command per operation of ``bridge.secrets``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime

import click

from kmsbridge._errors import invalid
from kmsbridge.cli._files import read_small, write_file
from kmsbridge.cli._help import Group, help_if_alone
from kmsbridge.cli._options import Chosen, confirm, pairs, target_options, yes_option
from kmsbridge.cli._output import is_terminal, note, plain_text, say, say_bytes, say_json, short_time, shown, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kmsbridge import Secret, SecretInfo


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="printf %s s3cret | kmsbridge secrets set billing/db-password\n"
           "kmsbridge secrets get billing/db-password",
)
@target_options
@click.pass_context
def secrets(context: click.Context) -> None:
    """Read, write and delete secrets."""
    help_if_alone(context)


@secrets.command(
    epilog="kmsbridge secrets get billing/db-password\n"
           "kmsbridge secrets get tls/key --output key.pem",
)
@click.argument("name")
@click.option("--version", help="This version instead of the latest.")
@click.option("--output", metavar="FILE", help="Write the value to a file that only you can read.")
@target_options
@click.pass_context
def get(context: click.Context, name: str, *, version: str | None, output: str | None) -> None:
    """Print the value of a secret, exactly as it was set.

    On a terminal a line break is added, and what is not plain text is refused.
    """
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        secret = bridge.secrets.get(name, version)
    if output is not None:
        write_file(output, secret.bytes, private=True)
    if chosen.json:
        say_json(_with_value(secret) if output is None else _without_value(secret))
    elif output is not None:
        note(f"{shown(name)} version {shown(secret.version)} is in {shown(output)}")
    elif not is_terminal(sys.stdout):
        say_bytes(secret.bytes)
    elif (text := plain_text(secret.bytes)) is not None:
        say(text)
    else:
        raise invalid(
            f"the value of {name!r} is not plain text, and is not printed on a terminal",
            remediation="Redirect it (> FILE), or give --output FILE.",
        )


@secrets.command(
    "set",
    context_settings={"allow_extra_args": True},
    epilog="printf %s s3cret | kmsbridge secrets set billing/db-password\n"
           "kmsbridge secrets set tls/key --file key.pem --tag team=payments",
)
@click.argument("name")
@click.option("--file", metavar="FILE", help="Take the value from a file.")
@click.option("--bytes", "as_bytes", is_flag=True, help="Store it as bytes, even if it is text.")
@click.option("--content-type", help="What the value is, such as application/json.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@click.option("--expires-at", metavar="TIME", help="Such as 2030-01-31T12:00:00Z.")
@click.option("--if-absent", is_flag=True, help="Only create; an existing secret is an error.")
@target_options
@click.pass_context
def set_(
    context: click.Context,
    name: str,
    *,
    file: str | None,
    as_bytes: bool,
    content_type: str | None,
    tags: tuple[str, ...],
    expires_at: str | None,
    if_absent: bool,
) -> None:
    """Store a value as the latest version of a secret; create the secret if it is missing.

    The value is read from a pipe, from --file, or asked for without being shown. It is stored
    exactly as read, a line break at its end included; it is text if it is UTF-8, else bytes.
    """
    if context.args:
        raise invalid(
            "a value is never taken from the command line, where others on this machine can read it",
            remediation="Pipe it in, give --file FILE, or leave both out to be asked for it.",
        )
    chosen = context.ensure_object(Chosen)
    labels, expiry = pairs(tags, "--tag"), _time(expires_at)
    with chosen.bridge() as bridge:
        secret = bridge.secrets.set(
            name, _value(file, as_bytes=as_bytes),
            content_type=content_type, tags=labels, expires_at=expiry, if_absent=if_absent,
        )
    if chosen.json:
        say_json(_without_value(secret))
    else:
        say(f"{shown(secret.name)} version {shown(secret.version)}")


@secrets.command("list", epilog="kmsbridge secrets list billing/")
@click.argument("prefix", default="")
@target_options
@click.pass_context
def list_(context: click.Context, prefix: str) -> None:
    """List secrets, without values; with PREFIX those whose name starts with it."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        _show(chosen, bridge.secrets.list(prefix))


@secrets.command(epilog="kmsbridge secrets versions billing/db-password")
@click.argument("name")
@target_options
@click.pass_context
def versions(context: click.Context, name: str) -> None:
    """List the versions of a secret, newest first."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        _show(chosen, bridge.secrets.versions(name))


@secrets.command(epilog="kmsbridge secrets update billing/db-password --disable")
@click.argument("name")
@click.option("--version", help="This version instead of the latest.")
@click.option("--enable/--disable", "enabled", default=None, help="Whether the value can be read.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A label, instead of those there; repeatable.")
@click.option("--no-tags", is_flag=True, help="Take all labels away.")
@click.option("--expires-at", metavar="TIME", help="Such as 2030-01-31T12:00:00Z.")
@target_options
@click.pass_context
def update(
    context: click.Context,
    name: str,
    *,
    version: str | None,
    enabled: bool | None,
    tags: tuple[str, ...],
    no_tags: bool,
    expires_at: str | None,
) -> None:
    """Change what is said of a version; its value stays."""
    if tags and no_tags:
        raise click.UsageError("--tag and --no-tags exclude each other")
    labels = {} if no_tags else pairs(tags, "--tag")
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        info = bridge.secrets.update(name, version=version, enabled=enabled, tags=labels, expires_at=_time(expires_at))
    _done(chosen, "updated", info)


@secrets.command(epilog="kmsbridge secrets delete billing/db-password")
@click.argument("name")
@yes_option
@target_options
@click.pass_context
def delete(context: click.Context, name: str, *, yes: bool) -> None:
    """Delete a secret with all its versions. Asks first where it could not be recovered."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        if not bridge.capabilities.secrets.recover:
            confirm(f"{name!r} cannot be recovered after this", yes=yes)
        info = bridge.secrets.delete(name)
    _done(chosen, "deleted", info)


@secrets.command(epilog="kmsbridge secrets deleted")
@target_options
@click.pass_context
def deleted(context: click.Context) -> None:
    """List the deleted secrets that can still be recovered."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        infos = list(bridge.secrets.deleted())
    if chosen.json:
        say_json([asdict(info) for info in infos])
    elif infos:
        rows = [(info.name, short_time(info.deleted_at), short_time(info.purge_at)) for info in infos]
        table(("name", "deleted", "removed for good"), rows)
    else:
        note("no deleted secrets")


@secrets.command(epilog="kmsbridge secrets recover billing/db-password")
@click.argument("name")
@target_options
@click.pass_context
def recover(context: click.Context, name: str) -> None:
    """Bring a deleted secret back, with all its versions."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        info = bridge.secrets.recover(name)
    _done(chosen, "recovered", info)


@secrets.command(epilog="kmsbridge secrets purge billing/db-password --yes")
@click.argument("name")
@yes_option
@target_options
@click.pass_context
def purge(context: click.Context, name: str, *, yes: bool) -> None:
    """Remove a deleted secret for good. Asks first."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        confirm(f"{name!r} will be gone for good", yes=yes)
        bridge.secrets.purge(name)
    if chosen.json:
        say_json({"name": name, "purged": True})
    else:
        say(f"purged {shown(name)}")


# -- values in --------------------------------------------------------------------------


def _value(file: str | None, *, as_bytes: bool) -> str | bytes:
    if file is None and is_terminal(sys.stdin):
        text: str = click.prompt("Value (not shown)", hide_input=True, confirmation_prompt=True, err=True)
        return text.encode("utf-8", "surrogateescape") if as_bytes else text
    read = read_small("-" if file is None else file, "value")
    if as_bytes:
        return read
    try:
        return read.decode()
    except UnicodeDecodeError:
        return read


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.utcoffset() is None:
        raise click.UsageError("--expires-at takes a time with its zone, such as 2030-01-31T12:00:00Z")
    return time


# -- values and lists out ---------------------------------------------------------------


def _without_value(secret: Secret) -> dict[str, Any]:
    record = asdict(secret)
    del record["value"]
    return record


def _with_value(secret: Secret) -> dict[str, Any]:
    """With ``value``, or ``value_base64`` for bytes; the other one is null."""
    from base64 import b64encode

    text = secret.value if isinstance(secret.value, str) else None
    encoded = b64encode(secret.value).decode() if isinstance(secret.value, bytes) else None
    return {**_without_value(secret), "value": text, "value_base64": encoded}


def _show(chosen: Chosen, infos: Iterable[SecretInfo]) -> None:
    found = list(infos)
    if chosen.json:
        say_json([asdict(info) for info in found])
    elif found:
        rows = [
            (
                info.name, info.version or "", "yes" if info.enabled else "no",
                short_time(info.created_at), short_time(info.expires_at), info.content_type or "",
                " ".join(f"{key}={value}" for key, value in info.tags.items()),
            )
            for info in found
        ]
        table(("name", "version", "enabled", "created", "expires", "content type", "tags"), rows)
    else:
        note("no secrets")


def _done(chosen: Chosen, what: str, info: SecretInfo) -> None:
    if chosen.json:
        say_json(asdict(info))
    else:
        say(f"{what} {shown(info.name)}")
