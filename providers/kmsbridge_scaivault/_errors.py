"""What the answers of ScaiVault mean, as data: the whole vocabulary of its reference, and its token service's.

The code decides, never the status: a 503 may be for good (``feature_disabled``), a 429 too
(``quota_exceeded``), and a 502 may be a throttle (``backend_rate_limited``). A code that is
not here has the meaning of its status. The vendor's pages are named beside the rules; only
four codes stand in its table of retries with a "yes", so whatever else may pass is tried
again once or twice at most.
"""

from __future__ import annotations

from kmsbridge._broken_connections import BROKEN_CONNECTIONS
from kmsbridge._decode import Decoder, Rule
from kmsbridge._errors import TAXONOMY, Category, Code, Fault, Outcome, RetryAction
from kmsbridge_scaivault._findings import ITEM, TOKEN, VERSION
from kmsbridge_scaivault._reading import PAGE, STRANGER, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEVER, _FRESH = RetryAction.NEVER, RetryAction.REAUTHENTICATE
_NOT_SENT, _NOT_APPLIED, _UNKNOWN = Outcome.NOT_SENT, Outcome.NOT_APPLIED, Outcome.UNKNOWN
_DOCS = "https://www.scailabs.ai/en/docs/scaivault/"
_CODES = f"{_DOCS}reference/error-codes"
_ERRORS = f"{_DOCS}core-concepts/errors"
_AUTH = f"{_DOCS}getting-started/authentication"
_TENANCY = f"{_DOCS}core-concepts/multi-tenancy"
_POLICIES = f"{_DOCS}core-concepts/policies-and-permissions"
_RATE = f"{_DOCS}advanced/rate-limiting"
_SECRETS = f"{_DOCS}core-concepts/secrets"
_OAUTH = "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"

# fmt: off
_BAD = Rule(None, Code.INVALID_ARGUMENT, doc_url=_CODES)
_MISSING = Rule(None, Code.NOT_FOUND, doc_url=_CODES)
_IN_USE = Rule(None, Code.WRONG_STATE, doc_url=_CODES)


def _on(names: str, rule: Rule) -> Iterator[Rule]:
    """The same meaning for several codes."""
    for name in names.split():
        yield rule._replace(on=name)


# -- the token service ------------------------------------------------------------------

_NO_TOKEN = Rule(None, Code.DEPENDENCY_UNAVAILABLE, door=TOKEN, outcome=_NOT_SENT, doc_url=_AUTH,
                 sentence="the token service gave no token",
                 remediation="Try again; if it lasts, check the token service and options.token_url.")
_NO_CLIENT = Rule(None, Code.CREDENTIAL_REJECTED, door=TOKEN, outcome=_NOT_SENT, doc_url=_AUTH,
                  sentence="the token service refuses the client",
                  remediation="Check client id and secret, and whether the service wants them by options.client_auth "
                              "post or basic.")
_NO_SERVICE = Rule(None, Code.CREDENTIAL_UNAVAILABLE, door=TOKEN, outcome=_NOT_SENT, doc_url=_AUTH,
                   sentence="there is no token service at this address", remediation="Check options.token_url.")
_ASKED = Rule(None, Code.INVALID_ARGUMENT, door=TOKEN, outcome=_NOT_SENT, doc_url=_OAUTH)
_LOGIN: tuple[Rule, ...] = (
    *_on("invalid_client unauthorized_client invalid_grant access_denied", _NO_CLIENT),
    Rule("invalid_scope", Code.ACCESS_DENIED, door=TOKEN, outcome=_NOT_SENT, doc_url=_AUTH,
         sentence="the client may not have the scopes that were asked for",
         remediation="Have the scopes granted to the client, or name fewer in options.scope."),
    *_on("invalid_request unsupported_grant_type", _ASKED),
    *_on("temporarily_unavailable server_error", _NO_TOKEN),
    *(_NO_CLIENT._replace(status=status) for status in (400, 401, 403)),
    Rule(None, Code.RATE_LIMITED, door=TOKEN, status=429, outcome=_NOT_SENT),
    *(_NO_TOKEN._replace(status=status) for status in (200, 201, 202, 204, 408, 425, 500, 502, 503, 504)),
    *(_NO_SERVICE._replace(status=status) for status in (*range(404, 432), 501, 505)
      if status not in (407, 408, 425, 429)),
)

# -- the vocabulary ---------------------------------------------------------------------

_VOCABULARY: tuple[Rule, ...] = (
    # authentication and authorization
    Rule("authentication_required", Code.UNAUTHENTICATED, doc_url=_AUTH,
         remediation="Give a token, or a client id and secret; a wrong or old token is answered so too."),
    Rule("token_expired", Code.TOKEN_EXPIRED, doc_url=_AUTH,
         remediation="Make a new personal token, or connect with a client id and secret, which renew theirs."),
    # fresh tokens are refused for some 10 minutes after the keys of the token service were changed
    # (operations/troubleshooting); one signed by an old key is cured by a new one
    Rule("token_invalid", Code.CREDENTIAL_REJECTED, action=_FRESH, limit=1, doc_url=_AUTH,
         sentence="the signature of the token is not accepted",
         remediation="Check that the token is of this environment; after a change of the token service's keys wait "
                     "10 minutes."),
    Rule("token_revoked", Code.CREDENTIAL_REJECTED, doc_url=_AUTH, sentence="the token was revoked",
         remediation="Ask who revoked it, and get a new one."),
    Rule("access_denied", Code.ACCESS_DENIED, doc_url=_POLICIES,
         remediation="Have a policy allow this path and permission; POST /v1/policies/test says which rule decides."),
    Rule("insufficient_scope", Code.ACCESS_DENIED, doc_url=_AUTH, fault=Fault.CALLER,
         sentence="the token does not have the scope for this",
         remediation="Ask for a token with the scope, such as secrets:write (options.scope)."),
    Rule("mfa_required", Code.CONDITION_NOT_MET, doc_url=_POLICIES,
         sentence="the policy asks for a fresh second factor",
         remediation="Log in with the second factor, and use the token of that login."),
    Rule("ip_not_allowed", Code.NETWORK_FORBIDDEN, doc_url=_POLICIES),
    Rule("time_window_violation", Code.CONDITION_NOT_MET, doc_url=_POLICIES,
         sentence="the policy does not allow it at this time",
         remediation="Call within the time window of the policy, or have it changed."),
    Rule("tenant_access_denied", Code.ACCESS_DENIED, doc_url=_TENANCY,
         sentence="the identity may not act in this tenant",
         remediation="Leave the tenant out of the URL, or use an identity that is partner admin."),
    Rule("forbidden", Code.ACCESS_DENIED, doc_url=_CODES),

    # validation
    Rule("invalid_path", Code.INVALID_ARGUMENT, doc_url=_SECRETS, sentence="the path of the secret is not legal",
         remediation="Write at most 10 levels of a-z, 0-9, '-' and '_', joined by '/'."),
    Rule("invalid_cursor", Code.INVALID_ARGUMENT, doc_url=_CODES,
         sentence="the listing cannot go on: its cursor has expired",
         remediation="Start the listing again; items that were seen come a second time."),
    Rule("validation_error", Code.INVALID_ARGUMENT, doc_url=_ERRORS, sentence="the service refuses some fields"),
    *_on("invalid_request invalid_secret_type invalid_duration invalid_policy invalid_glob invalid_role "
         "invalid_config", _BAD),

    # not found
    *_on("secret_not_found", _MISSING._replace(doc_url=_SECRETS)),
    Rule("version_not_found", Code.VERSION_NOT_FOUND, doc_url=_SECRETS,
         remediation="Use another version: old ones go when there are more than max_versions, or after a rotation."),
    Rule("tenant_not_found", Code.CONTAINER_NOT_FOUND, doc_url=_TENANCY, sentence="there is no such tenant",
         remediation="Check the tenant in the URL: scaivault://<host>/<tenant>."),
    *_on("policy_not_found binding_not_found webhook_not_found subscription_not_found rotation_policy_not_found "
         "secret_policy_not_found ca_not_found certificate_not_found csr_not_found trust_anchor_not_found "
         "acme_account_not_found acme_order_not_found dns_provider_not_found engine_not_found role_not_found "
         "lease_not_found identity_not_found federation_backend_not_found export_not_found", _MISSING),

    # conflict and state
    # what is live never conflicts: a write appends a version
    Rule("secret_exists", Code.DELETED_BUT_RECOVERABLE, doc_url=_SECRETS,
         remediation="Wait until its retention is over, or have it recovered or removed in ScaiVault: the API offers "
                     "neither."),
    Rule("version_conflict", Code.VERSION_CONFLICT, doc_url=_ERRORS),
    Rule("policy_in_use", Code.WRONG_STATE, doc_url=_POLICIES, sentence="the policy has bindings",
         remediation="Remove its bindings first."),
    Rule("engine_in_use", Code.WRONG_STATE, doc_url=_CODES, sentence="the engine has leases",
         remediation="Revoke its leases first."),
    Rule("ca_has_certificates", Code.WRONG_STATE, doc_url=_CODES, sentence="the CA has issued certificates",
         remediation="Revoke its certificates first."),
    *_on("name_conflict binding_conflict", Rule(None, Code.ALREADY_EXISTS, doc_url=_CODES)),
    Rule("secret_expired", Code.EXPIRED, doc_url=_SECRETS, sentence="the secret's time is over",
         remediation="Write a new version of it."),
    Rule("lease_expired", Code.EXPIRED, doc_url=_CODES, sentence="the lease is over",
         remediation="Take out a new lease."),

    # rate, quota, availability
    Rule("rate_limited", Code.RATE_LIMITED, doc_url=_RATE,
         remediation="Slow down: share one bridge, cache what is read, read many at once by get_many."),
    Rule("quota_exceeded", Code.QUOTA_EXCEEDED, doc_url=_RATE, sentence="the quota of the tenant is used up"),
    Rule("service_unavailable", Code.SERVICE_UNAVAILABLE, doc_url=_ERRORS),
    Rule("feature_disabled", Code.UNSUPPORTED, doc_url=_CODES, fault=Fault.CUSTOMER,
         sentence="this installation has the feature switched off",
         remediation="Ask the operator of ScaiVault to switch it on."),
    Rule("maintenance_mode", Code.SERVICE_UNAVAILABLE, min_delay=30.0, doc_url=_CODES,
         sentence="ScaiVault is down for maintenance", remediation="Try again when its operator is done."),

    # the service and what is behind it; its table of retries names internal_error alone: once
    Rule("internal_error", Code.INTERNAL_ERROR, limit=1, doc_url=_ERRORS),
    Rule("encryption_error", Code.DEPENDENCY_UNAVAILABLE, limit=1, outcome=_UNKNOWN, doc_url=_CODES,
         sentence="ScaiVault could not use the key that protects its data",
         remediation="Ask its operator to look at the key service behind it: the root key may be disabled."),
    Rule("storage_error", Code.INTERNAL_ERROR, limit=1, doc_url=_CODES, sentence="the store of ScaiVault failed"),
    Rule("backend_error", Code.DEPENDENCY_UNAVAILABLE, limit=2, outcome=_UNKNOWN, doc_url=_CODES,
         sentence="the store or authority behind ScaiVault failed"),
    # no Retry-After is promised for it
    Rule("backend_rate_limited", Code.RATE_LIMITED, limit=2, min_delay=5.0, doc_url=_CODES,
         sentence="the store or authority behind ScaiVault limits it",
         remediation="Wait, and ask less of what is behind ScaiVault: the limit is not ours alone."),
    Rule("backend_timeout", Code.TIMEOUT, limit=2, doc_url=_CODES,
         sentence="the store behind ScaiVault did not answer it in time"),

    # dynamic secrets and certificates
    *_on("ttl_exceeds_max domain_not_allowed key_type_mismatch csr_invalid", _BAD),
    Rule("csr_already_processed", Code.WRONG_STATE, doc_url=_CODES, sentence="the request was signed or refused before",
         remediation="Look at the request: it may be signed already."),
    # a definite answer: to try again uses up the authority's limit of failures
    Rule("acme_order_failed", Code.WRONG_STATE, doc_url=_CODES, sentence="the certificate authority refused the order",
         remediation="Look at the order: a challenge, a CAA record or a policy of the authority is in the way."),
    Rule("engine_unreachable", Code.DEPENDENCY_UNAVAILABLE, limit=2, outcome=_NOT_APPLIED, doc_url=_CODES,
         sentence="ScaiVault could not reach the system that it makes credentials in"),

    # what ScaiVault tells of its own deliveries, which it repeats itself
    Rule("webhook_url_invalid", Code.INVALID_ARGUMENT, doc_url=_CODES),
    Rule("webhook_delivery_failed", Code.DEPENDENCY_UNAVAILABLE, action=_NEVER, outcome=_UNKNOWN, doc_url=_CODES,
         sentence="the destination of the webhook refused the delivery", fault=Fault.CALLER,
         remediation="Look at the destination; ScaiVault delivers again by itself."),
    Rule("webhook_delivery_timeout", Code.TIMEOUT, action=_NEVER, outcome=_UNKNOWN, doc_url=_CODES,
         sentence="the destination of the webhook did not answer in 10 seconds", fault=Fault.CALLER,
         remediation="Answer webhooks at once and work afterwards; ScaiVault delivers again by itself."),
)

# -- where there is no code that is known -----------------------------------------------

_STATUSES: tuple[Rule, ...] = (
    # every error of ScaiVault has an envelope: a page comes from what stands before it, and says nothing of an item
    Rule(None, Code.NETWORK_FORBIDDEN, status=403, says=f"^{PAGE}", sentence="a gateway on the way refuses the call"),
    *(Rule(None, Code.CONTAINER_NOT_FOUND, status=status, says=f"^{STRANGER}",
           sentence="what answers at this address is not ScaiVault",
           remediation="Check the host, and whether a proxy answers in its place.") for status in (404, 410)),
    Rule(None, Code.EXPIRED, status=410),
    Rule(None, Code.VERSION_NOT_FOUND, door=VERSION, sentence="a version is a whole number here"),
    # one item of a batch read that failed in a way that is not known: nothing was changed
    Rule(None, Code.UNKNOWN, door=ITEM, outcome=_NOT_APPLIED),
)
# where no token is to be had, nothing was asked of a secret: what is said of items there is no verdict on one
_ABOUT_ITEMS = (Category.NOT_FOUND, Category.CONFLICT, Category.INVALID_REQUEST)
_ELSEWHERE: tuple[Rule, ...] = tuple(
    _NO_SERVICE._replace(on=rule.on) for rule in _VOCABULARY
    if (TAXONOMY[rule.code].category in _ABOUT_ITEMS or rule.code in (Code.EXPIRED, Code.WRONG_STATE))
    and rule.on not in [known.on for known in _LOGIN]
)
RULES: tuple[Rule, ...] = (*_LOGIN, *_ELSEWHERE, *_VOCABULARY, *_STATUSES, *BROKEN_CONNECTIONS)
"""Every rule of this backend."""
# fmt: on

decoder = Decoder("scaivault", RULES, read=read)
"""Reads the answers of ScaiVault and of its token service."""
