"""``kmsbridge keys``: one command per operation of ``bridge.keys`` that a person has a use for."""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from dataclasses import asdict

import click

from kmsbridge import KeySpec, Signature, SignatureAlgorithm
from kmsbridge._errors import invalid
from kmsbridge.cli._files import read_digest, read_large, read_small, write_file
from kmsbridge.cli._help import Group, help_if_alone
from kmsbridge.cli._options import Chosen, confirm, pairs, target_options, yes_option
from kmsbridge.cli._output import (
    NOT_VALID,
    is_terminal,
    note,
    plain_text,
    say,
    say_bytes,
    say_json,
    short_time,
    shown,
    table,
)
from kmsbridge.cli._progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kmsbridge import Key

_MAGIC = {"ciphertext": b"KMBC", "envelope": b"KMBE"}
"""How what is to be opened begins; anything else is taken for the Base64 of it."""


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="kmsbridge keys create billing-kek AES_256\n"
    "kmsbridge keys seal billing-kek --in cards.csv --out cards.sealed --context tenant=acme\n"
    "kmsbridge keys unseal billing-kek --in cards.sealed --context tenant=acme",
)
@target_options
@click.pass_context
def keys(context: click.Context) -> None:
    """Make and use keys: seal data, sign it, look after the keys."""
    help_if_alone(context)


# -- what becomes of a key --------------------------------------------------------------


@keys.command(epilog="kmsbridge keys create billing-kek AES_256 --tag team=payments")
@click.argument("name")
@click.argument("kind", type=click.Choice([spec.value for spec in KeySpec]))
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@target_options
@click.pass_context
def create(context: click.Context, name: str, kind: str, *, tags: tuple[str, ...]) -> None:
    """Make a key of this KIND. AES and RSA keys seal and encrypt, RSA and EC keys sign."""
    chosen = context.ensure_object(Chosen)
    labels = pairs(tags, "--tag")
    with chosen.bridge() as bridge:
        key = bridge.keys.create(name, kind, tags=labels)
    _done(chosen, "created", key)


@keys.command("list", epilog="kmsbridge keys list billing")
@click.argument("prefix", default="")
@target_options
@click.pass_context
def list_(context: click.Context, prefix: str) -> None:
    """List keys; with PREFIX those whose name starts with it."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        found = list(bridge.keys.list(prefix))
    if chosen.json:
        say_json([asdict(key) for key in found])
    elif found:
        table(
            ("name", "version", "kind", "state", "created", "tags"),
            [
                (key.name, key.version or "", key.spec or "", _state(key), short_time(key.created_at), _tags(key))
                for key in found
            ],
        )
    else:
        note("no keys")


@keys.command(epilog="kmsbridge keys show billing-kek")
@click.argument("name")
@target_options
@click.pass_context
def show(context: click.Context, name: str) -> None:
    """Show a key with its versions, newest first; never its material."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        key = bridge.keys.get(name)
        versions = list(bridge.keys.versions(name)) if bridge.capabilities.keys.versions else []
    if chosen.json:
        say_json({**asdict(key), "versions": [asdict(version) for version in versions]})
        return
    say(", ".join(filter(None, (f"{shown(key.name)}: {key.spec or 'unknown kind'}", _state(key), shown(_tags(key))))))
    table(
        ("version", "state", "created"),
        [(version.version or "", _enabled(version), short_time(version.created_at)) for version in versions],
    )


@keys.command(epilog="kmsbridge keys rotate billing-kek")
@click.argument("name")
@target_options
@click.pass_context
def rotate(context: click.Context, name: str) -> None:
    """Make a new version of a key; what was sealed under the old ones still opens."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        key = bridge.keys.rotate(name)
    _done(chosen, "rotated", key)


@keys.command(epilog="kmsbridge keys enable billing-kek")
@click.argument("name")
@click.option("--version", help="Only this version.")
@target_options
@click.pass_context
def enable(context: click.Context, name: str, *, version: str | None) -> None:
    """Allow the use of a key again."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        key = bridge.keys.enable(name, version=version)
    _done(chosen, "enabled", key)


@keys.command(epilog="kmsbridge keys disable billing-kek")
@click.argument("name")
@click.option("--version", help="Only this version.")
@target_options
@click.pass_context
def disable(context: click.Context, name: str, *, version: str | None) -> None:
    """Forbid the use of a key, until it is enabled."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        key = bridge.keys.disable(name, version=version)
    _done(chosen, "disabled", key)


@keys.command(epilog="kmsbridge keys delete billing-kek --days 30")
@click.argument("name")
@click.option("--days", type=int, help="How long the deletion can be cancelled; else what the backend has.")
@yes_option
@target_options
@click.pass_context
def delete(context: click.Context, name: str, *, days: int | None, yes: bool) -> None:
    """Schedule the deletion of a key with all its versions. Asks first.

    From now on it cannot be used, and after the date nothing that was sealed under it can ever be
    opened. Until then `cancel-deletion` keeps it.
    """
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        confirm(f"{name!r} cannot be used from now on, and goes for good with all that is sealed under it", yes=yes)
        key = bridge.keys.schedule_deletion(name, days=days)
    if chosen.json:
        say_json(asdict(key))
    else:
        say(f"{shown(key.name)} goes on {short_time(key.deletes_at) or 'a date that the backend does not say'}")


@keys.command("cancel-deletion", epilog="kmsbridge keys cancel-deletion billing-kek")
@click.argument("name")
@target_options
@click.pass_context
def cancel_deletion(context: click.Context, name: str) -> None:
    """Keep a key that is scheduled for deletion."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        key = bridge.keys.cancel_deletion(name)
    _done(chosen, "kept", key)


@keys.command("public-key", epilog="kmsbridge keys public-key billing-signer --out signer.pem")
@click.argument("name")
@click.option("--version", help="This version instead of the latest.")
@click.option("--jwk", is_flag=True, help="As a JSON Web Key instead of PEM.")
@click.option("--out", metavar="FILE", help="Write it to a file.")
@target_options
@click.pass_context
def public_key(context: click.Context, name: str, *, version: str | None, jwk: bool, out: str | None) -> None:
    """Print the public half of an RSA or EC key."""
    chosen = context.ensure_object(Chosen)
    with chosen.bridge() as bridge:
        key = bridge.keys.public_key(name, version)
    text = json.dumps(key.jwk()) + "\n" if jwk else key.pem
    if out is not None and out != "-":
        write_file(out, text.encode(), private=False)
        if not chosen.json:
            note(f"the public key of {shown(key.name)} version {shown(key.version)} is in {shown(out)}")
    elif not chosen.json:
        say_bytes(text.encode())
    if chosen.json:
        say_json({**asdict(key), "jwk": key.jwk()})


# -- what a key does --------------------------------------------------------------------


def _chosen(context: click.Context) -> Chosen:
    if context.args:
        raise invalid(
            "data is never taken from the command line, where others on this machine can read it",
            remediation="Pipe it in, or give --in FILE.",
        )
    return context.ensure_object(Chosen)


_WORDS = {"allow_extra_args": True}
"""So that data among the arguments is refused by `_chosen`, which does not repeat it."""
_in_option = click.option("--in", "source", metavar="FILE", help="Read a file instead of a pipe.")
_out_option = click.option("--out", metavar="FILE", help="Write to a file, whole or not at all.")
_context_option = click.option(
    "--context", "said", multiple=True, metavar="NAME=VALUE", help="Must be said again to open it; may be repeated."
)
_base64_option = click.option("--base64", "as_base64", is_flag=True, help="Base64 text also in a pipe or file.")
_algorithms = click.Choice([algorithm.value for algorithm in SignatureAlgorithm])
_digest_option = click.option("--digest", is_flag=True, help="What is read is the digest, not the message.")


@keys.command(
    "seal",
    context_settings=_WORDS,
    epilog="kmsbridge keys seal billing-kek --in cards.csv --out cards.sealed --context tenant=acme",
)
@click.argument("name")
@_in_option
@_out_option
@_context_option
@_base64_option
@target_options
@click.pass_context
def seal(
    context: click.Context, name: str, *,
    source: str | None, out: str | None, said: tuple[str, ...], as_base64: bool,
) -> None:  # fmt: skip
    """Encrypt data of any size, in this process, under a data key that the backend's key wraps."""
    chosen = _chosen(context)
    pairs_said = pairs(said, "--context")
    with Progress() as progress, chosen.bridge() as bridge:
        data = read_large(source, "data", progress)
        progress.stage("sealing", len(data))
        envelope = bridge.keys.seal(name, data, context=pairs_said)
        progress.advance(len(data))
        del data
        _give(chosen, out, envelope, {"key": name}, "envelope", as_base64=as_base64, progress=progress)


@keys.command(
    "unseal",
    context_settings=_WORDS,
    epilog="kmsbridge keys unseal billing-kek --in cards.sealed --out cards.csv --context tenant=acme",
)
@click.argument("name")
@_in_option
@_out_option
@_context_option
@target_options
@click.pass_context
def unseal(context: click.Context, name: str, *, source: str | None, out: str | None, said: tuple[str, ...]) -> None:
    """Decrypt what was sealed under this key. Nothing is given out before all of it has been checked.

    On a terminal a line break is added, and what is not plain text is refused.
    """
    chosen = _chosen(context)
    pairs_said = pairs(said, "--context")
    with Progress() as progress, chosen.bridge() as bridge:
        envelope = _decoded(read_large(source, "envelope", progress), "envelope")
        progress.stage("opening", len(envelope))
        data = bridge.keys.unseal(name, envelope, context=pairs_said)
        progress.advance(len(envelope))
        del envelope
        _give_plain(chosen, out, data, name, progress)


@keys.command(
    "encrypt",
    context_settings=_WORDS,
    epilog="printf %s 4111 | kmsbridge keys encrypt billing-kek --context tenant=acme --out card.enc",
)
@click.argument("name")
@_in_option
@_out_option
@_context_option
@_base64_option
@target_options
@click.pass_context
def encrypt(
    context: click.Context, name: str, *,
    source: str | None, out: str | None, said: tuple[str, ...], as_base64: bool,
) -> None:  # fmt: skip
    """Encrypt with the backend's own operation and within its limits; `seal` has none."""
    chosen = _chosen(context)
    pairs_said = pairs(said, "--context")
    with chosen.bridge() as bridge:
        ciphertext = bridge.keys.encrypt(name, read_small(source, "plaintext"), context=pairs_said)
    record = {"key": name, "version": ciphertext.version, "algorithm": ciphertext.algorithm}
    _give(chosen, out, bytes(ciphertext), record, "ciphertext", as_base64=as_base64)


@keys.command(
    "decrypt",
    context_settings=_WORDS,
    epilog="kmsbridge keys decrypt billing-kek --in card.enc --context tenant=acme",
)
@click.argument("name")
@_in_option
@_out_option
@_context_option
@target_options
@click.pass_context
def decrypt(context: click.Context, name: str, *, source: str | None, out: str | None, said: tuple[str, ...]) -> None:
    """Decrypt what `encrypt` made under this key.

    On a terminal a line break is added, and what is not plain text is refused.
    """
    chosen = _chosen(context)
    pairs_said = pairs(said, "--context")
    with chosen.bridge() as bridge:
        ciphertext = _decoded(read_small(source, "ciphertext"), "ciphertext")
        plaintext = bridge.keys.decrypt(name, ciphertext, context=pairs_said)
    _give_plain(chosen, out, plaintext, name)


@keys.command(
    "sign",
    context_settings=_WORDS,
    epilog="kmsbridge keys sign billing-signer --algorithm ES256 --in report.pdf --out report.sig",
)
@click.argument("name")
@_in_option
@_out_option
@click.option("--algorithm", required=True, type=_algorithms, help="How, by the names of RFC 7518.")
@_digest_option
@_base64_option
@target_options
@click.pass_context
def sign(
    context: click.Context, name: str, *,
    source: str | None, out: str | None, algorithm: str, digest: bool, as_base64: bool,
) -> None:  # fmt: skip
    """Sign data of any size with the latest version of a key.

    The output of --json says which version that was; `verify` takes it as the signature.
    """
    chosen = _chosen(context)
    with chosen.bridge() as bridge:
        hashed = _hashed(source, algorithm, digest=digest)
        signature = bridge.keys.sign(name, digest=hashed, algorithm=algorithm)
    record = {"key": name, "version": signature.version, "algorithm": signature.algorithm.value}
    _give(chosen, out, bytes(signature), record, "signature", as_base64=as_base64)


@keys.command(
    "verify",
    context_settings=_WORDS,
    epilog="kmsbridge keys verify billing-signer --algorithm ES256 --signature report.sig --in report.pdf",
)
@click.argument("name")
@_in_option
@click.option("--signature", "signature_file", required=True, metavar="FILE", help="Bytes, Base64, or JSON of `sign`.")
@click.option("--algorithm", type=_algorithms, help="How it was signed, where the signature does not say it.")
@click.option("--version", help="The version of the key that signed; else the signature's, else the latest.")
@_digest_option
@target_options
@click.pass_context
def verify(
    context: click.Context, name: str, *,
    source: str | None, signature_file: str, algorithm: str | None, version: str | None, digest: bool,
) -> None:  # fmt: skip
    """Tell whether a signature is that of this key: `valid`, or `not valid` with exit status 20."""
    chosen = _chosen(context)
    signature = _signature(read_small(signature_file, "signature"))
    how = algorithm or (signature.algorithm if isinstance(signature, Signature) else None)
    if how is None:
        raise click.UsageError("a signature without its JSON needs --algorithm")
    with chosen.bridge() as bridge:
        hashed = _hashed(source, how, digest=digest)
        valid = bridge.keys.verify(name, signature=signature, digest=hashed, algorithm=how, version=version)
    if chosen.json:
        say_json({"key": name, "valid": valid})
    else:
        say("valid" if valid else "not valid")
    if not valid:
        raise click.exceptions.Exit(NOT_VALID)


# -- data in ----------------------------------------------------------------------------


def _hashed(source: str | None, algorithm: str, *, digest: bool) -> bytes:
    if digest:
        return read_small(source, "digest")
    with Progress() as progress:
        return read_digest(source, "data", f"sha{algorithm[2:]}", progress)


def _decoded(content: bytes, what: str) -> bytes:
    """Ciphertext or envelope, from its bytes or the Base64 of them; whether it is one the library says."""
    return content if content.startswith(_MAGIC[what]) else _unencoded(content)


def _unencoded(content: bytes) -> bytes:
    try:
        return b64decode(content.translate(None, b" \t\r\n"), validate=True)
    except ValueError:
        return content


def _signature(content: bytes) -> Signature | bytes:
    """A signature from the JSON of `sign`, from Base64, or as it is."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return _unencoded(content)
    try:
        value = b64decode(record["signature_base64"], validate=True)
        return Signature(record["key"], record["version"], SignatureAlgorithm(record["algorithm"]), value)
    except (KeyError, TypeError, ValueError):
        pass  # raised below, with nothing hanging on it
    raise invalid(
        "the signature is JSON, and not that of `kmsbridge keys sign --json`",
        "signature",
        remediation="Name a file that `sign` wrote.",
    )


# -- data out ---------------------------------------------------------------------------


def _give(
    chosen: Chosen, out: str | None, content: bytes, record: dict[str, Any], what: str, *,
    as_base64: bool, progress: Progress | None = None,
) -> None:  # fmt: skip
    """Ciphertext, envelope or signature: bytes to a pipe or file, Base64 to a terminal."""
    if out is not None and out != "-":
        write_file(out, b64encode(content) + b"\n" if as_base64 else content, private=False, progress=progress)
        if chosen.json:
            say_json({**record, "out": out})
        else:
            note(f"the {what} is in {shown(out)}")
    elif chosen.json:
        say_json({**record, f"{what}_base64": b64encode(content).decode()})
    elif as_base64 or is_terminal(sys.stdout):
        say(b64encode(content).decode())
    else:
        say_bytes(content)


def _give_plain(
    chosen: Chosen, out: str | None, content: bytes, name: str, progress: Progress | None = None
) -> None:  # fmt: skip
    """Plaintext: exact to a pipe or to a file that only the user can read; to a terminal if it is plain text."""
    if out is not None and out != "-":
        write_file(out, content, private=True, progress=progress)
        if chosen.json:
            say_json({"key": name, "out": out})
        else:
            note(f"the plaintext is in {shown(out)}")
    elif chosen.json:
        text = _text(content)
        encoded = b64encode(content).decode() if text is None else None
        say_json({"key": name, "plaintext": text, "plaintext_base64": encoded})
    elif not is_terminal(sys.stdout):
        say_bytes(content)
    elif (text := plain_text(content)) is not None:
        say(text)
    else:
        raise invalid(
            "the plaintext is not plain text, and is not printed on a terminal",
            remediation="Redirect it (> FILE), or give --out FILE.",
        )


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


# -- keys -------------------------------------------------------------------------------


def _done(chosen: Chosen, what: str, key: Key) -> None:
    if chosen.json:
        say_json(asdict(key))
    else:
        say(f"{what} {shown(key.name)}" + (f" version {shown(key.version)}" if key.version else ""))


def _state(key: Key) -> str:
    return _enabled(key) if key.deletes_at is None else f"goes on {short_time(key.deletes_at)}"


def _enabled(key: Key) -> str:
    return "enabled" if key.enabled else "disabled"


def _tags(key: Key) -> str:
    return " ".join(f"{name}={value}" for name, value in key.tags.items())
