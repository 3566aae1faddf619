"""What the answers of Key Vault and Managed HSM mean, as data.

One outer code stands for many things here ("Forbidden" for a firewall, a missing grant, a
disabled secret and purge protection), and the inner code may be missing: older services,
certificate operations and relays leave it out. So the order is: inner codes; then, under the
outer codes that mean several things, the vendor's words; then the outer code; then the status.

Sources: "facts" is the error catalogue of the REST reference and of published answers; each
pattern was seen in an answer of ``tests/vectors/azure-keyvault.jsonl`` or stands in the document named beside it.
"""

from __future__ import annotations

from functools import partial

from kmsbridge._decode import Decoder, Rule
from kmsbridge._entra._azure_core import AZURE_CORE, answer_of
from kmsbridge._entra._errors import NUMBERED, WORDED
from kmsbridge._errors import Code, Outcome, RetryAction
from kmsbridge_azure_keyvault._arm_errors import ARM
from kmsbridge_azure_keyvault._findings import FINDINGS
from kmsbridge_azure_keyvault._reading import Codes, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKOFF, _FRESH, _UNKNOWN = RetryAction.BACKOFF, RetryAction.REAUTHENTICATE, Outcome.UNKNOWN
_REST = "https://learn.microsoft.com/azure/key-vault/general/rest-error-codes"
_COMMON = "https://learn.microsoft.com/azure/key-vault/general/common-error-codes"
_THROTTLING = "https://learn.microsoft.com/azure/key-vault/general/overview-throttling"
_POLICIES = "https://learn.microsoft.com/azure/key-vault/general/assign-access-policy"
_RBAC = "https://learn.microsoft.com/azure/key-vault/general/rbac-guide"
_TRUSTED = "https://learn.microsoft.com/azure/key-vault/general/overview-vnet-service-endpoints#trusted-services"
_SOFT_DELETE = "https://learn.microsoft.com/azure/key-vault/general/key-vault-recovery"
_EKM = "https://learn.microsoft.com/azure/key-vault/managed-hsm/external-key-management-troubleshooting"

_OPERATIONS = (
    "rotate|release|rotationpolicy|attestation|rng|encrypt|decrypt|sign|verify|wrapkey|unwrapkey|backup|restore|recover"
    "|import|create"
)
_MALFORMED = (
    r"has invalid value|contains an invalid name|is not base64url|is not a valid argument|can ?not be read|AKV\.SKR\."
    r"|certificate (?:content|with private key)|invalid \w+ (?:definition )?name|must be a GUID|X\.509"
    r"|cannot be set to false|key size|release policy"
)

# fmt: off
_FIREWALL = Rule(None, Code.NETWORK_FORBIDDEN, doc_url=_REST,
                 sentence="the firewall of the vault does not let this address in",
                 remediation="Ask the owner of the vault to add this address to its firewall, or call from an allowed "
                             "network.")
_PRIVATE = Rule(None, Code.NETWORK_FORBIDDEN, doc_url=_REST,
                sentence="the vault can be reached over its private links only",
                remediation="Call from a network with a private endpoint of the vault, and see that its name resolves "
                            "to it.")
_NO_ROLE = Rule(None, Code.ACCESS_DENIED, doc_url=_RBAC, sentence="no role assignment allows this",
                remediation="Assign the role that holds this action to the identity; a new assignment works after "
                            "some minutes.")
_NO_POLICY = Rule(None, Code.ACCESS_DENIED, doc_url=_POLICIES, sentence="no access policy of the vault allows this",
                  remediation="Grant the permission to the identity, in an access policy or by a role, and check "
                              "which identity it is.")
_NOT_TRUSTED = Rule(None, Code.ACCESS_DENIED, doc_url=_TRUSTED,
                    sentence="the vault does not take this caller for a trusted service",
                    remediation="Call as a service that the vault trusts, or as an identity of the vault's own tenant.")
_NO_OPERATION = Rule(None, Code.ACCESS_DENIED, doc_url=_POLICIES, sentence="the operation is not permitted on this key",
                     remediation="Add the operation to the key's key_ops, and check that the identity may use it.")
_DISABLED = Rule(None, Code.DISABLED)
_EXPIRED = Rule(None, Code.EXPIRED)
_TOO_EARLY = Rule(None, Code.WRONG_STATE, sentence="the item is not valid yet",
                  remediation="Wait until its activation date (nbf), or change that date.")
_OF_CERTIFICATE = Rule(None, Code.UNSUPPORTED, sentence="the item belongs to a certificate, which alone decides on it",
                       remediation="Delete or change the certificate of the same name.")
_PURGE_PROTECTED = Rule(None, Code.UNSUPPORTED, doc_url=_SOFT_DELETE, sentence="purge protection keeps what is deleted",
                        remediation="Wait for the end of the retention: purge protection cannot be switched off.")
_RECOVERABLE = Rule(None, Code.DELETED_BUT_RECOVERABLE, doc_url=_SOFT_DELETE)
_BEING_DELETED = Rule(None, Code.OPERATION_IN_PROGRESS, sentence="the item is being deleted")
_BEING_RECOVERED = Rule(None, Code.OPERATION_IN_PROGRESS, sentence="the item is being recovered")
_PENDING = Rule(None, Code.OPERATION_IN_PROGRESS, sentence="an operation on this certificate is still pending",
                remediation="Wait until it is done, or cancel it.")
_THROTTLED = Rule(None, Code.RATE_LIMITED, doc_url=_THROTTLING,
                  remediation="Ask less often: use one client and one credential, cache what is read, spread load "
                              "over vaults.")
_READ_ONLY = Rule(None, Code.SERVICE_UNAVAILABLE, sentence="the vault can only be read while its region fails over")
_STRANGER = Rule(None, Code.ACCESS_DENIED, sentence="the identity is of another tenant than the vault",
                 remediation="Use an identity of the vault's tenant: the tenant id in the configuration decides.")
_AUDIENCE = Rule(None, Code.CREDENTIAL_REJECTED, sentence="the token was made for another service",
                 remediation="Ask for a token for the vault's service, with no slash at the end: the scope is "
                             "https://vault.azure.net/.default.")
_SIGNING_KEY = Rule(None, Code.CREDENTIAL_REJECTED, action=_FRESH, limit=1,
                    sentence="the service does not know the key that signed the token",
                    remediation="Try again: this is mostly the service's, and passes.")
_NO_TOKEN = Rule(None, Code.UNAUTHENTICATED, doc_url=_REST)
_OLD_TOKEN = Rule(None, Code.TOKEN_EXPIRED, doc_url=_REST)
_EARLY_TOKEN = Rule(None, Code.CLOCK_SKEW, action=_BACKOFF,
                    sentence="the token is not valid yet by the service's clock",
                    remediation="Set the clock (NTP) and try again; the clock that is wrong may be the service's.")
_BAD_TOKEN = Rule(None, Code.CREDENTIAL_REJECTED, doc_url=_REST, sentence="the service cannot validate the token")
_PREMIUM = Rule(None, Code.UNSUPPORTED, sentence="this needs a premium vault or a Managed HSM")
_NOT_OFFERED = Rule(None, Code.UNSUPPORTED, sentence="this vault does not offer the operation")
_NOT_FOUND = Rule(None, Code.NOT_FOUND,
                  remediation="Create it, or correct the name; what was deleted may still be recovered.")
_VERSION = Rule(None, Code.VERSION_NOT_FOUND)
_NONE_DELETED = Rule(None, Code.NOT_FOUND, sentence="there is no deleted item of this name",
                     remediation="See what is deleted; a deletion takes some seconds to show.")


def _on(names: str, rule: Rule) -> Iterator[Rule]:
    """The same meaning for several codes."""
    for name in names.split():
        yield rule._replace(on=name)


def _words(codes: str, *said: tuple[str, Rule]) -> tuple[Rule, ...]:
    """What the words mean under each of these outer codes."""
    return tuple(rule._replace(on=code, says=says) for code in codes.split() for says, rule in said)


# -- inner codes, and outer ones that mean one thing --------------------------------------------------

_CODES: tuple[Rule, ...] = (
    *_on("ForbiddenByFirewall", _FIREWALL._replace(doc_url=_COMMON)),
    *_on("ForbiddenByConnection", _PRIVATE),
    *_on("ForbiddenByRbac", _NO_ROLE),
    *_words("AccessDenied", (r"first party service", _NOT_TRUSTED)),  # troubleshooting guide of the Go SDK
    *_on("AccessDenied ForbiddenByPolicy", _NO_POLICY),
    *_on("KeyOperationForbidden", _NO_OPERATION),
    *_on("SecretDisabled KeyDisabled CertificateDisabled", _DISABLED),
    *_on("KeyExpired SecretExpired", _EXPIRED),
    *_on("KeyNotYetValid SecretNotYetValid", _TOO_EARLY),
    *_on("KeyManagedByKeyVault SecretManagedByKeyVault", _OF_CERTIFICATE),
    *_on("ObjectIsDeletedButRecoverable", _RECOVERABLE),
    *_on("ObjectIsBeingDeleted", _BEING_DELETED),
    *_on("ObjectIsBeingRecovered", _BEING_RECOVERED),
    *_words("SecretNotFound KeyNotFound CertificateNotFound",
            # The id is name/version where a version was asked for (terraform: azurerm_key_vault_secret)
            (r"\(name/id\) (?:https?://[^\s/]+/\w+/)?[^\s/]+/[^\s/]+ was not found", _VERSION),
            (r"^deleted \w+ not found", _NONE_DELETED)),
    *_on("SecretNotFound KeyNotFound CertificateNotFound PendingCertificateNotFound CertificateIssuerNotFound "
         "ContactsNotFound StorageAccountNotFound SasDefinitionNotFound RoleAssignmentNotFound RoleDefinitionNotFound "
         "NotFound", _NOT_FOUND),
    *_on("SecretVersionNotFound KeyVersionNotFound", _VERSION),
    *_on("NotSupported", _NOT_OFFERED),
    *_on("Throttled", _THROTTLED),

    # 401: numbers in the message. AKV: facts 4; IDX: Microsoft.IdentityModel; S2S: its service-to-service part
    *_on("AKV10000", _NO_TOKEN),
    *_on("AKV10022 IDX10214 IDX10208 S2S12010", _AUDIENCE),
    *_on("AKV10032 IDX10205 IDX10211", _STRANGER),
    *_on("AKV10046 IDX10500 IDX10501 IDX10503", _SIGNING_KEY),
    *_on("IDX10223 IDX10225 S2S12086 TokenExpired", _OLD_TOKEN),
    *_on("IDX10222 S2S12085", _EARLY_TOKEN),
    # CAE: the challenge says that this token was revoked before its time, and what to ask for
    Rule("insufficient_claims", Code.CREDENTIAL_REJECTED, status=401, action=_FRESH, limit=1,
         sentence="the token was revoked before its time"),
    Rule("invalid_token", Code.CREDENTIAL_REJECTED, status=401, action=_FRESH, limit=1),

    # release of keys: "exportable" needs a premium vault; the others (1003 to 1020) are BadParameter like any
    *_on("AKV.SKR.1001", _PREMIUM),

    # the proxy of an external key behind Managed HSM: bare objects; wrapping and unwrapping change nothing
    Rule("BadGateway", Code.DEPENDENCY_UNAVAILABLE, doc_url=_EKM, sentence="the external key store cannot be reached",
         remediation="Ask the owner of the external key store: its proxy does not reach its HSM."),
    Rule("ServiceUnavailable", Code.SERVICE_UNAVAILABLE, says=r"^[1-5]\d\d \| ", doc_url=_EKM),
    *_words("ServiceUnavailable", (r"read.only (?:state|mode)", _READ_ONLY)),  # azure-cli 25693
    Rule("ServiceUnavailable", Code.SERVICE_UNAVAILABLE, outcome=_UNKNOWN),
)

# -- outer codes that mean several things -------------------------------------------------------------

_FORBIDDEN = (
    (r"client address\b.{0,80}\bis not authorized|is not a trusted service", _FIREWALL),
    (r"public network access is disabled|approved private link|network security perimeter", _PRIVATE),
    (r"is not authorized to perform action|does not have (?:authorization|permission) to perform", _NO_ROLE),
    (r"first party service", _NOT_TRUSTED),
    (r"does not have \w+ \w+ permission|access denied", _NO_POLICY),
    (r"not allowed on an? (?:\w+ )?disabled|(?:secret|key|certificate) is (?:currently )?disabled", _DISABLED),
    (r"(?:not allowed on an? (?:\w+ )?expired|(?:secret|key|certificate) (?:has|is) expired)", _EXPIRED),
    (r"not allowed on an? .{0,20}not.yet.(?:valid|active)|(?:secret|key) (?:that )?is not yet (?:valid|active)",
     _TOO_EARLY),
    (r"lifetime is managed by key vault", _OF_CERTIFICATE),
    (r"purge protection is enabled|because (?:of )?purge protection", _PURGE_PROTECTED),
    (r"is forbidden on pending|pending (?:key vault )?(?:certificate|object|operation)", _PENDING),
    (r"is not permitted on this key", _NO_OPERATION),
    (r"is not enabled for this vault", _NOT_OFFERED),
)
_CONFLICT = (
    (r"vault name .{0,80} is already in use", Rule(None, Code.ALREADY_EXISTS, doc_url=_COMMON,
                                                   remediation=ARM[0].remediation)),
    (r"deleted but recoverable|exists in (?:a )?(?:soft.)?deleted state", _RECOVERABLE),
    (r"(?:currently )?being (?:deleted|purged)", _BEING_DELETED),
    (r"(?:currently )?being recovered", _BEING_RECOVERED),
    (r"pending (?:key vault )?(?:certificate|object|operation)|inProgress|certificate operation", _PENDING),
    (r"changed from the point the operation began|parallel operations|another operation|operation is in progress",
     Rule(None, Code.OPERATION_IN_PROGRESS, action=_BACKOFF, doc_url=_COMMON)),
    (r"already exists|already in use|is taken|re-?use the name", Rule(None, Code.ALREADY_EXISTS)),
)
_BAD = (
    # azure-sdk-for-js 30125; "invalid ciphertext": the reference of the external key proxy
    (r"unable to (?:decrypt|unwrap)|invalid ciphertext|authentication tag|(?:decrypt|unwrap)\w* (?:operation )?failed",
     Rule(None, Code.DECRYPTION_FAILED, remediation="Use the key version, algorithm and padding that the data was "
                                                    "encrypted with.")),
    (r"\btoo (?:large|big)\b|exceeds the maximum (?:size|length) of (?:the )?(?:value|secret|payload|request)",
     Rule(None, Code.PAYLOAD_TOO_LARGE)),
    (r"re-?use the name|already exists|already in use", Rule(None, Code.ALREADY_EXISTS)),
    (r"only supported with premium|only (?:supported|available) (?:in|with|on) (?:managed HSM|premium)", _PREMIUM),
    (r"is not enabled for this vault", _NOT_OFFERED),
    # an old api-version or a vault where an HSM is needed; a version that is none is read as an operation, too
    (rf"does not allow operation '(?:{_OPERATIONS})'", _NOT_OFFERED),
    (r"does not allow operation", Rule(None, Code.INVALID_ARGUMENT, sentence="the version is not written as one",
                                       remediation="Give a version as the vault names it: 32 hexadecimal digits.")),
    (r"is not authorized to perform action", _NO_ROLE),  # Resource Manager relays it with status 400
)
_UNAUTHORIZED = (
    (r"missing a bearer|bearer (?:or pop )?token is missing|authorization header is missing|missing.{0,20}token",
     _NO_TOKEN),
    (r"invalid audience", _AUDIENCE),
    (r"invalid issuer", _STRANGER),
    (r"token (?:is|has) expired|TokenExpired|lifetime validation failed, the token is expired", _OLD_TOKEN),
    (r"token (?:is )?not yet valid", _EARLY_TOKEN),
    (r"unable to resolve the key used for signature|signature key was not found", _SIGNING_KEY),
    (r"error validating token|signature validation failed|token validation failed|malformed", _BAD_TOKEN),
)
_ANYWHERE = (  # where only words are left, these say it too
    (r"too many requests|LimitReached", _THROTTLED),
    (r"read.only (?:state|mode)", _READ_ONLY),
    (r"\(name/id\) (?:https?://[^\s/]+/\w+/)?[^\s/]+/[^\s/]+ was not found", _VERSION),
    (r"deleted (?:secret|key|certificate) not found", _NONE_DELETED),
    (r"\(name/id\) \S+ was not found|(?:secret|key|certificate|issuer|contacts) not found", _NOT_FOUND),
    # azure-cli 8767: a backup of another subscription or geography
    (r"cannot decrypt backup blob", Rule(None, Code.INVALID_ARGUMENT, sentence="the backup was not made for this place",
                                         remediation="Restore it to a vault of the same subscription and geography.")),
    (_MALFORMED, Rule(None, Code.INVALID_ARGUMENT)),
    # Resource Manager, where a relay has left its code out
    (r"resource group .{1,100} could not be found", Rule(None, Code.NOT_FOUND, doc_url=_COMMON)),
    (r"\bvault\b.{1,100} (?:could not be|was not) found", Rule(None, Code.CONTAINER_NOT_FOUND)),
    (r"subscription registration|to use namespace 'Microsoft\.KeyVault'", Rule(None, Code.UNSUPPORTED)),
)

# -- in the order of the search -----------------------------------------------------------------------

_OUTER: tuple[Rule, ...] = (
    *_words("Forbidden", *_FORBIDDEN),
    Rule("Forbidden", Code.OPERATION_IN_PROGRESS, status=409),  # a certificate operation is pending
    Rule("Forbidden", Code.ACCESS_DENIED, doc_url=_REST),
    *_words("Conflict", *_CONFLICT),
    Rule("Conflict", Code.ALREADY_EXISTS),  # restore and import say no more
    *_words("BadParameter BadArgument BadRequest InvalidArgument", *_BAD),
    *_on("BadParameter BadArgument BadRequest InvalidArgument", Rule(None, Code.INVALID_ARGUMENT)),
    *_words("Unauthorized", *_UNAUTHORIZED),
    *_on("Unauthorized", _NO_TOKEN),
)
_STATUSES: tuple[Rule, ...] = (
    # Key Vault always answers JSON: a page comes from what stands before it, and says nothing of an item
    Rule(None, Code.NETWORK_FORBIDDEN, status=403, says=r"^<html>", sentence="a gateway on the way refuses the call"),
    Rule(None, Code.CONTAINER_NOT_FOUND, status=404, says=r"^$|^<html>",
         sentence="what answers at this address is no vault"),
    Rule(None, Code.DEPENDENCY_UNAVAILABLE, status=502, outcome=_UNKNOWN),
    # a pending certificate: the request for it succeeded, the issuer did not (documented: certificate creation methods)
    Rule(None, Code.INVALID_ARGUMENT, status=200, says=r"request (?:was )?rejected",
         sentence="the issuer rejected the request"),
    Rule(None, Code.DEPENDENCY_UNAVAILABLE, status=200, says=r"issuer|certificate authority|\bCA\b"),
)
# the challenge policy of azure-keyvault-secrets, in a ValueError
_WRONG_CHALLENGE = Rule(
    None, Code.INVALID_ARGUMENT,
    says=r"challenge resource .{0,300}does not match|the challenge contains invalid scope|invalid challenge "
         r"(?:header|param)",
    sentence="the address asked for a token that is not for this service",
    remediation="Check the host: it must be a vault's own, under the domain of its cloud.",
)
RULES: tuple[Rule, ...] = (
    *FINDINGS,
    *_CODES,
    *ARM,
    *NUMBERED,
    *_OUTER,
    *_STATUSES,
    *WORDED,
    *(rule._replace(says=says) for says, rule in (*_UNAUTHORIZED[:-1], *_FORBIDDEN, *_CONFLICT, *_BAD, *_ANYWHERE)),
    _WRONG_CHALLENGE,
    *AZURE_CORE,
)
"""Every rule of this backend."""
# fmt: on

_GENERIC = frozenset((
    "forbidden", "conflict", "badparameter", "badargument", "badrequest", "invalidargument", "unauthorized", "error",
    "deploymentfailed", "invalidtemplatedeployment",
))  # fmt: skip
_KNOWN = frozenset(rule.on.lower() for rule in RULES if rule.on is not None)

decoder = Decoder("azure-keyvault", RULES, read=partial(read, table=Codes(_KNOWN, _GENERIC)), answer=answer_of)
"""Reads the answers of vaults, of Managed HSM, of Resource Manager and of token endpoints, raw or as SDKs print "
  "them."""
