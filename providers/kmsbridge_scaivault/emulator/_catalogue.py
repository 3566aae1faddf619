"""The vocabulary of errors, whole, and the errors of the token endpoint.

The vendor's page ``reference/error-codes`` has codes, statuses and meanings, and one sample
answer; the sentences here are our own but for that of ``secret_not_found``. No page shows an
error of the token endpoint, so these are the ones of OAuth.
"""

from __future__ import annotations

from kmsbridge_scaivault.emulator._known import Known

_PAGE = "docs: reference/error-codes"


def _section(title: str, errors: dict[int, dict[str, str]], **details: tuple[str, ...]) -> dict[str, Known]:
    """The rows of one table of that page, by status."""
    return {
        code: Known(f"{_PAGE}, {title}", status, message, details.get(code, ()))
        for status, rows in errors.items()
        for code, message in rows.items()
    }


_ACCESS = _section(
    "Authentication / authorization",
    {
        401: {
            "authentication_required": "The Authorization header is missing or malformed",
            "token_expired": "The token has expired",
            "token_invalid": "The signature of the token is not valid",
            "token_revoked": "The token was revoked",
        },
        403: {
            "access_denied": "No policy rule allows '{permission}' on '{path}'",
            "insufficient_scope": "The token lacks the scope '{scope}'",
            "mfa_required": "The rule asks for fresh MFA",
            "ip_not_allowed": "The address of the caller is outside the allowed ranges",
            "time_window_violation": "The request is outside the allowed time window",
            "tenant_access_denied": "Tenant '{tenant}' is not accessible without partner admin",
            "forbidden": "The request is not authorized",
        },
    },
    mfa_required=("failed_condition",),
    ip_not_allowed=("failed_condition",),
    time_window_violation=("failed_condition",),
)
_VALIDATION = _section(
    "Validation",
    {
        400: {
            "invalid_request": "The body is not a JSON object of the expected shape",
            "invalid_path": "The path '{path}' is not valid",
            "invalid_secret_type": "The secret type is not known",
            "invalid_duration": "The duration cannot be parsed",
            "invalid_cursor": "The cursor is expired or malformed",
            "invalid_policy": "The rules or bindings of the policy are not valid",
            "invalid_glob": "The pattern is not a valid glob",
            "invalid_role": "The name of the role is not valid",
            "invalid_config": "The configuration of the engine or backend was rejected",
        },
        422: {"validation_error": "Some fields are not valid"},
    },
    invalid_path=("path",),
    validation_error=("fields",),
)
_NOT_FOUND = _section(
    "Not found",
    {
        404: {
            "secret_not_found": "Secret '{path}' not found",
            "version_not_found": "Version {version} of secret '{path}' not found",
            "policy_not_found": "The policy was not found",
            "binding_not_found": "The binding was not found",
            "webhook_not_found": "The webhook was not found",
            "subscription_not_found": "The subscription was not found",
            "rotation_policy_not_found": "The rotation policy was not found",
            "secret_policy_not_found": "The secret policy was not found",
            "ca_not_found": "The certificate authority was not found",
            "certificate_not_found": "The certificate was not found",
            "csr_not_found": "The certificate signing request was not found",
            "trust_anchor_not_found": "The trust anchor was not found",
            "acme_account_not_found": "The ACME account was not found",
            "acme_order_not_found": "The ACME order was not found",
            "dns_provider_not_found": "The DNS provider was not found",
            "engine_not_found": "The engine was not found",
            "role_not_found": "The role was not found",
            "lease_not_found": "The lease was not found",
            "tenant_not_found": "Tenant '{tenant}' was not found",
            "identity_not_found": "The identity was not found",
            "federation_backend_not_found": "The federation backend was not found",
            "export_not_found": "The export was not found",
        },
    },
    secret_not_found=("path",),
    version_not_found=("path",),
)
_STATE = _section(
    "Conflict / state",
    {
        409: {
            "secret_exists": "Secret '{path}' is deleted and still in retention",
            "version_conflict": "Secret '{path}' was modified concurrently",
            "policy_in_use": "The policy has bindings",
            "engine_in_use": "The engine has leases",
            "ca_has_certificates": "The certificate authority has issued certificates",
            "name_conflict": "The name is already taken",
            "binding_conflict": "The identity is already bound",
        },
        410: {
            "secret_expired": "Secret '{path}' has expired",
            "lease_expired": "The lease has expired",
        },
    },
)
_AVAILABILITY = _section(
    "Rate limit / quota / availability",
    {
        429: {
            "rate_limited": "Too many requests of this kind",
            "quota_exceeded": "The quota of the tenant is used up",
        },
        503: {
            "service_unavailable": "A dependency is not available at the moment",
            "feature_disabled": "The feature is disabled in this deployment",
            "maintenance_mode": "The service is down for maintenance",
        },
    },
)
_SERVER = _section(
    "Server / backend",
    {
        500: {
            "internal_error": "An unexpected error occurred",
            "encryption_error": "The key management service failed",
            "storage_error": "The database failed",
        },
        502: {
            "backend_error": "The federated backend failed",
            "backend_rate_limited": "The federated backend limits the rate",
        },
        504: {"backend_timeout": "The federated backend did not answer in time"},
    },
)
_DYNAMIC = _section(
    "Dynamic / PKI specific",
    {
        400: {
            "ttl_exceeds_max": "The TTL is longer than the role allows",
            "domain_not_allowed": "The name is not in the domains that the role allows",
            "key_type_mismatch": "The key of the request is not what the role requires",
            "csr_invalid": "The certificate signing request cannot be parsed",
        },
        409: {"csr_already_processed": "The certificate signing request was signed or rejected already"},
        502: {
            "acme_order_failed": "The ACME server rejected the order",
            "engine_unreachable": "The system behind the engine cannot be reached",
        },
    },
)
_WEBHOOKS = _section(
    "Webhook delivery",
    {
        400: {"webhook_url_invalid": "The URL of the webhook cannot be used"},
        502: {"webhook_delivery_failed": "The destination answered other than 2xx"},
        504: {"webhook_delivery_timeout": "The destination did not answer in 10 seconds"},
    },
)

CATALOGUE: dict[str, Known] = {
    **_ACCESS, **_VALIDATION, **_NOT_FOUND, **_STATE, **_AVAILABILITY, **_SERVER, **_DYNAMIC, **_WEBHOOKS,
}  # fmt: skip
"""All 73 codes."""

_OAUTH = "Unseen; RFC 6749, 5.2"
TOKEN_ERRORS: dict[str, Known] = {
    "oauth.invalid_request": Known(_OAUTH, 400, "The request lacks a parameter"),
    "oauth.invalid_client": Known(_OAUTH, 401, "The client is unknown, or its secret is wrong"),
    "oauth.invalid_grant": Known(_OAUTH, 400, "The grant is not valid"),
    "oauth.unauthorized_client": Known(_OAUTH, 400, "The client may not use this grant"),
    "oauth.unsupported_grant_type": Known(_OAUTH, 400, "The grant type is not supported"),
    "oauth.invalid_scope": Known(_OAUTH, 400, "The scope is unknown, or more than the client may have"),
}
"""Those of the token endpoint; the name that is sent comes after the dot."""
