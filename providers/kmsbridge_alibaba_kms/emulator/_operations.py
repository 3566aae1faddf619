"""The table of operations: what can be asked, and what each must be told."""

from __future__ import annotations

from dataclasses import dataclass

from kmsbridge.emulation import Operation


@dataclass(frozen=True, slots=True)
class KmsOperation(Operation):
    """One row. All have the same path: a header names the operation."""

    required: tuple[str, ...] = ()
    """The parameters without which it is refused."""
    dry_run: bool = False
    """Whether it can be only tried, by ``DryRun``."""


def _operation(name: str, required: str = "", *, dry_run: bool = False) -> KmsOperation:
    return KmsOperation(name, "POST", "/", required=tuple(required.split()), dry_run=dry_run)


SECRETS = (
    _operation("CreateSecret", "SecretName VersionId SecretData"),
    _operation("PutSecretValue", "SecretName VersionId SecretData"),
    _operation("GetSecretValue", "SecretName", dry_run=True),
    _operation("BatchGetSecretValue", "SecretsList"),
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
    _operation("UpdateRotationPolicy", "KeyId EnableAutomaticRotation"),
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
    _operation("Encrypt", "KeyId Plaintext", dry_run=True),
    _operation("Decrypt", "CiphertextBlob", dry_run=True),
    _operation("GenerateDataKey", "KeyId", dry_run=True),
    _operation("GenerateDataKeyWithoutPlaintext", "KeyId", dry_run=True),
    _operation("AsymmetricEncrypt", "KeyId KeyVersionId Algorithm Plaintext", dry_run=True),
    _operation("AsymmetricDecrypt", "KeyId KeyVersionId Algorithm CiphertextBlob", dry_run=True),
    _operation("AsymmetricSign", "KeyId KeyVersionId Algorithm Digest", dry_run=True),
    _operation("AsymmetricVerify", "KeyId KeyVersionId Algorithm Digest Value", dry_run=True),
    _operation("GetPublicKey", "KeyId KeyVersionId", dry_run=True),
)

INSTANCE = tuple(
    _operation(name)
    for name in ("Sign", "Verify", "GenerateRandom", "AdvanceEncrypt", "AdvanceDecrypt", "AdvanceGenerateDataKey")
)
"""What an instance's door alone has."""

OPERATIONS = (*SECRETS, *KEYS, *TAGS, *USES, *INSTANCE)
BY_NAME = {each.name: each for each in OPERATIONS}
