"""Where a bridge connects to: argument, environment, file; and where each value came from.

The file is ``KMSBRIDGE_CONFIG``, else ``./kmsbridge.toml``, else
``$XDG_CONFIG_HOME/kmsbridge/config.toml``. An argument wins over ``KMSBRIDGE_PROFILE``,
and that over ``default`` in the file. What holds a ``:`` is a URL, else it names a profile.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple, cast

from kmsbridge._errors import InvalidRequestError, Outcome, PreconditionError, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_VARIABLE = "KMSBRIDGE_CONFIG"
PROFILE_VARIABLE = "KMSBRIDGE_PROFILE"
FILE_NAME = "kmsbridge.toml"
_TOP_KEYS = ("default", "profiles")
_PROFILE_KEYS = ("url", "secrets", "keys", "retry", "options")
_VARIABLE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?")


class Location(NamedTuple):
    """A URL taken apart, with what else a provider needs to open it."""

    scheme: str
    host: str
    path: str
    parameters: Mapping[str, str]
    options: Mapping[str, Any]
    credential: object | None


class Profile(NamedTuple):
    """What one bridge is made from."""

    name: str | None
    """None where a URL was given."""
    url: str
    secrets: Mapping[str, str]
    """Portable to native secret names."""
    keys: Mapping[str, str]
    """Portable to native key names."""
    retry: Mapping[str, Any]
    """How calls are tried again, as `RetryPolicy` has it."""
    options: Mapping[str, Any]
    origin: Mapping[str, str]
    """Where each value came from, for people."""

    def location(self, credential: object | None = None) -> Location:
        """The URL taken apart.

        Raises:
            InvalidRequestError: It is malformed.
        """
        return parse_url(self.url)._replace(options=self.options, credential=credential)

    def blame(self, error: InvalidRequestError) -> None:
        """Let an error say which profile of which file it is about."""
        if self.name is not None:
            error.args = (f"{self.origin['url']}: profiles.{self.name}: {error.message}",)


class File(NamedTuple):
    """A configuration file, read and checked."""

    path: str
    default: str | None
    profiles: Mapping[str, Mapping[str, Any]]

    def profile(self, name: str, chosen_by: str) -> Profile:
        """One of its profiles, with ``${VAR}`` replaced.

        Raises:
            InvalidRequestError: There is no such profile, or a variable in it is not set.
        """
        if name not in self.profiles:
            hint = f"Profiles there: {', '.join(sorted(self.profiles)) or 'none'}."
            raise invalid(f"there is no profile {name!r} in {self.path}", "profile", remediation=hint)
        table = self.profiles[name]
        origin = {"profile": chosen_by, **dict.fromkeys(table, self.path)}
        expanded = cast("Mapping[str, Any]", _expanded(table, f"profiles.{name}", self.path))
        secrets, keys, retry, options = (expanded.get(table, {}) for table in ("secrets", "keys", "retry", "options"))
        return Profile(name, expanded["url"], secrets, keys, retry, options, origin)


def resolve(target: str | None = None) -> Profile:
    """What to connect to.

    Args:
        target: A URL or the name of a profile; None leaves it to environment and file.

    Raises:
        InvalidRequestError: Nothing says where, or what says it is wrong.
        PreconditionError: Others may write the file.
    """
    chosen_by = "argument"
    if target is None:
        target, chosen_by = os.environ.get(PROFILE_VARIABLE) or None, PROFILE_VARIABLE
    if target is not None and not isinstance(target, str):
        hint = "Give a URL such as 'local:', or the name of a profile."
        raise invalid(f"the target must be a str, not {type(target).__name__}", "target", remediation=hint)
    if target is not None and ":" in target:
        return Profile(None, target, {}, {}, {}, {}, {"url": chosen_by})
    file = read_file()
    if target is None and file is not None and file.default is not None:
        target, chosen_by = file.default, f"default in {file.path}"
    if target is None:
        raise invalid(
            "nothing says where to connect to",
            "target",
            remediation="Run `kmsbridge init`, set KMSBRIDGE_PROFILE, or connect('local:') for the embedded store.",
        )
    if file is None:
        raise invalid(
            f"profile {target!r} is asked for, and there is no configuration file",
            "profile",
            remediation="Run `kmsbridge init`, or give a URL such as 'local:'.",
        )
    return file.profile(target, chosen_by)


# -- the file ---------------------------------------------------------------------------


def find_file() -> str | None:
    """The path of the configuration file; None where there is none."""
    if named := os.environ.get(FILE_VARIABLE):
        return named
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for path in (FILE_NAME, os.path.join(home, "kmsbridge", "config.toml")):
        if os.path.exists(path):
            return os.path.abspath(path)
    return None


def read_file() -> File | None:
    """The configuration file, checked; None where there is none.

    Raises:
        InvalidRequestError: It cannot be read, is no TOML, or holds an unknown key.
        PreconditionError: Others may write it.
    """
    import tomllib

    path = find_file()
    if path is None:
        return None
    problem, content = "", dict[str, Any]()
    try:
        with open(path, "rb") as stream:
            _check_owner(path, os.fstat(stream.fileno()))
            text = stream.read().decode()
        content = tomllib.loads(text)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        problem = f"is no valid TOML: {error}"
    except (ValueError, RecursionError):  # of the parser, at numbers too long and arrays too deep
        problem = "is no valid TOML: a value in it is too long or too deep"
    if problem:
        raise invalid(f"{path} {problem}", "file", remediation="Correct the file, or name another in KMSBRIDGE_CONFIG.")
    _check_keys(content, _TOP_KEYS, path, "")
    profiles = content.get("profiles", {})
    _check_table(profiles, path, "profiles")
    for name, table in profiles.items():
        _check_profile(table, path, f"profiles.{name}")
    default = content.get("default")
    if default is not None and not isinstance(default, str):
        hint = 'Write default = "name", with [profiles.name] below.'
        raise invalid(f"{path}: 'default' must be the name of a profile", "default", remediation=hint)
    return File(path, default, profiles)


def _check_owner(path: str, status: os.stat_result) -> None:
    if not hasattr(os, "getuid"):
        return
    if status.st_mode & 0o022 or status.st_uid not in (0, os.getuid()):
        raise PreconditionError(
            f"{path} can be written by others, who could point this program at a store of theirs",
            outcome=Outcome.NOT_SENT,
            remediation=f"chown it to yourself, and: chmod go-w {path}",
        )


def _check_profile(table: object, path: str, where: str) -> None:
    _check_table(table, path, where)
    profile = cast("Mapping[str, Any]", table)
    _check_keys(profile, _PROFILE_KEYS, path, where)
    if not isinstance(profile.get("url"), str):
        raise invalid(f"{path}: {where} needs a 'url'", where, remediation='Write url = "local:", for instance.')
    for key in ("secrets", "keys", "retry", "options"):
        _check_table(profile.get(key, {}), path, f"{where}.{key}")
    for key in ("secrets", "keys"):
        for name, native in profile.get(key, {}).items():
            if not isinstance(native, str):
                hint = f'Write {name} = "the name there".'
                raise invalid(f"{path}: {where}.{key} maps {name!r} to what is no name", where, remediation=hint)


def _check_table(table: object, path: str, where: str) -> None:
    if not isinstance(table, dict):
        raise invalid(f"{path}: {where} must be a table", where, remediation=f"Write [{where}], and its keys below.")


def _check_keys(table: Mapping[str, Any], allowed: tuple[str, ...], path: str, where: str) -> None:
    if unknown := sorted(table.keys() - set(allowed)):
        inside = f" in {where}" if where else ""
        raise invalid(
            f"{path}: unknown key {unknown[0]!r}{inside}",
            where or unknown[0],
            remediation=f"Allowed there: {', '.join(allowed)}.",
        )


def _expanded(value: object, where: str, path: str) -> object:
    """The value with every ``${VAR}`` in it replaced from the environment."""
    if isinstance(value, dict):
        return {key: _expanded(inner, f"{where}.{key}", path) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, where, path) for inner in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        if match[1] is None:
            raise invalid(
                f"{path}: {where} holds '${{' without the name of a variable and '}}'",
                where,
                remediation="Write ${NAME}, of letters, digits and '_'.",
            )
        if (found := os.environ.get(match[1])) is None:
            raise invalid(
                f"{path}: {where} needs the variable {match[1]}, which is not set",
                where,
                remediation=f"Set {match[1]}, or write the value into the file.",
            )
        return found

    return _VARIABLE.sub(replaced, value)


# -- URLs -------------------------------------------------------------------------------


def parse_url(url: str) -> Location:
    """A URL taken apart. Error texts do not repeat it: it may hold what it must not.

    Raises:
        InvalidRequestError: It is malformed.
    """
    from urllib.parse import unquote

    scheme, colon, rest = url.partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9-]*", scheme):
        raise _malformed("it must start with a scheme of a-z, 0-9 and '-', such as 'local:'")
    if re.search(r"[\x00-\x20\x7f]", rest):
        raise _malformed("it holds a blank or control character; write it as %20 and so on")
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise _malformed("a '%' in it is not followed by two hexadecimal digits; write it as %25")
    if "#" in rest:
        raise _malformed("it holds a '#'; write it as %23")
    rest, question, query = rest.partition("?")
    host = ""
    if rest.startswith("//"):
        if "@" in rest:  # anywhere: a password may hold the '/' that ends the host
            raise _malformed("it names a user; credentials do not belong in a URL (write any other '@' as %40)")
        host, slash, path = rest[2:].partition("/")
        rest = slash + path
        if not has_port_of_tcp(host):
            raise _malformed("its port is above 65535")
    if "%00" in rest + query:
        raise _malformed("it holds a NUL character")
    parameters: dict[str, str] = {}
    decoded = None
    try:
        for part in query.split("&") if question else ():
            name, equals, value = part.partition("=")
            name = unquote(name, errors="strict")
            if not name or not equals:
                raise _malformed("its parameters must be name=value, joined by '&'")
            if name in parameters:
                raise _malformed("it gives a parameter twice")
            parameters[name] = unquote(value, errors="strict")
        decoded = unquote(rest, errors="strict")
    except UnicodeDecodeError:
        pass  # raised below: the exception of the decoder carries the text
    if decoded is None:
        raise _malformed("its percent-encoding is not UTF-8 text")
    return Location(scheme, host, decoded, parameters, {}, None)


def has_port_of_tcp(host: str) -> bool:
    """Whether a host names no port, or one that there can be."""
    port = host.rpartition(":")[2] if ":" in host else ""
    return not port.isdecimal() or (len(port) < 6 and int(port) < 65536)


def _malformed(why: str) -> InvalidRequestError:
    hint = "Write <scheme>://<host>/<path>, or local:<path>."
    return invalid(f"the URL is malformed: {why}", "url", remediation=hint)


def check_names(given: Mapping[str, object], allowed: Mapping[str, str], what: str) -> None:
    """Refuse names that are not allowed, and say which are.

    Args:
        given: URL parameters or options.
        allowed: Their names, each with what it is for.
        what: What they are called in the error text.

    Raises:
        InvalidRequestError: One of them is unknown.
    """
    if unknown := sorted(given.keys() - allowed.keys()):
        known = ", ".join(f"{name} ({purpose})" for name, purpose in allowed.items()) or "none"
        raise invalid(f"unknown {what} {unknown[0]!r}", what, remediation=f"Allowed: {known}.")
