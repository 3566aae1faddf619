"""The customer-managed key of the account: what may have become of it, and what the service says then.

Sources: "docs" is the guide to troubleshooting customer-managed keys at
learn.microsoft.com/azure/cosmos-db/cmk-troubleshooting-guide; "published" an answer or a status
of an account in a public repository. Where no text was published, the source says "Unseen".
"""

from __future__ import annotations

from kmsbridge_azure_cosmos.emulator._known import Known

USABLE = "usable"

_GUIDE = "https://learn.microsoft.com/en-us/azure/cosmos-db/cmk-troubleshooting-guide"
_REVOKED = "Access to your account is currently revoked because "
_DETAILS = "; for more details about this error and how to restore access to your account please visit "


def _told(number: int, reason: str, anchor: str = "", source: str = "published; docs") -> Known:
    link = f"{_DETAILS}{_GUIDE}#{anchor} ({number})" if anchor else ""
    return Known(source, 403, f"{_REVOKED}{reason}{link}.", number, "errors")


_UNSEEN = "Unseen; docs"
_LISTED = "Unseen; Azure/azure-sdk-for-rust: cosmos_status.rs"
_DISABLED = "the correspondent key is either disabled or expired"

KEY_TROUBLE = {
    4000: _told(
        4000, "the Azure Cosmos DB service is unable to obtain the AAD authentication token for the account's default "
        "identity", "azure-active-directory-token-acquisition-error",
    ),
    4001: _told(4001, "the Azure Active Directory service is unavailable", source=_UNSEEN),
    4002: _told(
        4002, "the current default identity no longer has permission to the associated Key Vault key",
        "default-identity-is-unauthorized-to-access-the-azure-key-vault-key",
    ),
    4003: _told(
        4003, "the correspondent Azure Key Vault key was not found", "azure-key-vault-key-not-found", source=_UNSEEN
    ),
    4004: _told(4004, "the Azure Key Vault service is unavailable", source=_UNSEEN),
    4005: _told(
        4005, "the Azure Key Vault key could not be used to wrap or unwrap", "unable-to-wrap-or-unwrap-the-key",
        source=_UNSEEN,
    ),
    4006: _told(
        4006, "the Azure Cosmos DB account's key vault key URI does not follow the expected format",
        "improper-syntax-detected-on-the-key-vault-uri-property",
    ),
    4007: _told(4007, "the input bytes of the key are not in the expected format", source=_UNSEEN),
    4008: _told(4008, "of an internal Azure Key Vault service error", source=_UNSEEN),
    4009: _told(
        4009, "the Azure Key Vault DNS name specified by the account's keyvaultkeyuri property could not be resolved",
        "unable-to-resolve-the-key-vaults-dns",
    ),
    4010: _told(4010, "the Azure Key Vault certificate URI is invalid", source=_LISTED),
    4011: _told(4011, "the Azure Key Vault key and certificate URIs are invalid", source=_LISTED),
    4012: _told(4012, "the customer key was rotated", source=_LISTED),
    4013: _told(4013, "a request parameter is missing", source=_LISTED),
    4014: _told(4014, "the Azure Key Vault secret URI is invalid", source=_LISTED),
    4015: _told(4015, "the account's default identity is undefined", source=_LISTED),
    4016: _told(4016, "the network security perimeter denied the outbound call to Azure Key Vault", source=_LISTED),
    4017: _told(
        4017, "the correspondent Azure Key Vault was not found", "azure-key-vault-resource-not-found"
    ),
    4018: _told(4018, _DISABLED, source="published: a Python trace of 403/4018"),
    4019: _told(4019, "the master service is unavailable", source=_LISTED),
}  # fmt: skip

STATES: dict[str, str] = {
    USABLE: "",
    "revoked": "403/4002",
    "disabled": "403/4018",
    "deleted": "403/4003",
    "old-version-disabled": "403/4005",
    "wrong-url": "403/4006",
    "wrong-dns-name": "403/4009",
    "vault-deleted": "403/4017",
    "vault-down": "403/4004",
    "vault-failing": "403/4008",
    "directory-down": "403/4001",
    "identity-deleted": "403/4000",
    "no-identity": "403/4015",
    "perimeter": "403/4016",
    "rotated": "403/4012",
    "unsaid": "403/KeyNotAccessible",
    "region": "403/3",
}
"""What may have become of the key, and the error by which the service tells.

``unsaid`` and ``region`` are how it was seen to answer without a reason, and as if another
region had to be asked (microsoft/fhir-server, CosmosDbHealthCheck). Any error of the key's family can be named, too:
``403/4007``.
"""


def error_of(state: str) -> str:
    """The error by which a state is told; empty for a key that can be used.

    Raises:
        ValueError: There is no such state.
    """
    family = {f"403/{number}" for number in KEY_TROUBLE}
    if state in family:
        return state
    if state not in STATES:
        raise ValueError(f"no state {state!r} of the key; there are {', '.join(STATES)}, and 403/4000 to 403/4019")
    return STATES[state]
