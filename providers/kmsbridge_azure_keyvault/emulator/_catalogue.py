"""The errors that Key Vault is documented, or was seen, to send, by name.

`_refusals` has those that a caller can bring about; here is what a service has of its own
accord, and what others in front of it or behind it answer. Sources are written as there.

``WithoutInner`` are the same as older services and relays send them: without innererror.
"""

from __future__ import annotations

from dataclasses import replace

from kmsbridge_azure_keyvault.emulator._known import Known
from kmsbridge_azure_keyvault.emulator._refusals import BAD_REQUEST, CONFLICT, FORBIDDEN, NOT_FOUND, UNAUTHORIZED

GATEWAY_HTML = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"
)


def _proxy(status: int, code: str, message: str) -> Known:
    return Known("docs: managed-hsm/external-key-management", status, code, message, shape="bare")


_SERVICE = {
    "Throttled": Known(
        "vcsjones/AzureSignTool#219", 429, "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    ),
    "InternalServerError": Known(
        "docs: rest-error-codes", 500, "InternalServerError", "Internal server error"
    ),
    "BadGatewayHtml": Known("Seen of gateways in front of services", 502, message=GATEWAY_HTML, shape="html"),
    "ReadOnly": Known(
        "docs: general/disaster-recovery-guidance", 503, "ServiceUnavailable",
        'Operation "{internal}" is unavailable: the service is currently in a read-only state.',
    ),
    "ServiceUnavailable": Known(
        "docs: rest-error-codes", 503, "ServiceUnavailable", "The service is unavailable."
    ),
    "GatewayTimeout": Known(
        "docs: Azure Resource Manager", 504, "GatewayTimeout",
        "The gateway did not receive a response from 'Microsoft.KeyVault' within the specified time period.",
    ),
    # What the HTTP layer in front of the service answers by itself carries no envelope.
    "MethodNotAllowed": Known("Unseen; RFC 9110", 405, headers=(("Allow", "GET"),), shape="empty"),
    "LengthRequired": Known("Unseen; RFC 9110", 411, shape="empty"),
    "PayloadTooLarge": Known("Unseen; RFC 9110", 413, shape="empty"),
    "UnsupportedMediaType": Known("Unseen; RFC 9110", 415, shape="empty"),
}

_EXTERNAL_KEYS = {
    "EkmBadRequest": _proxy(400, "BadRequest", "The request is malformed"),
    "EkmUnauthorized": _proxy(401, "Unauthorized", "The client certificate is not trusted"),
    "EkmKeyDisabled": _proxy(403, "KeyDisabled", "Operation {Verb} is not allowed on a disabled key"),
    "EkmKeyNotFound": _proxy(404, "KeyNotFound", "The key was not found"),
    "EkmRequestTimeout": _proxy(408, "RequestTimeout", "The request timed out"),
    "EkmThrottled": _proxy(429, "Throttled", "Too many requests"),
    "EkmInternalServerError": _proxy(500, "InternalServerError", "Internal server error"),
    "EkmBadGateway": _proxy(502, "BadGateway", "The key manager behind the proxy failed"),
    "EkmServiceUnavailable": _proxy(503, "ServiceUnavailable", "The proxy is unavailable"),
}


def _control_plane(status: int, message: str) -> Known:
    return Known("docs: general/common-error-codes", status, message=message)


_CONTROL_PLANE = {
    # The codes of that page as Azure Resource Manager sends them: no vault answers these, relays do.
    "VaultAlreadyExists": _control_plane(
        409,
        "Your attempt to create a new key vault with the specified name has failed since the name is already in use.",
    ),
    "VaultNameNotValid": _control_plane(
        400, "The vault name should be string of 3 to 24 characters and can contain only numbers (0-9), letters (a-z, "
        "A-Z), and hyphens (-)"
    ),
    "ConflictError": Known(
        "Azure/AzureKeyVault#6", 409, "ConflictError",
        "A conflict occurred that prevented the operation from completing. The operation failed because the Key Vault "
        "'{vault}' changed from the point the operation began.",
    ),
    "ConflictErrorDeletedVault": Known(
        "alan-turing-institute/data-safe-haven#2523", 409, "ConflictError",
        "A vault with the same name already exists in deleted state. You need to either recover or purge existing key "
        "vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.",
    ),
    "RegionNotSupported": _control_plane(400, "Specified Azure region isn't supported for this resource."),
    "SkuNotSupported": _control_plane(400, "Specified SKU type isn't supported for this resource."),
    "ResourceNotFound": _control_plane(404, "Specified Azure resource isn't found."),
    "ResourceGroupNotFound": _control_plane(404, "Resource group 'does-not-exist' could not be found."),
    "CertificateExpired": _control_plane(400, "Check the expiration date and validity period of the certificate."),
}


def _without_inner(rows: dict[str, Known], *names: str) -> dict[str, Known]:
    return {f"{name}WithoutInner": replace(rows[name], inner=None) for name in names}


def _named(rows: dict[str, Known]) -> dict[str, Known]:
    """Rows whose code is their name, unless they say otherwise."""
    return {name: replace(row, code=row.code or name) for name, row in rows.items()}


CATALOGUE: dict[str, Known] = {
    **BAD_REQUEST,
    **UNAUTHORIZED,
    **FORBIDDEN,
    **NOT_FOUND,
    **CONFLICT,
    **_SERVICE,
    **_EXTERNAL_KEYS,
    **_named(_CONTROL_PLANE),
    **_without_inner(FORBIDDEN, "ForbiddenByFirewall", "ForbiddenByRbac", "AccessDenied"),
    **_without_inner(FORBIDDEN, "SecretDisabled", "KeyDisabled"),
    **_without_inner(CONFLICT, "ObjectIsDeletedButRecoverable", "ObjectIsBeingDeleted"),
    # No published 429 carries Retry-After. This one does, for clients that must honour it if it comes.
    "ThrottledRetryAfter": Known(
        "Unseen; docs: general/overview-throttling", 429, "Throttled", _SERVICE["Throttled"].message,
        headers=(("Retry-After", "1"),),
    ),
}
