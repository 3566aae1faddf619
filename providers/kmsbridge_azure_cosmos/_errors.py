"""What the answers of Azure Cosmos DB mean, as data: sub-status, then words, then status.

The codes in its bodies are the names of the statuses and decide nothing. A 403 without a
sub-status means many things, and only the words tell them apart; the service rewords them
over the years, so patterns are fragments. Each pattern was seen in an answer of
``tests/vectors/azure-cosmos.jsonl``, which names where.
"""

from __future__ import annotations

import json

from kmsbridge._decode import Answer, Decoder, Rule
from kmsbridge._entra._azure_core import AZURE_CORE, answer_of
from kmsbridge._entra._errors import NUMBERED, WORDED
from kmsbridge._errors import Code, KMSError, Outcome, RetryAction
from kmsbridge_azure_cosmos._findings import FINDINGS
from kmsbridge_azure_cosmos._reading import PAGE, STRANGER, read, speaking
from kmsbridge_azure_cosmos._sub_statuses import KEY_FAMILY, REVOKED, SUB_STATUSES

_BACKOFF, _FRESH, _NEVER = RetryAction.BACKOFF, RetryAction.REAUTHENTICATE, RetryAction.NEVER
_REFRESH, _UNKNOWN = RetryAction.REFRESH, Outcome.UNKNOWN
_FORBIDDEN = "https://learn.microsoft.com/azure/cosmos-db/nosql/troubleshoot-forbidden"
_MAC = "https://learn.microsoft.com/azure/cosmos-db/nosql/troubleshoot-unauthorized"
_TIMEOUT = "https://learn.microsoft.com/azure/cosmos-db/nosql/troubleshoot-request-time-out"
_RATE = "https://learn.microsoft.com/azure/cosmos-db/nosql/troubleshoot-request-rate-too-large"

# fmt: off
_AUTHORIZATION = (
    (r"(?:header authorization|authorization header) is missing", Rule(None, Code.UNAUTHENTICATED, action=_NEVER)),
    (r"(?:input )?authorization token can.?t serve|MAC signature found",
     Rule(None, Code.CREDENTIAL_REJECTED, doc_url=_MAC, sentence="the account does not accept the key",
          remediation="Check the account's key: it may be rotated, read-only, or another account's.")),
    (r"authorization header does ?n.?t con(?:firm|form)", Rule(None, Code.CREDENTIAL_REJECTED)),
    (r"local authori[sz]ation is disabled|local auth\w* (?:is )?disabled",
     Rule(None, Code.CREDENTIAL_REJECTED, sentence="the account takes no key",
          remediation="Connect with Microsoft Entra: leave the account key out.")),
    (r"token (?:has been|is) expired|has been expired since|token.{0,40}expired since", Rule(None, Code.TOKEN_EXPIRED)),
    (r"token has been revoked", Rule(None, Code.CREDENTIAL_REJECTED, action=_FRESH, limit=1,
                                     sentence="the token was revoked before its time")),
    (r"token .{0,40}not yet valid", Rule(None, Code.CLOCK_SKEW, action=_NEVER)),
    (r"issued by the authority|token is intended for", Rule(None, Code.CREDENTIAL_REJECTED,
     sentence="the token is of another tenant or for another service",
     remediation="Use an identity of the account's tenant; the scope is https://<account host>/.default.")),
)
_NO_ROLE = Rule(None, Code.ACCESS_DENIED, doc_url=_FORBIDDEN)
_REFUSED = (
    (r"not valid at the current time", Rule(None, Code.CLOCK_SKEW, doc_url=_FORBIDDEN,
                                            remediation="Set the clock (NTP): 15 minutes are allowed for.")),
    (r"customer.managed key (?:not being|is not|not) accessible|account is currently revoked", REVOKED),
    ((r"request originated from|client address is not authorized|caller is not a trusted service"
     r"|blocked by your Cosmos DB account firewall|insufficiently secured"),
     Rule(None, Code.NETWORK_FORBIDDEN, doc_url=_FORBIDDEN,
          remediation="Have this address or network allowed in the account's firewall; a change takes up to 15 "
                      "minutes.")),
    (r"token and Cosmos DB account firewall settings", Rule(None, Code.ACCESS_DENIED, doc_url=_FORBIDDEN,
     sentence="the account refuses the token's scope or this network: it does not say which",
     remediation="Check what the token is for, then the account's firewall.")),
    (r"cannot be authorized by AAD token in data plane|not allowed through Azure Cosmos DB endpoint",
     Rule(None, Code.ACCESS_DENIED, doc_url=_FORBIDDEN,
          sentence="databases and containers cannot be changed in this way",
          remediation="Create them with a deployment, or let the account's key do it.")),
    (r"does not have required RBAC permissions", _NO_ROLE),
    (r"cannot be performed at this region", Rule(None, Code.SERVICE_UNAVAILABLE, action=_REFRESH, limit=1)),
    (r"reached (?:(?:its|the) )?(?:maximum|storage)|quota (?:has been )?(?:exceeded|reached)|exceeded the maximum",
     Rule(None, Code.QUOTA_EXCEEDED)),
)
_BAD = (
    (r"request size is too large", Rule(None, Code.PAYLOAD_TOO_LARGE)),
    (r"compositions of aggregates|is not supported\b|cross partition query .{0,80}cannot be",
     Rule(None, Code.UNSUPPORTED)),
    (r"\bSC[12]\d{3}\b", Rule(None, Code.INVALID_ARGUMENT)),
)
_CAPACITY = Rule(None, Code.SERVICE_UNAVAILABLE, sentence="the region has no capacity left at the moment")
_ELSEWHERE = (
    (r"encountered exception while executing function", Rule(None, Code.INVALID_ARGUMENT)),
    (r"read session is not available", Rule(None, Code.SERVICE_UNAVAILABLE, action=_REFRESH, limit=1,
                                            sentence="the replica is behind what this session has seen")),
    (r"collection create operation is in progress", Rule(None, Code.OPERATION_IN_PROGRESS)),
    (r"resource not found|owner resource does not exist|entity with the specified id does not exist",
     Rule(None, Code.NOT_FOUND)),
    (r"specified id(?:,| or) name.{0,24} already exists|specified id already exists", Rule(None, Code.ALREADY_EXISTS)),
    (r"specified pre-?condition is not met|condition specified in the patch request is not",
     Rule(None, Code.VERSION_CONFLICT)),
    ((r"request rate is large|high rate of metadata requests|didn.?t complete due to a transient service error"
     r"|too many requests|RUBudgetExceeded"), Rule(None, Code.RATE_LIMITED,
                                                                                     doc_url=_RATE)),
    (r"request size is too large", Rule(None, Code.PAYLOAD_TOO_LARGE)),
    (r"experiencing high demand in this region", _CAPACITY),
    (r"service is currently unavailable", Rule(None, Code.SERVICE_UNAVAILABLE)),
    (r"error contacting the Azure Key Vault", Rule(None, Code.DEPENDENCY_UNAVAILABLE)),
    ((r"required properties - |fewer components than defined|doesn.?t match the one specified in the header"
     r"|KeyVaultKeyUri .{1,300} is invalid|partition key .{1,300} is invalid"), Rule(None, Code.INVALID_ARGUMENT)),
    (r"Updating KeyVaultKeyUri is not supported", Rule(None, Code.UNSUPPORTED)),
    (r"Id contains illegal chars|Id ends with a space", Rule(None, Code.INVALID_ARGUMENT, outcome=Outcome.NOT_SENT)),
    (r"CosmosClientTimeoutError|\b408 exception|request timeout error", Rule(None, Code.TIMEOUT)),
)


def _words(status: int, *said: tuple[str, Rule]) -> tuple[Rule, ...]:
    return tuple(rule._replace(status=status, says=says) for says, rule in said)


_STATUSES: tuple[Rule, ...] = (
    *_words(400, *_BAD, *_ELSEWHERE),
    *_words(401, *_AUTHORIZATION),
    *(rule._replace(status=401) for rule in WORDED if rule.status is None and rule.on is None),
    Rule(None, Code.CREDENTIAL_REJECTED, status=401, doc_url=_MAC),
    *_words(403, *_REFUSED, *_AUTHORIZATION),
    Rule(None, Code.NETWORK_FORBIDDEN, status=403, says=PAGE, sentence="a gateway on the way refuses the call"),
    *_words(404, *_ELSEWHERE[1:3]),
    Rule(None, Code.CONTAINER_NOT_FOUND, status=404, says=rf"{PAGE}|^{STRANGER}$",
         sentence="what answers at this address is no account of Cosmos DB"),
    Rule(None, Code.TIMEOUT, status=408, doc_url=_TIMEOUT,
         remediation="Try again, or allow more time. A write also ends so in an account that has lost its key: "
                     "`health` tells."),
    Rule(None, Code.ALREADY_EXISTS, status=409),
    Rule(None, Code.SERVICE_UNAVAILABLE, status=410, action=_REFRESH, limit=1),
    Rule(None, Code.RATE_LIMITED, status=429, doc_url=_RATE),
    Rule(None, Code.OPERATION_IN_PROGRESS, status=449, action=_BACKOFF,
         sentence="another write on the same item came at the same moment"),
    Rule(None, Code.NETWORK_ERROR, status=502, outcome=_UNKNOWN, sentence="a proxy on the way got no answer"),
    Rule(None, Code.SERVICE_UNAVAILABLE, status=503, says=STRANGER, outcome=_UNKNOWN,
         sentence="something on the way to the service cannot answer"),
    Rule(None, Code.NETWORK_ERROR, status=503, says=r"unable to establish connection", outcome=Outcome.NOT_APPLIED),
    *_words(503, *(item for item in _ELSEWHERE if "Key Vault" in item[0])),
    *(rule for rule in WORDED if rule.status == 503),
    Rule(None, Code.SERVICE_UNAVAILABLE, status=503),
)
RULES: tuple[Rule, ...] = (
    *FINDINGS,
    *NUMBERED,
    *SUB_STATUSES,
    *_STATUSES,
    *WORDED,
    *(rule._replace(says=says) for says, rule in (*_ELSEWHERE, *_REFUSED, *_AUTHORIZATION)),
    *AZURE_CORE,
)
"""Every rule of this backend."""
# fmt: on


class CosmosDecoder(Decoder):
    """Of a batch the member speaks that has failed by itself."""

    def decode(self, answer: Answer, *, operation: str | None = None) -> KMSError:
        """The one error this answer gives."""
        return super().decode(speaking(answer), operation=operation)

    def key_usable(self, error: KMSError) -> bool | None:
        """Of a customer-managed key the account tells by a family of sub-statuses, whatever their codes are here."""
        told = error.http_status == 403 and error.sub_status in KEY_FAMILY
        return False if told else super().key_usable(error)


def _answer(failure: Exception) -> Answer:
    """The answer inside an exception of the SDK; one about a batch has its members and no response."""
    found = answer_of(failure)
    members = getattr(failure, "operation_responses", None)
    if not isinstance(members, list):
        return found
    numbers = ("statusCode", "subStatusCode", "retryAfterMilliseconds")
    told = [{name: each.get(name) for name in numbers} for each in members if isinstance(each, dict)]
    return found._replace(status=200, body=json.dumps(told, default=lambda _: None).encode())


decoder = CosmosDecoder("azure-cosmos", RULES, read=read, answer=_answer)
"""Reads the answers of accounts and of token endpoints, raw or as SDKs print them."""
