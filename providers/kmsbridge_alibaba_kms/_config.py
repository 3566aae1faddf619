"""Which region, which instance, and who asks: URL and options to typed settings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import NamedTuple

from kmsbridge._config import check_names
from kmsbridge._errors import invalid
from kmsbridge._names import IdentityNames, is_portable
from kmsbridge_alibaba_kms._abilities import BOTH, INSTANCE, REGION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import Any

    from kmsbridge._driver import Location
    from kmsbridge._errors import InvalidRequestError
    from kmsbridge._model import Capabilities
    from kmsbridge._names import NativeNames

ALIAS = "alias/"


class KeyNames:
    """Keys have ids of Alibaba's making; their names are aliases."""

    def encode(self, portable: str) -> str:
        """With ``alias/`` before it."""
        return ALIAS + portable

    def decode(self, native: str) -> str | None:
        """Without it, if that is a portable name."""
        portable = native.removeprefix(ALIAS)
        return portable if portable != native and is_portable(portable) else None

    def canonical(self, native: str) -> str | None:
        """Unchanged: an alias, or the id of a key that may have none."""
        return native if re.fullmatch(r"alias/[A-Za-z0-9_/-]{1,249}|[A-Za-z0-9-]{8,64}", native) else None


SECRETS = IdentityNames(r"[A-Za-z0-9_/+=.@-]{1,192}")
KEYS = KeyNames()

# -- who asks ---------------------------------------------------------------------------

_CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "environment": (),
    "role": ("role_arn",),
    "workload-identity": ("role_arn",),
    "managed-identity": ("role_name",),
    "cli": (),
}
"""The credentials there are, and what else may be said of each."""
_OPTIONS = {
    "instance": "id of a KMS instance (kst-...), whose door does the cryptography",
    "endpoint": "host of the region's door, such as kms-vpc.<region>.aliyuncs.com, or localhost:<port>",
    "instance_endpoint": "host of the instance's door, for emulators",
    "ca": "file of PEM certificates to trust at the region's door, instead of the system's",
    "instance_ca": "file of the instance's private CA, as the console gives it",
    "client_key": "file of the client key; else KMSBRIDGE_CLIENT_KEY holds its JSON",
    "client_key_password": "file of its password; else KMSBRIDGE_CLIENT_KEY_PASSWORD holds it",
    "credential": f"{', '.join(_CREDENTIALS)}: who asks at the region's door",
    "role_arn": "of the role to take on: role, workload-identity",
    "role_name": "of the machine's role, where it has several: managed-identity",
}


class Login(NamedTuple):
    """Which of Alibaba's credentials, and with what."""

    kind: str
    role_arn: str | None = None
    role_name: str | None = None


class Given:
    """A credential of the caller's: the same for two bridges if it is the same object."""

    __slots__ = ("credential",)

    def __init__(self, credential: object) -> None:
        self.credential = credential

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and other.credential is self.credential

    def __hash__(self) -> int:
        return id(self.credential)


class ClientKeyFiles(NamedTuple):
    """Where the client key and its password are; None for the environment."""

    key: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """The door of one KMS instance."""

    id: str
    host: str
    ca: str | None
    files: ClientKeyFiles


@dataclass(frozen=True, slots=True)
class KmsSettings:
    """One region, perhaps one instance in it, and who asks."""

    region: str
    endpoint: str
    """Host of the region's door, with the port if there is one."""
    ca: str | None
    login: Login | Given | None
    """Who asks at the region's door; None where only the instance is spoken to."""
    instance: InstanceSettings | None
    capabilities: Capabilities
    secret_names: NativeNames = SECRETS
    key_names: NativeNames = KEYS

    @property
    def address(self) -> Hashable:
        """Both doors, and what is the same for all who share connections to them."""
        return self.region, self.endpoint, self.ca, self.instance

    @property
    def identity(self) -> Hashable:
        """Who asks at the region's door; the client key is part of the address."""
        return self.login


def configure(location: Location) -> KmsSettings:
    """Check a location. No I/O.

    Raises:
        InvalidRequestError: Something in it is unknown or wrong.
    """
    region = _region(location)
    given = _given(location)
    endpoint = _host(given, "endpoint", rf"kms(?:-vpc)?\.{region}\.aliyuncs\.com")
    instance = _instance(given)
    login = _login(location.credential, given, instance is not None)
    return KmsSettings(
        region=region,
        endpoint=endpoint or f"kms.{region}.aliyuncs.com",
        ca=_file(given, "ca"),
        login=login,
        instance=instance,
        capabilities=INSTANCE if login is None else REGION if instance is None else BOTH,
    )


# -- the address ------------------------------------------------------------------------

_HINT = "Write alibaba-kms://<region>, such as alibaba-kms://cn-hangzhou?instance=kst-..."
_LOCAL = r"(?:[a-z0-9-]+\.){0,4}localhost(?::[1-9][0-9]{0,4})?"


def _region(location: Location) -> str:
    if location.path not in ("", "/"):
        raise invalid("the URL of a region has no path", "url", remediation=_HINT)
    if not re.fullmatch(r"[a-z]{2}(?:-[a-z0-9]{1,16}){1,4}", location.host):
        raise invalid("this is no id of a region", "url", remediation=_HINT)
    return location.host


def _instance(given: Mapping[str, Any]) -> InstanceSettings | None:
    id_ = _text(given, "instance")
    if id_ is None:
        if alone := [name for name in given if name.startswith(("instance_", "client_key"))]:
            raise invalid(
                f"{alone[0]} has no meaning without an instance",
                f"options.{alone[0]}",
                remediation="Name the instance too: ?instance=kst-...",
            )
        return None
    if not re.fullmatch(r"kst-[a-z0-9]{4,64}", id_):
        raise _wrong("instance", "must be the id of an instance, such as kst-hzz65f176a0ogplgqu8pg")
    host = _host(given, "instance_endpoint", rf"{id_}\.cryptoservice\.kms\.aliyuncs\.com")
    files = ClientKeyFiles(_file(given, "client_key"), _file(given, "client_key_password"))
    default = f"{id_}.cryptoservice.kms.aliyuncs.com"
    return InstanceSettings(id_, host or default, _file(given, "instance_ca"), files)


def _host(given: Mapping[str, Any], name: str, cloud: str) -> str | None:
    host = _text(given, name)
    if host is not None and not re.fullmatch(f"{cloud}|{_LOCAL}", host):
        raise _wrong(name, "must be a host of this region or instance, or localhost:<port> for an emulator")
    return host


# -- options ----------------------------------------------------------------------------


def _given(location: Location) -> Mapping[str, Any]:
    """Options and URL parameters, which are the same under one name."""
    check_names(location.parameters, _OPTIONS, "URL parameter")
    check_names(location.options, _OPTIONS, "option")
    if twice := sorted(location.parameters.keys() & location.options.keys()):
        raise invalid(
            f"{twice[0]} is both in the URL and in the options", f"options.{twice[0]}", remediation="Say it once."
        )
    return {**location.options, **location.parameters}


def _login(credential: object | None, given: Mapping[str, Any], instance: bool) -> Login | Given | None:
    if credential is not None:
        if said := [name for name in ("credential", "role_arn", "role_name") if name in given]:
            raise invalid(
                f"{said[0]} has no meaning beside a credential that is given",
                f"options.{said[0]}",
                remediation="Leave out credential=, or that option.",
            )
        if not callable(getattr(credential, "get_credential", getattr(credential, "get_credentials", None))):
            raise invalid(
                f"credential= must be a credential of alibabacloud-credentials, not {type(credential).__name__}",
                "credential",
                remediation="Give a Client of alibabacloud_credentials, or one of its providers.",
            )
        return Given(credential)
    if instance and "credential" not in given:
        if said := [name for name in ("role_arn", "role_name") if name in given]:
            raise invalid(
                f"{said[0]} has no meaning without a credential",
                f"options.{said[0]}",
                remediation="Name the credential for the region's door too.",
            )
        return None
    kind = given.get("credential", "default")
    if not isinstance(kind, str) or kind not in _CREDENTIALS:
        known = ", ".join(_CREDENTIALS)
        raise invalid(f"credential must be one of {known}", "options.credential", remediation="Leave it out for any.")
    for name in ("role_arn", "role_name"):
        if name in given and name not in _CREDENTIALS[kind]:
            takes = ", ".join(_CREDENTIALS[kind]) or "neither role_arn nor role_name"
            raise invalid(
                f"the credential {kind} takes no {name}", f"options.{name}", remediation=f"It takes {takes}."
            )
    arn, role = _text(given, "role_arn"), _text(given, "role_name")
    if kind == "role" and arn is None:
        raise _wrong("role_arn", "must say which role")
    if arn is not None and not re.fullmatch(r"acs:ram::[0-9]{1,32}:role/[A-Za-z0-9._-]{1,64}", arn):
        raise _wrong("role_arn", "must be the name of a role, such as acs:ram::1234567890123456:role/reader")
    if role is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", role):
        raise _wrong("role_name", "must be the name of a role")
    return Login(kind, arn, role)


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or not value or not value.isprintable()):
        raise _wrong(name, "must be text")
    return value


def _file(given: Mapping[str, Any], name: str) -> str | None:
    path = _text(given, name)
    return None if path is None else os.path.abspath(path)


def _wrong(name: str, why: str) -> InvalidRequestError:
    return invalid(f"{name} {why}", f"options.{name}", remediation=f"It is: {_OPTIONS[name]}.")
