"""What an answer of Key Vault, Managed HSM, Azure Resource Manager or Microsoft Entra says.

The envelopes differ: ``{"error": {"code", "message", "innererror"}}`` from vaults,
``details`` from Resource Manager, bare objects from the proxy of an external key,
``{"error": "invalid_client", "error_description": ...}`` from token endpoints. Codes are
read level by level, so that the innermost one stands last whatever the order of members.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kmsbridge._decode import CODE, MAX_BODY, Answer, Reading, copied, member, request_ids
from kmsbridge._entra._azure_core import told
from kmsbridge._entra._reading import GUID, MAX_SAYS, application, plain, refusal, traces
from kmsbridge._errors import FieldError, Identity
from kmsbridge_azure_keyvault._sdk_text import clipped, numbered, ordered, printed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_MAX_NODES = 2_000
_ANY_CODE = re.compile(r'"code"\s{0,4}:\s{0,4}"([A-Za-z][A-Za-z0-9_.]{2,63})"')
_CHALLENGE_ERROR = re.compile(r"\berror=\"?([A-Za-z_]{3,40})")
_ACTIVITY = re.compile(rf"\(Activity ID: {GUID}\)", re.IGNORECASE)
_CALLER = re.compile(rf"\b(appid|oid|iss)=(?:https://sts\.[a-z.]{{1,40}}/)?{GUID}", re.IGNORECASE)
_CHALLENGE = re.compile(r"The challenge |Invalid challenge |Key Vault request URL |Invalid tenant ID ")
"""How the ValueErrors begin by which the SDK refuses to give a token to a stranger."""

# The operations of Key Vault, as its permissions name them. A closed list: whatever else stands in
# their place in a message is somebody's, and stays there.
_VERB = (
    r"(get|list|set|create|import|update|delete|backup|restore|recover|purge|encrypt|decrypt|wrapkey|unwrapkey|sign|"
    r"verify|release|rotate|getrotationpolicy|setrotationpolicy|managecontacts|getissuers|listissuers|setissuers|"
    r"deleteissuers|manageissuers|getsas|listsas|setsas|deletesas|regeneratekey)"
)
_PERMISSION = re.compile(
    rf"does not have (secrets|keys|certificates|storage) {_VERB} permission"
    rf"|operation \"?{_VERB}\"? is not (?:allowed|permitted) on (?:this|an?(?: \w{{1,20}}){{1,4}}?) "
    rf"(secret|key|certificate)\b"
    rf"|operation \"?{_VERB}\"? is not (?:allowed|permitted)",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"Action: '(Microsoft\.KeyVault/(?:vaults|managedHsm)(?:/(?:secrets|keys|keyrotationpolicies|certificates|"
    r"certificatecas|certificatecontacts|storageaccounts|sas|getSecret|setSecret|readMetadata|read|write|set|create|"
    r"import|update|delete|backup|restore|recover|purge|encrypt|decrypt|wrap|unwrap|sign|verify|release|rotate|"
    r"regeneratekey|action)){1,5})'",
    re.IGNORECASE,
)


class Codes(NamedTuple):
    """What the reader must know of the rule table."""

    known: Collection[str]
    generic: Collection[str]


class _Found(NamedTuple):
    codes: list[str]
    words: list[str]


def read(answer: Answer, table: Codes) -> Reading:
    """Everything that an answer says; of one that ended in an exception, what that says."""
    success = answer.status is not None and 200 <= answer.status < 300
    found = _Found([], [])
    ids = request_ids(answer)
    status = wait = None
    texts = [answer.text] if answer.text else []
    if answer.body:
        body = answer.json()
        if isinstance(body, list):
            body = next((item for item in body if isinstance(item, dict)), None)
        if isinstance(body, dict):
            found = _tree(body, success)
        elif not success:
            texts.insert(0, _page(answer.body, found, table.known))
    if answer.exception is not None and (success or answer.status is None):
        texts.append(told(answer.exception, _CHALLENGE))
    says = plain(found.words)
    if texts:
        text = clipped("\n".join(texts).strip())
        marks = printed(text, table.known, table.generic)
        status, wait = marks.status, marks.retry_after
        ids = {**marks.request_ids, **ids}
        if not found.codes:
            found.codes.extend(marks.codes)
        says = plain([says, text])
    codes = found.codes
    if says:
        codes += [code for code in numbered(says) if code not in codes]
    if answer.status == 401 and (challenge := answer.header("www-authenticate")) is not None:
        # Continuous access evaluation: the body is as for any 401, the reason is in the challenge.
        codes += _CHALLENGE_ERROR.findall(challenge[:MAX_SAYS])[:1]
    return Reading(
        tuple(codes),
        says=says or " ".join(codes),
        request_ids={**traces(says), **_activity(says), **ids},
        fields=_fields(says),
        identity=_identity(says),
        retry_after=wait,
        status=status,
    )


def _page(body: bytes, found: _Found, known: Collection[str]) -> str:
    """A body that is no JSON object: text, JSON that is broken or too deep, or a page.

    Of a page nothing is read: its words are not the vendor's.
    """
    text = body[:MAX_BODY].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")):
        found.codes.extend(ordered([code for code in _ANY_CODE.findall(text) if code.lower() in known], ()))
    elif text.startswith("<"):
        head = text[:MAX_SAYS].lower()
        if "<html" in head or "<!doctype" in head:
            return "<html>"
    return text if " " in text else ""  # such as null


def _tree(body: dict[str, object], success: bool) -> _Found:
    """Codes and words of a JSON body, level by level."""
    codes: list[str] = []
    words: list[str] = []
    error = member(body, "error")
    if isinstance(error, str):  # RFC 6749: a token endpoint
        return _Found(*refusal(error, body))
    if isinstance(error, dict):
        level: list[object] = [error]
    elif success:  # what a success holds is no error's, whatever its members are called
        return _Found([], [])
    else:
        level = [body]
    nodes = 0
    while level and nodes < _MAX_NODES:
        below: list[object] = []
        for node in level:
            nodes += 1
            if isinstance(node, list):
                below += node[:64]
            elif isinstance(node, str):
                codes.append(node)
            if not isinstance(node, dict):
                continue
            members = {name.lower(): value for name, value in node.items()}
            if isinstance(code := members.get("code"), str):
                codes.append(code)
            if isinstance(message := members.get("message"), str):
                words.append(message)
                if message.startswith(("{", " {", "\r\n{", "\n{")):  # Resource Manager puts an answer into an answer
                    inner = Answer(body=message.encode("utf-8", "replace")).json()
                    below.append(member(inner, "error") or inner if isinstance(inner, dict) else None)
            if isinstance(details := members.get("details"), list):
                below += [item for item in details[:64] if isinstance(item, dict)]
            inner = members.get("innererror")
            if inner is not None and (not isinstance(inner, str) or copied(inner, CODE) is not None):
                below.append(inner)
        level = below
    return _Found(codes if len(codes) < 2 else ordered(codes, ()), words)


def _activity(says: str) -> dict[str, str]:
    """The request id that Managed HSM puts into the message."""
    found = _ACTIVITY.search(says) if "ctivity" in says else None
    return {} if found is None else {"activity-id": found[1]}


def _fields(says: str) -> tuple[FieldError, ...]:
    """The refused operation, as the grant that is missing is called."""
    if "Action:" in says and (action := _ACTION.search(says)) is not None:
        return (FieldError("action", action[1]),)
    if "peration" not in says and "ermission" not in says:
        return ()
    if (found := _PERMISSION.search(says)) is None:
        return ()
    kind, granted, verb, singular, plain = found.groups()
    kind = kind or (f"{singular}s" if singular else None)
    operation = granted or verb or plain
    return (FieldError("operation", f"{kind}/{operation}".lower() if kind else operation.lower()),)


def _identity(says: str) -> Identity | None:
    """Who we were to the vault: ids alone."""
    if "oid=" in says or "appid=" in says:
        who = {name.lower(): value for name, value in _CALLER.findall(says)}
        if who:
            return Identity(tenant=who.get("iss"), application=who.get("appid"), object_id=who.get("oid"))
    return application(says)
