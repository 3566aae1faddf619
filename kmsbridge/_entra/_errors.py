"""What comes instead of a token: from Microsoft Entra, from a managed identity's endpoint, from chains of credentials.

Nothing of this has reached the backend. Numbers and meanings: the reference of AADSTS codes,
https://learn.microsoft.com/entra/identity-platform/reference-error-codes; texts: azure-identity 1.27
for Python, and the troubleshooting guides of azure-identity for Python, .NET and JavaScript.
"""

from __future__ import annotations

from kmsbridge._decode import Decoder, Rule
from kmsbridge._entra._azure_core import AZURE_CORE, IDENTITY, answer_of
from kmsbridge._entra._reading import read
from kmsbridge._errors import Code, Outcome, RetryAction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEVER, _FRESH, _NOT_SENT = RetryAction.NEVER, RetryAction.REAUTHENTICATE, Outcome.NOT_SENT
_AADSTS = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes"
_GUIDE = "https://aka.ms/azsdk/python/identity/troubleshoot"
_IMDS = r"\bIMDS\b|managed.?identity|169\.254\.169\.254"
_SHARE = "Ask for fewer tokens: share one credential and keep its tokens until they expire."
_ENDPOINT = "Try again: the endpoint of managed identities is restarting or overloaded."


def _numbers(
    numbers: str, code: Code, remediation: str | None = None, action: RetryAction | None = None
) -> Iterator[Rule]:
    for number in numbers.split():
        yield Rule(f"AADSTS{number}", code, action=action, outcome=_NOT_SENT, remediation=remediation, doc_url=_AADSTS)


# fmt: off
NUMBERED: tuple[Rule, ...] = (
    *_numbers("700016 70001 7000112", Code.CREDENTIAL_REJECTED,
              "Check application id and tenant: the tenant does not know the application, or has switched it off."),
    *_numbers("7000215", Code.CREDENTIAL_REJECTED,
              "Give the value of the client secret, not its id; or make a new one."),
    *_numbers("7000222", Code.TOKEN_EXPIRED,
              "Make a new client secret for the application: this one is past its date.", _NEVER),
    *_numbers("700025", Code.CREDENTIAL_REJECTED,
              "Leave the secret out: the application is registered as a public client."),
    *_numbers("70002 70000 700027 50012 50013 50017 50027 54005 700021 700023 700030 70021 700211 700212 700213",
              Code.CREDENTIAL_REJECTED,
              "Check what the application presents: secret, certificate or federated identity, and whose they are."),
    *_numbers("50034 50053 50055 50056 50057 50064 50126 50144 51004", Code.CREDENTIAL_REJECTED,
              "Check the user: unknown in this tenant, locked, or with a password that is wrong or past its date."),
    *_numbers("7000218 7000216 90013 90014 90015 900144 900971 9002313", Code.INVALID_ARGUMENT,
              "Complete the request for a token: a parameter is missing or malformed."),
    *_numbers("90002 900021 900023 90019 90038 50049 50059 50128 50194 90072", Code.INVALID_ARGUMENT,
              "Check the tenant id and the cloud it belongs to."),
    *_numbers("50001 500011 650057 70011 1002012 28002 28003 90009 900382", Code.INVALID_ARGUMENT,
              "Check the cloud: this tenant does not know the service that the token is for."),
    *_numbers("700024 500133", Code.CLOCK_SKEW, "Set the clock (NTP), then make a new assertion.", _FRESH),
    *_numbers("50072 50074 50076 50078 50079 50125 50158 500121 53000 53001 53002 53004", Code.CONDITION_NOT_MET,
              "Log in interactively once: the tenant's policy asks for more than this credential gives."),
    *_numbers("50020 50105 50131 53003 530032 530034 65001 65004 65005 650052 650056 90093 90094 90095",
              Code.ACCESS_DENIED, "Ask the administrator of the tenant to allow this application and user."),
    *_numbers("70008 70043 70044 700081 700082 700084 50089", Code.TOKEN_EXPIRED, None, _FRESH),
    *_numbers("50132 50133 50173", Code.CREDENTIAL_REJECTED, "Log in again: the session was revoked.", _FRESH),
    *_numbers("16000 16001 16002 160021 50058 50097", Code.UNAUTHENTICATED,
              "Log in again: there is no usable session.", _NEVER),
    *_numbers("50196 90055", Code.RATE_LIMITED, _SHARE),
    *_numbers("50000 50033 50087 70012 90006 90012 90024 90033 90090", Code.DEPENDENCY_UNAVAILABLE),
)

# RFC 6749, 5.2, and what Microsoft Entra adds: where the number is none of ours
_OAUTH: tuple[Rule, ...] = (
    Rule("invalid_request", Code.CREDENTIAL_UNAVAILABLE, outcome=_NOT_SENT, doc_url=_GUIDE,
         # the endpoint of a managed identity says so for an identity that this machine does not have
         says=r"identity not found|no managed identity|managed.?identity|IMDS",
         remediation="Give this machine the managed identity, or name the right client_id."),
    Rule("invalid_request", Code.INVALID_ARGUMENT, outcome=_NOT_SENT),
    *(Rule(name, Code.INVALID_ARGUMENT, outcome=_NOT_SENT)
      for name in ("invalid_scope", "invalid_resource", "unsupported_grant_type", "unsupported_response_type",
                   "invalid_instance")),
    *(Rule(name, Code.CREDENTIAL_REJECTED, outcome=_NOT_SENT)
      for name in ("invalid_client", "unauthorized_client", "invalid_grant")),
    Rule("interaction_required", Code.CONDITION_NOT_MET, outcome=_NOT_SENT),
    Rule("consent_required", Code.ACCESS_DENIED, outcome=_NOT_SENT),
    Rule("login_required", Code.UNAUTHENTICATED, action=_NEVER, outcome=_NOT_SENT),
    *(Rule(name, Code.DEPENDENCY_UNAVAILABLE, outcome=_NOT_SENT) for name in ("temporarily_unavailable",
                                                                              "server_error")),
)


def _behind(rule: Rule) -> Rule:
    """The same failure on the way to the token source: it hides in the text of an authentication failure."""
    return rule._replace(
        says=rf"Authentication failed: (?:(?!Authentication failed).){{0,400}}?(?:{rule.says})",
        outcome=_NOT_SENT,
        sentence="the token source could not be reached",
        remediation="Check name resolution, route, proxy and TLS to the address that gives the tokens.",
    )


WORDED: tuple[Rule, ...] = (
    # IMDS is being updated (410, for up to 70 s), overloaded, or behind a proxy: azure-sdk-for-net 28568, 19190
    *(Rule(None, Code.DEPENDENCY_UNAVAILABLE, status=status, says=_IMDS, outcome=_NOT_SENT, remediation=_ENDPOINT,
           doc_url=_GUIDE)
      for status in (404, 410, 500, 502, 503, 504)),
    *(Rule(None, Code.DEPENDENCY_UNAVAILABLE, status=status, door=IDENTITY, outcome=_NOT_SENT, doc_url=_GUIDE)
      for status in (404, 410, 500, 502, 503, 504)),
    Rule(None, Code.RATE_LIMITED, status=429, says=_IMDS, outcome=_NOT_SENT, doc_url=_GUIDE, remediation=_SHARE),
    *_OAUTH,

    # azure-identity 1.27, table "azure-identity" of the facts: the truth is behind the colon, and in __cause__
    Rule(None, Code.INVALID_ARGUMENT, outcome=_NOT_SENT, doc_url=_GUIDE,
         says=r"unable to get authority configuration|endpoints_resolution_error|openid_config_error|invalid tenant id"
              r"|could not retrieve endpoints|neither a valid DNS name",
         sentence="there is no such tenant", remediation="Check the tenant id and the cloud it belongs to."),
    Rule(None, Code.INVALID_ARGUMENT, outcome=_NOT_SENT, doc_url=_GUIDE,
         says=r"not configured to acquire tokens for tenant",
         sentence="the credential may not be used for the tenant of the backend",
         remediation="Add the backend's tenant to additionally_allowed_tenants, or use a credential of that tenant."),
    *(_behind(rule) for rule in AZURE_CORE if rule.code in (Code.NETWORK_ERROR, Code.TIMEOUT)),
    # msal/throttled_http_client.py: for a minute it gives the failure that it has had, and asks nobody
    Rule(None, Code.RATE_LIMITED, outcome=_NOT_SENT, doc_url=_GUIDE, remediation=_SHARE,
         says=r"(?:Authentication failed|MsalServiceError): HTTP Error: 429\b"),
    Rule(None, Code.DEPENDENCY_UNAVAILABLE, outcome=_NOT_SENT, doc_url=_GUIDE,
         says=r"(?:Authentication failed|MsalServiceError): HTTP Error: 5\d\d\b"),
    Rule(None, Code.DEPENDENCY_UNAVAILABLE, outcome=_NOT_SENT, doc_url=_GUIDE,
         says=r"Authentication failed: (?:JSON is invalid|Expecting value|unexpected content|Deserialization)"
              r"|ClientAuthenticationError: (?:JSON is invalid|No token received|Unexpected (?:response|content))"
              r"|No response content from Microsoft Entra|Unexpected response from Microsoft Entra",
         sentence="the token source answered what is no token",
         remediation="Try again; see whether a proxy answers in its place."),
    Rule(None, Code.CONDITION_NOT_MET, outcome=_NOT_SENT, says=r"AuthenticationRequiredError|interaction is required",
         remediation="Log in interactively once, as the tenant's policy asks for more than this credential gives."),
    # One sentence for a machine that has no identity and for an overloaded endpoint (azure-sdk-for-python 36637):
    # the first is what most see, and waiting does not help there.
    Rule(None, Code.CREDENTIAL_UNAVAILABLE, doc_url=_GUIDE,
         says=r"no response from the IMDS endpoint|IMDS endpoint unavailable|no managed identity endpoint|identity "
              r"not found",
         sentence="no managed identity answers on this machine",
         remediation="Give this machine a managed identity, or choose another credential (options.credential)."),
    Rule(None, Code.CREDENTIAL_UNAVAILABLE, doc_url=_GUIDE,
         says=r"CredentialUnavailable|authentication (?:is )?unavailable|failed to retrieve a token from the included "
              r"credentials"
              r"|Attempted credentials|environment variables are not fully configured|no accounts were found in the "
              r"cache"
              r"|(?:az(?:ure)?|azd) ?(?:CLI|PowerShell)? not found on path|please run '?az(?:d auth)? "
              r"login|Connect-AzAccount"
              r"|failed to invoke (?:the )?(?:Azure|PowerShell)|Azure (?:CLI|PowerShell)\b.{0,40} not (?:be "
              r"found|installed)|PowerShell is not installed|Az\.Accounts? module"
              r"|multiple accounts|EnvironmentCredential\b|workload options are not fully|not logged in"),
    # the token of a federated identity is a file; azure-identity lets the error of open() pass
    Rule(None, Code.CREDENTIAL_UNAVAILABLE, says=r"FileNotFoundError|PermissionError",
         sentence="a file that the credential needs cannot be read",
         remediation="Check AZURE_FEDERATED_TOKEN_FILE or the path of the certificate."),
    Rule(None, Code.CREDENTIAL_REJECTED, outcome=_NOT_SENT, says=r"\bAADSTS\d", doc_url=_AADSTS),
    Rule(None, Code.CREDENTIAL_REJECTED, outcome=_NOT_SENT, door=IDENTITY, says=r"ClientAuthenticationError",
         doc_url=_GUIDE),
)
"""Tried before `AZURE_CORE`: these stand in the same texts."""
# fmt: on

decoder = Decoder(None, (*NUMBERED, *WORDED, *AZURE_CORE), read=read, answer=answer_of)
"""Reads what a token source answered, whatever backend the token is for."""
