"""The table of operations: what can be asked, and what each must be told."""

from __future__ import annotations

from dataclasses import dataclass

from kmsbridge.emulation import Operation


@dataclass(frozen=True, slots=True)
class KmsOperation(Operation):
    """One row. All have the same path: a header names the operation."""

    required: tuple[str, ...] = ()
    """The parameters without which it is refused."""


def _operation(name: str, required: str = "") -> KmsOperation:
    return KmsOperation(name, "POST", "/", required=tuple(required.split()))


SECRETS = (
    _operation("CreateSecret", "SecretName VersionId SecretData"),
    _operation("PutSecretValue", "SecretName VersionId SecretData"),
    _operation("GetSecretValue", "SecretName"),
    _operation("DescribeSecret", "SecretName"),
    _operation("ListSecrets"),
    _operation("ListSecretVersionIds", "SecretName"),
    _operation("UpdateSecret", "SecretName"),
    _operation("UpdateSecretVersionStage", "SecretName VersionStage"),
    _operation("DeleteSecret", "SecretName"),
    _operation("RestoreSecret", "SecretName"),
)

KEYS = (
    _operation("CreateKey"),
    _operation("DescribeKey", "KeyId"),
    _operation("ListKeys"),
    _operation("CreateKeyVersion", "KeyId"),
    _operation("DescribeKeyVersion", "KeyId KeyVersionId"),
    _operation("ListKeyVersions", "KeyId"),
    _operation("EnableKey", "KeyId"),
    _operation("DisableKey", "KeyId"),
    _operation("UpdateKeyDescription", "KeyId Description"),
    _operation("ScheduleKeyDeletion", "KeyId PendingWindowInDays"),
    _operation("CancelKeyDeletion", "KeyId"),
    _operation("CreateAlias", "AliasName KeyId"),
    _operation("UpdateAlias", "AliasName KeyId"),
    _operation("DeleteAlias", "AliasName"),
    _operation("ListAliases"),
    _operation("ListAliasesByKeyId", "KeyId"),
)

TAGS = (
    _operation("TagResource", "Tags"),
    _operation("UntagResource", "TagKeys"),
    _operation("ListResourceTags", "KeyId"),
    _operation("TagResources", "ResourceType ResourceId.1 Tag.1.Key"),
    _operation("UntagResources", "ResourceType ResourceId.1"),
    _operation("ListTagResources", "ResourceType"),
)

USES = (
    _operation("Encrypt", "KeyId Plaintext"),
    _operation("Decrypt", "CiphertextBlob"),
    _operation("GenerateDataKey", "KeyId"),
    _operation("GenerateDataKeyWithoutPlaintext", "KeyId"),
    _operation("AsymmetricEncrypt", "KeyId KeyVersionId Algorithm Plaintext"),
    _operation("AsymmetricDecrypt", "KeyId KeyVersionId Algorithm CiphertextBlob"),
    _operation("AsymmetricSign", "KeyId KeyVersionId Algorithm Digest"),
    _operation("AsymmetricVerify", "KeyId KeyVersionId Algorithm Digest Value"),
    _operation("GetPublicKey", "KeyId KeyVersionId"),
)

INSTANCE = tuple(
    _operation(name)
    for name in ("Sign", "Verify", "GenerateRandom", "AdvanceEncrypt", "AdvanceDecrypt", "AdvanceGenerateDataKey")
)
"""What an instance's door alone has."""

OPERATIONS = (*SECRETS, *KEYS, *TAGS, *USES, *INSTANCE)
BY_NAME = {each.name: each for each in OPERATIONS}
