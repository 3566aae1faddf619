"""What the pairs of status and sub-status mean, as data.

One number may mean different things under different statuses (1002, 1008, 1013 and others); one
that has a single meaning keeps it under any status, because services and SDKs file it differently
(400/1028 was seen where lists say 403). Sources: "HTTP status codes for Azure Cosmos DB", its guide
to customer-managed keys, and the lists of the vendor's SDKs (Python 4.17, Java, Rust, .NET).
"""

from __future__ import annotations

from kmsbridge._decode import Rule
from kmsbridge._errors import Code, Fault, Outcome, RetryAction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKOFF, _NEVER, _REFRESH = RetryAction.BACKOFF, RetryAction.NEVER, RetryAction.REFRESH
_FRESH, _POLL, _UNKNOWN = RetryAction.REAUTHENTICATE, RetryAction.POLL, Outcome.UNKNOWN
_CUSTOMER, _SERVICE = Fault.CUSTOMER, Fault.SERVICE
_STATUSES = "https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb"
_CMK = "https://learn.microsoft.com/azure/cosmos-db/cmk-troubleshooting-guide"
_RBAC = "https://aka.ms/cosmos-native-rbac"
_OUTAGE = "These outages are mostly over within a couple of hours: look at the Azure status page, then ask"

# fmt: off
_WRONG = Rule(None, Code.INVALID_ARGUMENT)
_UNSUPPORTED = Rule(None, Code.UNSUPPORTED)
_CREDENTIAL = Rule(None, Code.CREDENTIAL_REJECTED)
_TOKEN = Rule(None, Code.CREDENTIAL_REJECTED, action=_FRESH, limit=1)
_METHOD_OFF = Rule(None, Code.CREDENTIAL_REJECTED, sentence="the account does not take this kind of credential",
                   remediation="Use the kind of credential that the account allows: a key, or Microsoft Entra.")
_DENIED = Rule(None, Code.ACCESS_DENIED)
_NO_ROLE = Rule(None, Code.ACCESS_DENIED, sentence="no role assignment of the account allows this", doc_url=_RBAC,
                remediation="Assign a data role of the account that holds this action to the identity.")
_MANAGEMENT = Rule(None, Code.ACCESS_DENIED, doc_url=_RBAC,
                   sentence="databases and containers cannot be created under a Microsoft Entra token",
                   remediation="Create them with a deployment, or connect once with the account's key.")
_NETWORK = Rule(None, Code.NETWORK_FORBIDDEN)
_QUOTA = Rule(None, Code.QUOTA_EXCEEDED)
_EXISTS = Rule(None, Code.ALREADY_EXISTS)
_BUSY = Rule(None, Code.OPERATION_IN_PROGRESS, action=_BACKOFF)
_DOWN = Rule(None, Code.SERVICE_UNAVAILABLE)
_MOVED = Rule(None, Code.SERVICE_UNAVAILABLE, action=_REFRESH, limit=1)
_ENTRA = Rule(None, Code.DEPENDENCY_UNAVAILABLE)
_BROKEN = Rule(None, Code.INTERNAL_ERROR)
_LATE = Rule(None, Code.TIMEOUT, outcome=_UNKNOWN)
_UNCONNECTED = Rule(None, Code.NETWORK_ERROR, outcome=Outcome.NOT_APPLIED)
_CONFLICT = Rule(None, Code.VERSION_CONFLICT)
_THROTTLED = Rule(None, Code.RATE_LIMITED)
_LARGE = Rule(None, Code.PAYLOAD_TOO_LARGE)
_ABSENT = Rule(None, Code.NOT_FOUND)
_COLLECTION = Rule(None, Code.CONTAINER_NOT_FOUND, sentence="the database or container is not there",
                   remediation="Correct its name, or have it created (options.create = true).")

# -- the customer's key -------------------------------------------------------------------------------

REVOKED = Rule(None, Code.KEY_ACCESS_REVOKED, fault=_CUSTOMER, doc_url=_CMK,
               sentence="the account has no access to its customer-managed key",
               remediation="See that the key is there and enabled, and that the account's identity may get, wrap and "
                           "unwrap with it; the account heals within about an hour after that.")
"""What stands for the reasons that are not told apart, and for numbers that are not known yet."""
KEY_FAMILY = range(4000, 4100)
"""The sub-statuses of a 403 that are about the customer's key: what is new among them is, too."""
_URL = Rule(None, Code.INVALID_ARGUMENT, fault=_CUSTOMER, doc_url=_CMK,
            sentence="the URL of the account's key is not valid",
            remediation="Write the key's URL without a version: https://<vault>.vault.azure.net/keys/<key>/.")
_VAULT = Rule(None, Code.CONTAINER_NOT_FOUND, fault=_CUSTOMER, doc_url=_CMK,
              sentence="the vault of the account's key cannot be found",
              remediation="Correct the name of the vault in the key's URL, or recover the vault.")
_DISABLED = Rule(None, Code.DISABLED, fault=_CUSTOMER, doc_url=_CMK,
                 sentence="the account's key is disabled or expired",
                 remediation="Enable the key, or move its expiry; the account heals within about an hour.")
_KEY = (
    ("4000", _ENTRA._replace(fault=_SERVICE, doc_url=_CMK,
                             sentence="the service gets no Microsoft Entra token for the account's identity",
                             remediation="Ask Azure Cosmos DB's support if it lasts; see also that the account's "
                                         "identity still exists and is enabled.")),
    ("4001", _ENTRA._replace(fault=_SERVICE, doc_url=_CMK, sentence="Microsoft Entra cannot answer the service",
                             remediation=f"{_OUTAGE} Microsoft Entra's support, and Cosmos DB's if they see nothing.")),
    ("4002", REVOKED._replace(sentence="the vault refuses the account's key, or the key is disabled",
                              remediation="Give the account's identity get, wrap and unwrap on the key, and enable "
                                          "the key; the account heals within about an hour after that.")),
    ("4003", REVOKED._replace(sentence="the account's key is deleted from its vault",
                              remediation="Recover the key in its vault (purge protection keeps it); the account "
                                          "heals within about an hour after that.")),
    ("4004", _ENTRA._replace(fault=_SERVICE, doc_url=_CMK, sentence="the vault of the account's key cannot answer",
                             remediation=f"{_OUTAGE} Key Vault's support, and Cosmos DB's if they see nothing.")),
    ("4005", Rule(None, Code.KEY_VERSION_UNUSABLE, fault=_CUSTOMER, doc_url=_CMK,
                  sentence="the vault cannot wrap or unwrap with the account's key",
                  remediation="Enable the key versions that were disabled of late: it is resolved in about an hour; "
                              "if not after 2 hours, ask Azure Cosmos DB's support.")),
    ("4006 4010 4011 4014", _URL),
    ("4007", Rule(None, Code.INTERNAL_ERROR, action=_NEVER, outcome=Outcome.NOT_APPLIED, fault=_SERVICE, doc_url=_CMK,
                  sentence="the service gave the vault what is no Base64",
                  remediation="Ask Azure Cosmos DB's support: only they can mend it.")),
    ("4008", _ENTRA._replace(fault=_SERVICE, doc_url=_CMK, sentence="the vault of the account's key failed",
                             remediation=f"{_OUTAGE} Key Vault's support, and Cosmos DB's if they see nothing.")),
    ("4009 4017", _VAULT),
    ("4012", Rule(None, Code.KEY_VERSION_UNUSABLE, action=_BACKOFF, fault=_CUSTOMER, doc_url=_CMK,
                  sentence="the account's key has just been rotated",
                  remediation="Keep the old version enabled until the rotation is over.")),
    ("4013", _WRONG),
    ("4015", REVOKED._replace(sentence="the account has no identity that could use its key",
                              remediation="Set the account's default identity to one that exists.")),
    ("4016", Rule(None, Code.NETWORK_FORBIDDEN, fault=_CUSTOMER, doc_url=_CMK,
                  sentence="a network perimeter keeps the account from the vault of its key",
                  remediation="Allow the account to reach the vault in the perimeter's outbound rules.")),
    ("4018", _DISABLED),
    ("4019", _ENTRA._replace(fault=_SERVICE)),
)

# -- pairs, by status ---------------------------------------------------------------------------------

_PAIRS: tuple[tuple[int, str, Rule], ...] = (
    (400, "1001 1013 1016 1017 1018 4013 1102 1103 1104 1105 65535 22001 22002", _WRONG),
    (400, "1004", _UNSUPPORTED),
    (400, "1024", _CONFLICT._replace(sentence="the container was deleted and made again")),
    (400, "1101", _UNCONNECTED),
    (400, "3205", _BUSY),
    # what a stored procedure threw: the number is an HTTP status (fhir-server, CosmosResponseProcessor)
    (400, "404", _ABSENT), (400, "409", _EXISTS), (400, "412", _CONFLICT), (400, "429", _THROTTLED),
    (401, "5000 5600", Rule(None, Code.UNAUTHENTICATED, action=_NEVER)),
    (401, "5001 5007 5008 5011 13008 20401", _CREDENTIAL),
    (401, "5002 5012 5202 5203", _METHOD_OFF),
    (401, "5003 5004 5200", _TOKEN),
    (401, "5005", Rule(None, Code.CLOCK_SKEW, action=_NEVER)),
    (401, "5006", Rule(None, Code.TOKEN_EXPIRED)),
    (401, "5009", _DENIED),
    (401, "5010 5201", _ENTRA),
    (403, "3", _MOVED._replace(sentence="this region does not take the operation: another one writes",
                               remediation="Try again. If it lasts, or the account has one region, see whether the "
                                           "account's key was revoked: the service answers so then, too.")),
    (403, "1008", _MOVED._replace(sentence="the account is being added to or removed from this region")),
    (403, "1005 1010 1014 1019 1020 1028 1032", _QUOTA),
    (403, "1009 1012", _EXISTS),
    (403, "1011 1029 1031", _WRONG),
    (403, "1015", _UNSUPPORTED),
    (403, "1021 1033", _BROKEN),
    (403, "1026 5304 5306 5400 6050 6051 6052 6053 6054 6055 6056", _DENIED),
    (403, "1027", _BUSY),
    (403, "1034", Rule(None, Code.DELETED_BUT_RECOVERABLE)),
    (403, "1110", _CONFLICT),
    (403, "5300", _MANAGEMENT),
    (403, "5301 5302 5303", _NO_ROLE),
    (403, "5305", _CREDENTIAL),
    (403, "5307 5308", _NETWORK),
    (403, "5309 5310 5311 5312 5313", _ENTRA),
    *((403, numbers, rule) for numbers, rule in _KEY),
    (404, "1002", _MOVED._replace(sentence="the replica is behind what this session has seen")),
    (404, "1003", _COLLECTION),
    (404, "1013", Rule(None, Code.OPERATION_IN_PROGRESS, action=_POLL, doc_url=_STATUSES,
                       sentence="the container is still being created",
                       remediation="Read it again until it is there; do not create it again.")),
    (404, "1023 1031 1034 1035 1036 1037", _DOWN),
    (404, "1024", _CONFLICT._replace(sentence="the container was deleted and made again")),
    (404, "1030", _TOKEN),
    (404, "10004", _ABSENT),
    (408, "20901", Rule(None, Code.TIMEOUT, action=_NEVER, outcome=Outcome.NOT_SENT, fault=Fault.CALLER,
                        sentence="the timeout given is negative")),
    (408, "1900 13009 20008 21010", _LATE),
    (409, "3206 3301 3302", _EXISTS),
    (409, "1006", _BUSY),
    (409, "3050 3051", _DOWN),
    (409, "3303 3304", _UNSUPPORTED),
    (410, "1000 1002 1007 1008 1022 1024 21001 21002 21003 21004 21005 21006 21007 21008 21009", _MOVED),
    (410, "20001", _UNCONNECTED),
    (410, "20002", _LATE),
    (412, "1110", _CONFLICT),
    (412, "2003 2005 2007 2008 2018 2019 2101", _BUSY),
    (412, " ".join(map(str, (2001, 2012, 2016, 2017, *range(2020, 2044)))), _UNSUPPORTED),
    (413, "3401 3402", _LARGE),
    (429, " ".join(map(str, (3200, *range(3073, 3104), 3202, 3203, 3204, 3207, 3208, 3209, 3210, 3211, 3212, 3213,
                             3214, 3300, 10003, 10005, 13010))), _THROTTLED),
    (429, "3201", _THROTTLED._replace(sentence="too many requests about databases and containers",
                                      remediation="Share one bridge: throughput does not help with metadata.")),
    (449, "5350 5351", _ENTRA),
    (449, "5352", _BUSY),
    (500, "5360", _DENIED),
    (500, " ".join(map(str, (*range(3001, 3044), 5411, 5412, 5413, 5414, 5415, 13011))), _BROKEN),
    (503, ("1007 1012 1337 1338 1339 9001 9002 9003 20004 20005 21001 21002 21003 21004 21005 21008 21009 21015 6001 "
          "6002 6003 6004 6005 6006 6007 6008 6009"), _DOWN),
    (503, "20001 20003 20006 10001", _UNCONNECTED),
    (503, "20002 10002 21006 21007", _LATE),
)
# fmt: on


def _rules() -> Iterator[Rule]:
    meanings: dict[int, list[Rule]] = {}
    for status, numbers, rule in _PAIRS:
        for number in map(int, numbers.split()):
            meanings.setdefault(number, []).append(rule)
            yield rule._replace(status=status, sub_status=number)
    for number, known in meanings.items():
        if number >= 1000 and all(rule == known[0] for rule in known):
            yield known[0]._replace(sub_status=number)
    for number in KEY_FAMILY:
        yield REVOKED._replace(status=403, sub_status=number)


SUB_STATUSES: tuple[Rule, ...] = tuple(_rules())
"""By pair; then the numbers that mean one thing; then the rest of the key's family."""
