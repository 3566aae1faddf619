"""The codes of Azure Resource Manager: vaults as resources.

The page "Common error codes for Azure Key Vault" names those of the first group; the others are
of Resource Manager itself (facts: error catalogue; "Troubleshoot common Azure deployment errors").
A deployment wraps them: ``DeploymentFailed`` with ``details``; the deepest known code counts.
"""

from __future__ import annotations

from kmsbridge._decode import Rule
from kmsbridge._errors import Code, Outcome, RetryAction

_BACKOFF = RetryAction.BACKOFF
_COMMON = "https://learn.microsoft.com/azure/key-vault/general/common-error-codes"
_DEPLOYMENT = "https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors"
_DELETED_VAULT = "Recover the deleted vault, purge it if its protection allows, or choose another name."
_REGISTER = "Register the resource provider Microsoft.KeyVault in the subscription."


def _each(names: str, rule: Rule) -> tuple[Rule, ...]:
    return tuple(rule._replace(on=name) for name in names.split())


# fmt: off
ARM: tuple[Rule, ...] = (
    # -- the page of common error codes
    Rule("VaultAlreadyExists", Code.ALREADY_EXISTS, doc_url=_COMMON,
         sentence="the name of the vault is taken",
         remediation="Choose another name; a vault that was deleted keeps its name until it is purged: look among the "
                     "deleted ones."),
    Rule("VaultNameNotValid", Code.INVALID_ARGUMENT, doc_url=_COMMON,
         remediation="Name the vault with 3 to 24 letters, digits and hyphens."),
    # data-safe-haven 2523
    Rule("ConflictError", Code.DELETED_BUT_RECOVERABLE, says=r"exists in deleted state|recover or purge",
         doc_url=_COMMON, sentence="a deleted vault holds the name", remediation=_DELETED_VAULT),
    Rule("ConflictError", Code.OPERATION_IN_PROGRESS, action=_BACKOFF, doc_url=_COMMON,
         sentence="another operation on the same vault is running",
         remediation="Do one operation on a vault after the other, or try again later."),
    Rule("RegionNotSupported", Code.UNSUPPORTED, doc_url=_COMMON, remediation="Choose a region that offers it."),
    Rule("SkuNotSupported", Code.UNSUPPORTED, doc_url=_COMMON, remediation="Choose a SKU that the region offers."),
    # An Azure resource is a vault; what the name of a type under the vault's leads to is an item of it.
    Rule("ResourceNotFound", Code.NOT_FOUND, says=r"Microsoft\.KeyVault/(?:vaults|managedHSMs)/[^/' ]+/",
         doc_url=_COMMON),
    Rule("ResourceNotFound", Code.CONTAINER_NOT_FOUND, says=r"\bresource\b", doc_url=_COMMON),
    Rule("ResourceNotFound", Code.NOT_FOUND, doc_url=_COMMON),
    # Open to two readings: the group may be what was asked for, or where a vault was looked for. Where the words
    # say that the group itself is missing, it is the first (recordings of azure-sdk-for-node); the code alone is the
    # second.
    Rule("ResourceGroupNotFound", Code.NOT_FOUND, says=r"resource group\b", doc_url=_COMMON,
         sentence="there is no such resource group", remediation="Create the resource group, or correct its name."),
    Rule("ResourceGroupNotFound", Code.CONTAINER_NOT_FOUND, doc_url=_COMMON,
         sentence="there is no such resource group"),
    Rule("CertificateExpired", Code.EXPIRED, doc_url=_COMMON,
         remediation="Check the date and validity period of the certificate, and renew it."),

    # -- what is there
    *_each("VaultNotFound DeletedVaultNotFound ParentResourceNotFound SubscriptionNotFound InvalidSubscriptionId",
           Rule(None, Code.CONTAINER_NOT_FOUND)),
    *_each("AnotherOperationInProgress ResourceGroupBeingDeleted DeploymentActiveAndUneditable RetryableError",
           Rule(None, Code.OPERATION_IN_PROGRESS, action=_BACKOFF)),
    *_each("PreconditionFailed", Rule(None, Code.VERSION_CONFLICT)),

    # -- who may
    *_each("AuthorizationFailed RequestDisallowedByPolicy LinkedAuthorizationFailed", Rule(None, Code.ACCESS_DENIED)),
    Rule("ScopeLocked", Code.WRONG_STATE, remediation="Ask the owner of the scope to remove its lock."),
    Rule("InvalidAuthenticationTokenTenant", Code.ACCESS_DENIED,
         remediation="Use an identity of the subscription's tenant."),
    Rule("ExpiredAuthenticationToken", Code.TOKEN_EXPIRED),
    Rule("InvalidAuthenticationToken", Code.TOKEN_EXPIRED, says=r"token (?:is|has) expired"),
    *_each("InvalidAuthenticationToken InvalidAuthenticationTokenAudience", Rule(None, Code.CREDENTIAL_REJECTED)),
    Rule("AuthenticationFailed", Code.UNAUTHENTICATED, says=r"missing"),
    Rule("AuthenticationFailed", Code.CREDENTIAL_REJECTED),

    # -- what there is to be had
    *_each("MissingSubscriptionRegistration NoRegisteredProviderFound SubscriptionNotRegistered "
           "MissingRegistrationForLocation",
           Rule(None, Code.UNSUPPORTED, sentence="the subscription does not have the resource provider",
                remediation=_REGISTER, doc_url=_DEPLOYMENT)),
    *_each("DisallowedProvider DisallowedOperation InvalidResourceType InvalidResourceNamespace SkuNotAvailable "
           "LocationNotAvailableForResourceType InvalidApiVersionParameter UnsupportedApiVersion MethodNotAllowed",
           Rule(None, Code.UNSUPPORTED)),
    *_each("QuotaExceeded ResourceQuotaExceeded DeploymentQuotaExceeded", Rule(None, Code.QUOTA_EXCEEDED)),

    # -- what was asked
    *_each("LinkedInvalidPropertyId InvalidParameter InvalidRequestContent InvalidRequestFormat InvalidRequest "
           "InvalidTemplate InvalidResourceName InvalidResourceReference InvalidResourceLocation LocationRequired "
           "InvalidDeploymentLocation MismatchingResourceSegments MissingApiVersionParameter ReservedResourceName "
           "InvalidParameterValue InvalidPropertyValue UnsupportedMediaType",
           Rule(None, Code.INVALID_ARGUMENT)),
    *_each("RequestEntityTooLarge RequestContentTooLarge DeploymentSizeExceeded", Rule(None, Code.PAYLOAD_TOO_LARGE)),

    # -- not now
    *_each("TooManyRequests SubscriptionRequestsThrottled ResourceRequestsThrottled OperationThrottled",
           Rule(None, Code.RATE_LIMITED)),
    *_each("ServerError InternalServerError InternalError", Rule(None, Code.INTERNAL_ERROR)),
    *_each("GatewayTimeout RequestTimeout ServerTimeout OperationTimedOut", Rule(None, Code.TIMEOUT)),
    *_each("ServerBusy", Rule(None, Code.SERVICE_UNAVAILABLE, outcome=Outcome.UNKNOWN)),
)
# fmt: on
