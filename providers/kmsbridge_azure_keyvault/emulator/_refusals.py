"""What a vault refuses, by name: the requests that are wrong, not allowed, or about what is not there.

A name is the innermost code of the error where that is enough, else what it is about.

Sources: "docs" is the Key Vault documentation at learn.microsoft.com/azure/key-vault,
"owner/repository#n" an issue at GitHub in which the answer was published. "Unseen" says
that the status and code are documented, but no published answer shows the sentence.
"""

from __future__ import annotations

from kmsbridge_azure_keyvault.emulator._known import (
    CALLER,
    FIREWALL,
    MISSING,
    POLICY,
    PRIVATE_LINK,
    RBAC,
    RECOVERABLE,
    Known,
)


def _forbidden(inner: str | None, message: str, source: str) -> Known:
    return Known(source, 403, "Forbidden", message, inner)


def _conflict(inner: str | None, message: str, source: str) -> Known:
    return Known(source, 409, "Conflict", message, inner)


def _bad(message: str, source: str) -> Known:
    return Known(source, 400, "BadParameter", message)


def _unauthorized(message: str, source: str) -> Known:
    return Known(source, 401, "Unauthorized", message)


BAD_REQUEST = {
    "InvalidName": _bad("The request URI contains an invalid name: {name}", "docs: rest-error-codes"),
    "InvalidProperty": _bad("Property  has invalid value\r\n", "Azure/azure-sdk-for-go#2060"),
    "PropertyRequired": _bad("Property '{value}' is required.\r\n", "bruj0/vault-recovery-key#20"),
    "NotBase64Url": _bad(
        "Content of '{value}' is not base64url.\r\nProperty '{value}' is required.\r\n", "bruj0/vault-recovery-key#20"
    ),
    "UnknownSubOperation": _bad("Method {method} does not allow operation '{value}'", "docs: rest-error-codes"),
    "UnknownVersionOfApi": _bad(
        "The specified version ({value}) is not recognized. Consider using the latest supported version ({latest}).",
        "Azure/azure-sdk-for-python#28595",
    ),
    "WrongCurve": _bad(
        "Key and signing algorithm are incompatible. Key {kid} uses curve '{curve}', and algorithm '{value}' can only "
        "be used with curve '{wanted}'.", "Azure/azure-sdk-for-node#4603",
    ),
    "UndecryptableValue": _bad("Unable to decrypt specified value with this key", "Azure/azure-sdk-for-js#30125"),
    "UndecryptableBackup": _bad("Cannot decrypt backup blob", "Azure/azure-cli#8767"),
    "OctKeyTooLarge": _bad(
        "JSON Web Key: k property of oct key is too large, maximum size is 64 (Activity ID: {activity})",
        "microsoft/confidential-sidecar-containers: examples/encfs/TROUBLESHOOTING.md",
    ),
    "ExportableNeedsPremium": _bad(
        "AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= "
        "'7.3-preview'.", "Azure/azure-sdk-for-net: Azure.Security.KeyVault.Keys/tests",
    ),
    "ExportableUnchangeable": _bad(
        "AKV.SKR.1003: The exportable attribute of an existing key cannot be changed.", "Unseen; AKV.SKR.1003",
    ),
    "ExportableNeedsPolicy": _bad(
        "AKV.SKR.1004: Exportable keys must have release policy.", "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "PolicyNeedsExportable": _bad(
        "AKV.SKR.1005: Non-exportable keys must not have release policy.",
        "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "ExportableNeedsHsm": _bad("AKV.SKR.1006: Exportable keys must be HSM keys.", "Unseen; AKV.SKR.1006"),
    "PolicyNeedsVersionless": _bad(
        "AKV.SKR.1016: Key Release Policy can only be set on versionless key", "Unseen; AKV.SKR.1016"
    ),
    "PolicyImmutable": _bad(
        "AKV.SKR.1020: Immutable Key Release Policy cannot be modified.",
        "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "HsmExportableNeedsPolicy": _bad(
        "Exportable keys must have release policy (Activity ID: {activity})",
        "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "RoleNameTaken": _bad(
        "Cannot re-use the name/GUID matching that of a built-in role. Please use a unique role ID. "
        "(Activity ID: {activity})", "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "RoleNameNotGuid": _bad(
        "Role definition name must be a GUID (Activity ID: {activity})",
        "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "InvalidSasDefinition": _bad(
        "Invalid sas definition name: {name}. Name should be between 1 to 102 characters and should contain only "
        "alphanumeric values.", "docs: rest-error-codes",
    ),
    "NoPrivateKey": _bad(
        "No certificate with private key found in the specified X.509 certificate content. Please specify X.509 "
        "certificate content with only one certificate containing private key.",
        "Azure/azure-sdk-for-net: Azure.Security.KeyVault.Certificates/TROUBLESHOOTING.md",
    ),
    "UnreadablePkcs12": _bad(
        "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid "
        "PKCS#12 format.", "damienbod/AspNetCoreCertificates#38",
    ),
    "InvalidX509Properties": _bad("X.509 properties are invalid", "docs: rest-error-codes"),
    "BadArgument": Known(
        "docs: general/authentication-requests-and-responses", 400, "BadArgument",
        "\u2019Foo\u2019 is not a valid argument for \u2018type\u2019.",
    ),
    "PurgeNotEnabled": Known(
        "docs: rest-error-codes", 400, "NotSupported", 'Operation "purge" is not enabled for this vault'
    ),
}

UNAUTHORIZED = {
    "MissingToken": _unauthorized(
        "AKV10000: Request is missing a Bearer or PoP token.", "Azure/azure-sdk-for-python#24557"
    ),
    "MissingTokenOlder": _unauthorized("Request is missing a Bearer or PoP token.", "Azure/azure-sdk-for-java#13238"),
    "MissingTokenEmpty": Known("docs: general/authentication-requests-and-responses", 401, shape="empty"),
    "InvalidAudience": _unauthorized(
        "AKV10022: Invalid audience. Expected {resource}, found: {value}.", "Azure/go-autorest#525"
    ),
    "InvalidIssuer": _unauthorized(
        "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{tenant}/, found {value}.",
        "Azure/azure-sdk-for-js#6221",
    ),
    "TokenLifetime": _unauthorized("Error validating token: IDX10223", "Azure/azure-sdk-for-python#12368"),
    "SigningKeyUnresolved": _unauthorized(
        "AKV10046: Unable to resolve the key used for signature validation.", "docs: rest-error-codes"
    ),
    "TokenNotYetValid": _unauthorized(
        "Token not yet valid (Activity ID: {activity})", "Azure/azure-sdk-for-java#26624"
    ),
    "InsufficientClaims": _unauthorized(
        "AKV10000: Request is missing a Bearer or PoP token.", "docs: Entra ID, claims challenge"
    ),
}

FORBIDDEN = {
    "ForbiddenByFirewall": _forbidden("ForbiddenByFirewall", FIREWALL, "docs: rest-error-codes"),
    "ForbiddenByConnection": _forbidden("ForbiddenByConnection", PRIVATE_LINK, "docs: rest-error-codes"),
    "PublicAccessDisabled": _forbidden(
        "ForbiddenByConnection",
        "Public network access is disabled and request is not from a trusted service nor via an approved private "
        f"link.\r\nCaller: {CALLER}\r\nVault: {{vault}};location={{region}}",
        "docs: rest-error-codes",
    ),
    "ForbiddenByRbac": _forbidden("ForbiddenByRbac", RBAC, "hashicorp/terraform-provider-azurerm#27817"),
    "AccessDenied": _forbidden("AccessDenied", POLICY, "docs: rest-error-codes"),
    "ForbiddenByPolicy": _forbidden("ForbiddenByPolicy", POLICY, "docs: rest-error-codes"),
    "OperationNotAllowed": _forbidden(
        "AccessDenied",
        f'Operation is not allowed.\r\nOperation: "{{verb}}"\r\nCaller: {CALLER}\r\n'
        "Vault: {vault};location={region}",
        "getsops/sops#537",
    ),
    "AccessDeniedFirstParty": _forbidden(
        "AccessDenied", f"Access denied to first party service. Caller: {CALLER}",
        "Azure/azure-sdk-for-go: sdk/security/keyvault/TROUBLESHOOTING.md",
    ),
    "KeyOperationForbidden": _forbidden(
        "KeyOperationForbidden", "Operation {verb} is not permitted on this key.",
        "Azure/azure-sdk-for-go: sdk/security/keyvault/TROUBLESHOOTING.md",
    ),
    "SecretDisabled": _forbidden(
        "SecretDisabled", "Operation {verb} is not allowed on a disabled secret.", "turbot/steampipe-plugin-azure#111"
    ),
    "KeyDisabled": _forbidden(
        "KeyDisabled", "Operation {verb} is not allowed on a disabled key.", "Azure/azure-sdk-for-python#45342"
    ),
    "KeyNotYetValid": _forbidden(
        "KeyNotYetValid", "Operation {verb} is not allowed on a key that is not yet valid.", "Unseen; docs: about-keys"
    ),
    "KeyExpired": _forbidden(
        "KeyExpired", "Operation {verb} is not allowed on an expired key.", "Unseen; docs: about-keys-details"
    ),
    "KeyManagedByKeyVault": _forbidden(
        "KeyManagedByKeyVault",
        "Operation \"delete\" is not allowed as this object's lifetime is managed by Key Vault.",
        "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "SecretManagedByKeyVault": _forbidden(
        "SecretManagedByKeyVault",
        "Operation \"delete\" is not allowed as this object's lifetime is managed by Key Vault.",
        "Azure/azure-sdk-for-js: sdk/keyvault, recording",
    ),
    "PurgeProtected": _forbidden(
        None, 'Operation "purge" is not allowed because purge protection is enabled for this vault.',
        "docs: general/soft-delete-overview",
    ),
    "MergeForbidden": _forbidden(
        None, "Merge is forbidden on pending object created with issuer : Self while it is in progess.",
        "docs: certificates/create-certificate-scenarios",
    ),
}

NOT_FOUND = {
    "SecretNotFound": Known("Azure/azure-sdk-for-js: sdk/keyvault, recording", 404, "SecretNotFound", MISSING),
    "SecretNotFoundShort": Known(
        "Azure/azure-keyvault-java: session-records", 404, "SecretNotFound", "Secret not found: {name}"
    ),
    "DeletedSecretNotFound": Known(
        "Azure/azure-keyvault-java: session-records", 404, "SecretNotFound", "Deleted Secret not found: {name}"
    ),
    "KeyNotFound": Known("Azure/azure-sdk-for-js: sdk/keyvault, recording", 404, "KeyNotFound", MISSING),
    "KeyNotFoundShort": Known(
        "Azure/azure-keyvault-java: session-records", 404, "KeyNotFound", "Key not found: {name}"
    ),
    "DeletedKeyNotFound": Known(
        "Azure/azure-keyvault-java: session-records", 404, "KeyNotFound", "Deleted Key not found: {name}"
    ),
    "CertificateNotFound": Known(
        "Azure/azure-sdk-for-node: test/recordings", 404, "CertificateNotFound", "Certificate not found: {name}"
    ),
    "PendingCertificateNotFound": Known(
        "docs: certificates/create-certificate-scenarios", 404, "PendingCertificateNotFound",
        "Pending certificate not found: {name}",
    ),
    "CertificateIssuerNotFound": Known(
        "Azure/azure-keyvault-java: session-records", 404, "CertificateIssuerNotFound", "Issuer not found"
    ),
    "ContactsNotFound": Known(
        "Azure/azure-keyvault-java: session-records", 404, "ContactsNotFound", "Contacts not found"
    ),
}

CONFLICT = {
    "ObjectIsDeletedButRecoverable": _conflict(
        "ObjectIsDeletedButRecoverable", RECOVERABLE, "external-secrets/external-secrets#3519"
    ),
    "ObjectIsBeingDeleted": _conflict(
        "ObjectIsBeingDeleted", "{Kind} is currently being deleted.", "Azure/azure-sdk-for-js: sdk/keyvault, recording"
    ),
    "ObjectIsBeingRecovered": _conflict(
        "ObjectIsBeingRecovered", "{Kind} {name} is currently being recovered and cannot be re-created; retry later.",
        "Azure/azure-sdk-for-net#31581",
    ),
    "AlreadyExists": _conflict(None, "{Kind} {name} already exists.", "Unseen; docs: rest-error-codes"),
    "CertificateOperationPending": Known(
        "docs: rest-error-codes", 409, "Forbidden",
        "A new key vault certificate can not be created or imported while a pending key vault certificate's status is "
        "inProgress.",
    ),
}
