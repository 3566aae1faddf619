"""What the answers of Alibaba Cloud KMS mean, on both doors, as data.

The code decides, never the status: "not found" comes with 403 and 404, a wrong credential
with 400, 401, 403 and 404, and the same code with two statuses on two pages. Words count
only where Alibaba uses one code for several things.

Sources: "facts" is the catalogue put together from the pages of common error codes and sample
responses, the API metadata, and published answers; each pattern was seen in an answer of
``tests/vectors/alibaba-kms.jsonl`` or stands in the document named beside it.
"""

from __future__ import annotations

from functools import partial

from kmsbridge._broken_connections import BROKEN_CONNECTIONS
from kmsbridge._decode import Decoder, Rule
from kmsbridge._errors import TAXONOMY, Category, Code, Fault, Outcome, RetryAction
from kmsbridge_alibaba_kms import _findings, _spelling
from kmsbridge_alibaba_kms._reading import Table, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEVER, _BACKOFF, _FRESH = RetryAction.NEVER, RetryAction.BACKOFF, RetryAction.REAUTHENTICATE
_NOT_SENT, _NOT_APPLIED, _UNKNOWN = Outcome.NOT_SENT, Outcome.NOT_APPLIED, Outcome.UNKNOWN
_COMMON = "https://www.alibabacloud.com/help/en/kms/key-management-service/developer-reference/common-error-codes-1"
_SAMPLES = "https://www.alibabacloud.com/help/en/kms/key-management-service/support/sample-responses"
_LIMITS = "https://www.alibabacloud.com/help/en/kms/support/limits"
_STATES = "https://www.alibabacloud.com/help/en/kms/developer-reference/impact-of-cmk-status-on-api-operations"

# fmt: off
_ACCESS_KEY = Rule(None, Code.CREDENTIAL_REJECTED, doc_url=_SAMPLES, sentence="the AccessKey is not known here",
                   remediation="Check the AccessKey id: its account, its region's site, and whether it was deleted.")
_SWITCHED_OFF = Rule(None, Code.CREDENTIAL_REJECTED, doc_url=_SAMPLES, sentence="the AccessKey is switched off",
                     remediation="Enable the AccessKey, or use another one.")
_SIGNATURE = Rule(None, Code.CREDENTIAL_REJECTED, doc_url=_SAMPLES,
                  sentence="the signature is not that of this AccessKey",
                  remediation="Check the AccessKey secret; a proxy that rewrites Host or User-Agent breaks signatures "
                              "too.")
_CLIENT_KEY = Rule(None, Code.CREDENTIAL_REJECTED, doc_url=_COMMON,
                   sentence="the instance does not know this client key",
                   remediation="Use a client key of an application access point of this instance.")
_STALE_STS = Rule(None, Code.CREDENTIAL_REJECTED, action=_FRESH, limit=1, doc_url=_SAMPLES,
                  sentence="the temporary AccessKey is not known: it may have expired",
                  remediation="Get a fresh STS token; if that is refused too, check the role.")
_OLD_TOKEN = Rule(None, Code.TOKEN_EXPIRED, sentence="the STS token has expired")
_BAD_TOKEN = Rule(None, Code.CREDENTIAL_REJECTED, sentence="the STS token cannot be read",
                  remediation="Pass the token on unaltered, and the AccessKey that came with it.")
_NO_TOKEN = Rule(None, Code.UNAUTHENTICATED, action=_NEVER,
                 sentence="a temporary AccessKey was used without its STS token",
                 remediation="Give the STS token too: temporary AccessKeys begin with STS.")
_CLOCK = Rule(None, Code.CLOCK_SKEW, doc_url=_COMMON)
_POLICY = Rule(None, Code.ACCESS_DENIED, doc_url=_COMMON,
               remediation="Grant the operation by a RAM policy, or by the access point's policy on an instance.")
_ACCOUNT = Rule(None, Code.ACCESS_DENIED, doc_url=_SAMPLES, sentence="the account itself is refused",
                remediation="Settle the standing of the account: arrears, identity check or risk control.")
_MISSING_KEY = Rule(None, Code.NOT_FOUND, doc_url=_COMMON,
                    remediation="Check key id or alias, the region, and whether the key belongs to an instance.")
_NO_INSTANCE = Rule(None, Code.CONTAINER_NOT_FOUND, sentence="there is no such KMS instance",
                    remediation="Check the instance's id, its region, and whether it was released.")
_MISSING = Rule(None, Code.NOT_FOUND)
_BAD = Rule(None, Code.INVALID_ARGUMENT)
_INCOMPLETE = Rule(None, Code.INVALID_ARGUMENT, sentence="the request lacks a parameter")
_WRONG_DOOR = Rule(None, Code.UNAUTHENTICATED, action=_NEVER, doc_url=_COMMON,
                   sentence="this is the door of a KMS instance, which asks for a client key",
                   remediation="Connect with ?instance=<kst-id> and a client key, or to the region's own address.")
_NOT_HERE = Rule(None, Code.UNSUPPORTED, doc_url=_COMMON, sentence="this door, key or region does not do this",
                 remediation="Check the kind of key, whether Alibaba manages it, and whether it belongs to a KMS "
                             "instance: those are reached with ?instance=<kst-id>.")
_NO_SUCH_API = Rule(None, Code.UNSUPPORTED, doc_url=_COMMON, sentence="this door does not offer the operation",
                    remediation="Use the other door: the region's for all but cryptography and reading secrets.")
_THROTTLED = Rule(None, Code.RATE_LIMITED, doc_url=_LIMITS)
_QUOTA = Rule(None, Code.QUOTA_EXCEEDED, doc_url=_LIMITS)
_DISABLED = Rule(None, Code.DISABLED, doc_url=_STATES)
_DELETION = Rule(None, Code.PENDING_DELETION, doc_url=_STATES)
_NO_MATERIAL = Rule(None, Code.WRONG_STATE, doc_url=_STATES, sentence="the key has no material yet",
                    remediation="Import its key material first.")
_FAILED = Rule(None, Code.INTERNAL_ERROR, doc_url=_COMMON)
_DOWN = Rule(None, Code.SERVICE_UNAVAILABLE, doc_url=_COMMON)
_CHAIN = Rule(None, Code.CREDENTIAL_UNAVAILABLE,
              remediation="Give an AccessKey, a role or an OIDC token: kmsbridge reads Alibaba's default chain.")
_P12 = Rule(None, Code.CREDENTIAL_UNAVAILABLE, sentence="the client key cannot be opened",
            remediation="Give the password that was set when the client key was made.")


def _on(names: str, rule: Rule) -> Iterator[Rule]:
    """The same meaning for several codes."""
    for name in names.split():
        yield rule._replace(on=name)


# -- what the driver knows beside the answer ----------------------------------------------------------

_ABSENT = ("Forbidden.ResourceNotFound", "Forbidden.KeyVersionNotFound", "Forbidden.KeyNotFound")
_REFUSED = ("Rejected.UnsupportedOperation", "UnsupportedOperation", "InvalidParameter", "Unsupported.Origin")
_FOUND: tuple[Rule, ...] = (
    *(Rule(code, Code.VERSION_NOT_FOUND, door=_findings.VERSION) for code in (*_ABSENT, "InvalidParameter", None)),
    *(Rule(code, Code.NOT_FOUND, door=_findings.NONE_DELETED, sentence="there is no deleted secret of this name")
      for code in ("Rejected.ResourceInUse", None)),
    *(Rule(code, Code.NOT_FOUND, door=_findings.GONE, sentence="the secret is deleted",
           remediation="Recover it, or purge it and create it anew.")
      for code in ("Rejected.ResourceInDeleteWindow", None)),
    Rule(None, Code.DELETED_BUT_RECOVERABLE, door=_findings.HELD),
    *(Rule(code, Code.ALREADY_EXISTS, door=_findings.EXISTS) for code in ("AliasAlreadyExists", None)),
    *(Rule(code, Code.NOT_FOUND, door=_findings.NOT_SCHEDULED, sentence="no deletion of this key is scheduled")
      for code in ("Rejected.StateModifiedFailed", "Rejected.Enabled", "Rejected.Disabled", None)),
    Rule(None, Code.PENDING_DELETION, door=_findings.PENDING),
    *(Rule(code, Code.WRONG_STATE, door=_findings.YOUNG, sentence="the latest version of the key is too young",
           remediation="Rotate it when that version is 7 days old.")
      for code in ("Rejected.UnsupportedOperation", "UnsupportedOperation", None)),
    *(Rule(code, Code.UNSUPPORTED, door=_findings.KIND, sentence="a key of this kind does not do this",
           remediation="Use a key of another kind; bridge.capabilities.keys.specs says which.")
      for code in (*_REFUSED, None)),
    *(Rule(code, Code.PAYLOAD_TOO_LARGE, door=_findings.SIZE, sentence="the plaintext is larger than the key encrypts",
           remediation="Use seal, which takes any size.") for code in (*_REFUSED, None)),
    *(rule._replace(door=_findings.STS) for rule in _on("InvalidAccessKeyId.NotFound InvalidAccessKeyId", _STALE_STS)),
)

# -- codes --------------------------------------------------------------------------------------------

_CODES: tuple[Rule, ...] = (
    # who asks
    *_on("InvalidAccessKeyId.NotFound InvalidAccessKeyId Forbidden.AccessKey", _ACCESS_KEY),
    *_on("InvalidAccessKeyId.Inactive Forbidden.AccessKeyDisabled", _SWITCHED_OFF),
    *_on("SignatureDoesNotMatch IncompleteSignature SignatureNotMatch", _SIGNATURE),
    Rule("SignatureNonceUsed", Code.CREDENTIAL_REJECTED, action=_BACKOFF, outcome=_UNKNOWN, fault=Fault.NETWORK,
         sentence="the same signed request came twice, and the first copy may have been carried out",
         remediation="Look for a proxy that sends requests again; the call may be made anew if it is repeatable."),
    *_on("InvalidSecurityToken.Expired SecurityToken.Expired", _OLD_TOKEN),
    *_on("InvalidSecurityToken.Malformed InvalidSecurityToken", _BAD_TOKEN),
    Rule("InvalidSecurityToken.MismatchWithAccessKey", Code.CREDENTIAL_REJECTED, action=_FRESH, limit=1,
         sentence="the STS token and the AccessKey are not of one pair",
         remediation="Read both anew, and together: one of them has been replaced."),
    *_on("MissingSecurityToken", _NO_TOKEN),
    Rule("Unauthorized", Code.CREDENTIAL_REJECTED, doc_url=_COMMON,
         sentence=_CLIENT_KEY.sentence, remediation=_CLIENT_KEY.remediation),
    Rule("InvalidCredentials", Code.CREDENTIAL_UNAVAILABLE, remediation=_CHAIN.remediation),
    # "parameter is missing" by its words; the page says "request expired", and the clock it was
    # (aliyun-ddns-client-csharp 4, aliyun-openapi-python-sdk 41)
    *_on("IllegalTimestamp InvalidTimeStamp.Expired RequestTimeTooSkewed", _CLOCK),
    *_on("InvalidTimeStamp.Format", _BAD),

    # what they may
    Rule("Forbidden.NoPermission", Code.ACCESS_DENIED, operation="secrets", says=r"acs:kms:[^\s\"]{0,80}:key/",
         doc_url=_COMMON, sentence="the identity may not use the key that protects the secret",
         remediation="Grant kms:Decrypt on the secret's key, not only kms:GetSecretValue on the secret."),
    *_on("Forbidden.NoPermission Forbidden.RAM NoPermission AccessDeniedError Forbidden", _POLICY),
    *_on("Forbidden.InDebt Forbidden.InDebtOverdue Forbidden.NoRealNameAuthentication "
         "Forbidden.ProhibitedByRiskControl Forbidden.UbsmsInvalidBid Forbidden.UbsmsInvalidUserid", _ACCOUNT),
    Rule("Forbidden.KmsServiceNotEnabled", Code.UNSUPPORTED, doc_url=_SAMPLES, fault=Fault.CUSTOMER,
         sentence="KMS is not activated for this account", remediation="Activate KMS once, in the console."),

    # what there is
    *_on("Forbidden.KeyNotFound", _MISSING_KEY),
    *_on("Forbidden.AliasNotFound", _MISSING_KEY),
    Rule("Forbidden.KeyVersionNotFound", Code.VERSION_NOT_FOUND, doc_url=_SAMPLES),
    Rule("Forbidden.ResourceNotFound", Code.NOT_FOUND, says=r"policy not found",
         sentence="the item has no such policy", remediation="Set a policy first, or read without one."),
    *_on("Forbidden.ResourceNotFound Certificate.NotFound InvalidResourceId.NotFound", _MISSING),
    *_on("Forbidden.DKMSInstanceNotFound", _NO_INSTANCE),
    Rule("Forbidden.DKMSInstanceStateInvalid", Code.DEPENDENCY_UNAVAILABLE, outcome=_NOT_APPLIED,
         sentence="the KMS instance is not running", remediation="Wait until the instance is started."),
    *_on("AliasAlreadyExists Rejected.ResourceExist Forbidden.Opened", Rule(None, Code.ALREADY_EXISTS)),
    Rule("Rejected.ResourceInDeleteWindow", Code.DELETED_BUT_RECOVERABLE),
    Rule("Rejected.ResourceInUse", Code.WRONG_STATE, sentence="the item is live, or used by something else"),

    # what state it is in
    *_on("Rejected.Disabled", _DISABLED),
    *_on("Rejected.PendingDeletion", _DELETION),
    *_on("Rejected.PendingImport", _NO_MATERIAL),
    Rule("Rejected.StateModifiedFailed", Code.WRONG_STATE, says=r"Pending.?Import", doc_url=_STATES),
    Rule("Rejected.StateModifiedFailed", Code.PENDING_DELETION, doc_url=_STATES,
         sentence="the state of the key cannot be changed as it is"),
    Rule("Rejected.Enabled", Code.WRONG_STATE, doc_url=_STATES, sentence="the key is enabled, and must not be"),
    Rule("Rejected.Unavailable", Code.DISABLED, doc_url=_STATES),
    Rule("ExpiredImportToken", Code.EXPIRED, doc_url=_SAMPLES, sentence="the import token has expired",
         remediation="Get new parameters for the import."),
    *_on("Rejected.LimitExceeded Rejected.ShareQuotaExceedLimit", _QUOTA),

    # what was sent
    Rule("InvalidParameter", Code.TOKEN_EXPIRED, says=r"SecurityToken\.Expired"),  # kubevela/terraform-controller 52
    Rule("InvalidParameter", Code.CREDENTIAL_REJECTED, says=r"parameter \W{0,3}(?:AccessKeyId|SecurityToken)\b",
         sentence="the AccessKey is not written as one",  # external-secrets 2619
         remediation="Check the AccessKey id for blanks and line ends."),
    Rule("InvalidParameter", Code.CLOCK_SKEW, says=r"parameter \W{0,3}Timestamp\b.{0,40}expired"),
    Rule("MissingParameter", Code.UNAUTHENTICATED, says=r"x-kms-ac{2,3}esskeyid", action=_NEVER, doc_url=_COMMON,
         sentence=_WRONG_DOOR.sentence, remediation=_WRONG_DOOR.remediation),
    *_on("MissingParameter MissingTimestamp ParameterMissing", _INCOMPLETE),
    *_on("InvalidParam InvalidParameter InvalidParameter.TagKey InvalidParameter.TagValue InvalidParameter.Format "
         "InvalidParameter.Accept Duplicate.TagKey InvalidImportToken InvalidKeyMaterial "
         "ParseRequestParameterException Rejected.InvalidRequest InvalidSignatureMethod "
         "ContentLengthDoesNotMatch ContentMD5NotMatched "
         "ValidationError", _BAD),
    Rule("DryRunOperationError", Code.INVALID_ARGUMENT, sentence="the call was only tried, and would have been allowed",
         remediation="Make the call without DryRun."),
    Rule("InvalidApiVersion", Code.INVALID_ARGUMENT, doc_url=_COMMON,
         sentence="this door does not speak this version of the API"),
    Rule("InvalidContentType", Code.INVALID_ARGUMENT, doc_url=_COMMON,
         sentence="this door takes Protocol Buffers, and was sent something else", remediation=_WRONG_DOOR.remediation),
    Rule("InvalidProduct.NotFound", Code.INVALID_ARGUMENT, sentence="this address is not one of KMS",
         remediation="Check the endpoint: kms.<region>.aliyuncs.com, or kms-vpc.<region>.aliyuncs.com in a VPC."),
    Rule("InvalidProtocol.NeedSsl", Code.INVALID_ARGUMENT, sentence="this address wants https",
         remediation="Use https."),

    # what is not offered
    *_on("UnsupportedOperation Rejected.UnsupportedOperation", _NOT_HERE),
    *_on("InvalidApiName InvalidApi.NotFound", _NO_SUCH_API),
    Rule("InvalidRegion.NotFound", Code.UNSUPPORTED, sentence="there is no KMS in this region",
         remediation="Check the region's id, such as eu-central-1."),
    *_on("Forbidden.KeyPolicyUnSupported Unsupported.Alias Unsupported.Origin Unsupported.ProtectionLevel "
         "UnsupportedHTTPMethod", Rule(None, Code.UNSUPPORTED)),

    # how the service is
    *_on("Rejected.Throttling Throttling Throttling.User Throttling.Api", _THROTTLED),
    *_on("InternalFailure InternalError", _FAILED),
    Rule("CreateLXOrderFailed", Code.INTERNAL_ERROR, action=_NEVER, outcome=_NOT_APPLIED,
         sentence="the order to activate KMS failed"),
    *_on("ServiceUnavailableTemporary", _DOWN),
    Rule("ServiceUnavailable", Code.SERVICE_UNAVAILABLE, status=500, outcome=_UNKNOWN),
    *_on("ServiceUnavailable", _DOWN),
)

# -- codes that are not in the table, by what their names begin or end with ------------------------------

_FAMILIES: tuple[Rule, ...] = (
    *_on(_spelling.THROTTLED, _THROTTLED),
    *_on(_spelling.BAD_KEY, _ACCESS_KEY),
    *_on(_spelling.OLD_TOKEN, _OLD_TOKEN),
    *_on(_spelling.BAD_TOKEN, _BAD_TOKEN),
    *_on(_spelling.BAD_SIGNATURE, _SIGNATURE),
    *_on(_spelling.BAD_TIME, _CLOCK),
    Rule(_spelling.NOT_ALLOWED_FROM, Code.NETWORK_FORBIDDEN),
    Rule(_spelling.IDENTITY_NOT_FOUND, Code.CREDENTIAL_REJECTED, sentence="the user, role or account does not exist",
         remediation="Check the name of the role, and whether the account of the AccessKey is still there."),
    *_on(_spelling.ROUTE_NOT_FOUND, _NO_SUCH_API),
    Rule(_spelling.INSTANCE_NOT_FOUND, Code.CONTAINER_NOT_FOUND, sentence=_NO_INSTANCE.sentence,
         remediation=_NO_INSTANCE.remediation),
    Rule(_spelling.VERSION_NOT_FOUND, Code.VERSION_NOT_FOUND),
    *_on(_spelling.NOT_FOUND, _MISSING),
    Rule(_spelling.EXISTS, Code.ALREADY_EXISTS),
    *_on(_spelling.QUOTA, _QUOTA),
    Rule(_spelling.TOO_LARGE, Code.PAYLOAD_TOO_LARGE),
    Rule(_spelling.IN_PROGRESS, Code.OPERATION_IN_PROGRESS),
    Rule(_spelling.UNSUPPORTED, Code.UNSUPPORTED),
    *_on(_spelling.FORBIDDEN, _POLICY),
    Rule(_spelling.REJECTED, Code.WRONG_STATE),
    *_on(_spelling.INTERNAL, _FAILED),
    *_on(_spelling.UNAVAILABLE, _DOWN._replace(outcome=_UNKNOWN)),
    Rule(_spelling.LATE, Code.TIMEOUT, outcome=_UNKNOWN),
    *_on(_spelling.INVALID, _BAD),
    *_on(_spelling.NO_CREDENTIAL, _CHAIN),
)

# -- where there is no code -----------------------------------------------------------------------------

_STATUSES: tuple[Rule, ...] = (
    # KMS always answers with a code: a page comes from what stands before it, and says nothing of an item
    Rule(None, Code.NETWORK_FORBIDDEN, status=403, says=r"^<html>", sentence="a gateway on the way refuses the call"),
    Rule(None, Code.CONTAINER_NOT_FOUND, status=404, says=r"^$|^<html>",
         sentence="what answers at this address is not KMS"),
    Rule(None, Code.SERVICE_UNAVAILABLE, status=504, outcome=_UNKNOWN),
)
_NO_CLIENT_KEY = (  # the FAQ on application access: how Python, Java, PHP and Go say that its password is wrong
    r"mac verify failure|pkcs.?12.{0,40}password|keystore password was incorrect|decrypt the privateKey of clientKey"
    r"|password is incorrect, or it is not a valid pkcs12"
)
_NO_CREDENTIAL = (  # the credential chains of the SDKs for Python, Go and Java
    r"refresh (?:ecs|session|temporary).{0,40}(?:err|fail)|\bsts token err|unable to (?:load|get|find).{0,20}credential"
    r"|(?:not found any|no valid|no) credentials|can ?not find (?:any )?credential|failed to get credential"
    r"|(?:get|refresh)\w* (?:session )?credentials? (?:error|failed)|\bCredentialException\b|SDK\.InvalidCredential"
    r"|ALIBABA_CLOUD_ACCESS_KEY|oidc token file|role ?name.{0,30}(?:empty|not found|fail)|100\.100\.100\.200"
    r"|metadata (?:service|server)"
)
_NO_REGION = (
    r"SDK\.(?:InvalidRegionId|CanNotResolveEndpoint|EndpointResolvingError|EndpointTestFail\w*)"
    r"|can ?not resolve endpoint"
)
_WORDS: tuple[tuple[str, Rule], ...] = (
    (_NO_CLIENT_KEY, _P12),
    (_NO_CREDENTIAL, _CHAIN),
    # where a relay has left the code out, the sentences of the published answers
    (r"signature is not matched|signature .{0,40}does not match", _SIGNATURE),
    (r"access ?key(?: ?id)? .{0,60}(?:is not found|(?:does|do) not exist|is inactive)", _ACCESS_KEY),
    (r"security ?token.{0,40}expired", _OLD_TOKEN),
    (r"time ?stamp or date value is expired|server time more than 15 minutes", _CLOCK),
    (r"key state is Disabled", _DISABLED),
    (r"key state is PendingDeletion", _DELETION),
    (r"key state is PendingImport", _NO_MATERIAL),
    (r"key (?:id or alias )?(?:does not exist|is not found)|specified alias is not found", _MISSING_KEY),
    (r"^(?:\S+ ){0,4}resource not found", _MISSING),
    (r"request was denied due to (?:request |user )?(?:flow )?(?:throttling|control)|QPS (?:upper )?limit", _THROTTLED),
    (r"forbidden by permission system|not authorized to operate", _POLICY),
    (r"service unavailable temporary|temporary failure of the server", _DOWN),
    (_NO_REGION,
     Rule(None, Code.INVALID_ARGUMENT, outcome=_NOT_SENT, sentence="the region is not known to the SDK",
          remediation="Check the region's id, or name the endpoint.")),
)
_CONNECTIONS: tuple[Rule, ...] = (
    *BROKEN_CONNECTIONS,
    # the SDKs' own words, for what they no longer tell the cause of
    Rule(None, Code.TIMEOUT, outcome=_UNKNOWN,
         says=r"SDK\.(?:\w*Timeout\w*|ServerUnreachable.{0,80}timed? ?out)|timed out|Timeout on reading"),
    Rule(None, Code.NETWORK_ERROR, outcome=_UNKNOWN,
         says=r"SDK\.(?:ServerUnreachable|HttpError)|max retries exceeded|\bRetryError\b"),
)
RULES: tuple[Rule, ...] = (
    *_FOUND,
    *_CODES,
    *_FAMILIES,
    *_STATUSES,
    *(rule._replace(says=says) for says, rule in _WORDS),
    *_CONNECTIONS,
    _P12._replace(door=_findings.CLIENT_KEY),
    Rule(None, Code.CREDENTIAL_UNAVAILABLE, door=_findings.CREDENTIAL, remediation=_CHAIN.remediation),
)
"""Every rule of this backend."""
# fmt: on

_fold = _spelling.spelling({rule.on for rule in RULES if rule.on is not None})
_known = frozenset(_fold(rule.on) for rule in RULES if rule.on is not None)
_GENERAL = (Category.AUTHENTICATION, Category.THROTTLED, Category.UNAVAILABLE)
_general = frozenset(
    _fold(rule.on) for rule in (*_CODES, *_FAMILIES) if rule.on is not None and TAXONOMY[rule.code].category in _GENERAL
)

decoder = Decoder("alibaba-kms", RULES, read=partial(read, table=Table(_known, _general, _fold)), fold=_fold)
"""Reads the answers of the region's door and of an instance's, raw or as SDKs print them."""
