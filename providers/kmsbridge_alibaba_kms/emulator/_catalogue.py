"""The errors of both doors, by name: the code, unless one code stands for several.

Sources: "docs" is the help of Alibaba Cloud, "metadata" the description of the API with the
errors of each operation (dew-serverless/acs-sdk-php), "owner/repository#n" an issue at GitHub
in which the answer was published. "Unseen" says that code and status are documented, but that
no published answer shows the sentence. Misspelled codes are the service's own.
"""

from __future__ import annotations

from kmsbridge_alibaba_kms.emulator._known import Known, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_KMS = "docs: kms/sample-responses"
_GATEWAY = "docs: 48054, common errors"
_METADATA = "metadata: kms/2016-01-20"
_STATE = "docs: kms/impact-of-cmk-status-on-api-operations"

AUTHENTICATION = {
    "IncompleteSignature": Known(_KMS, 400, "The request signature does not conform to Alibaba Cloud standards."),
    "SignatureDoesNotMatch": Known(
        "NewFuture/DDNS#57", 400,
        "Specified signature is not matched with our calculation. server string to sign is:{signed}",
    ),
    "SignatureNonceUsed": Known(_GATEWAY, 400, "Specified signature nonce was used already."),
    "IllegalTimestamp": Known(
        _KMS, 400, 'The input parameter "Timestamp" that is required for processing this request is not supplied.'
    ),
    "InvalidTimeStamp.Expired": Known(
        "acmesh-official/acme.sh#6258", 400, "Specified time stamp or date value is expired."
    ),
    "InvalidTimeStamp.Format": Known(
        f"Unseen; {_GATEWAY}", 400, "Specified time stamp or date value is not well formatted."
    ),
    "MissingTimestamp": Known("rfancn/aliyun-ddns-client#12", 400, "Timestamp is mandatory for this action."),
    "MissingSignatureNonce": Known(f"Unseen; {_GATEWAY}", 400, "SignatureNonce is mandatory for this action."),
    **{
        f"Missing{name}": Known(f"Unseen; {_GATEWAY}", 400, f"{name} is mandatory for this action.")
        for name in ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion")
    },
    "InvalidSignatureMethod": Known("Unseen; error center: Public", 400, "Specified signature method is not valid."),
    "MissingSecurityToken": Known("denverdino/aliyungo#204", 400, "SecurityToken is mandatory for this action."),
    "InvalidAccessKeyId.NotFound": Known("honwen/aliyun-ddns-cli#24", 404, "Specified access key is not found."),
    "InvalidAccessKeyId.Inactive": Known("docs: ecs/faas-faq", 400, "Specified access key is disabled."),
    "InvalidSecurityToken.Expired": Known("Unseen; docs: ecs/faas-faq", 400, "Specified SecurityToken is expired."),
    "InvalidSecurityToken.Malformed": Known("docs: ecs/faas-faq", 400, "Specified SecurityToken is malformed."),
    "InvalidSecurityToken.MismatchWithAccessKey": Known(
        "docs: ecs/faas-faq", 400, "Specified SecurityToken mismatch with the AccessKey."
    ),
    "Forbidden.AccessKey": Known(f"Unseen; {_KMS}", 403, "The AccessKey is forbidden."),
    "Forbidden.AccessKeyDisabled": Known("Unseen; error center: Public", 403, "The AccessKey is disabled."),
}

PERMISSION = {
    "Forbidden.NoPermission": Known(_KMS, 403, "This operation is forbidden by permission system."),
    "Forbidden.NoPermissionOnKey": Known(
        "aliyun/aliyun-openapi-java-sdk#426", 403, "This operation for {arn} is forbidden by permission system.",
        code="Forbidden.NoPermission",
    ),
    "Forbidden.RAM": Known(
        "honwen/aliyun-ddns-cli#27", 400,
        "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
    ),
    "Forbidden.InDebt": Known(f"Unseen; {_KMS}", 403, "The account is in arrears."),
    "Forbidden.InDebtOverdue": Known(f"Unseen; {_KMS}", 403, "The account is overdue."),
    "Forbidden.ProhibitedByRiskControl": Known(f"Unseen; {_KMS}", 403, "The operation is prohibited by risk control."),
    "Forbidden.UbsmsInvalidBid": Known(_KMS, 403, "Your account partner does not have KMS Service."),
    "Forbidden.UbsmsInvalidUserid": Known(_KMS, 403, "Userid Invalid For Ubsms."),
    "Forbidden.KmsServiceNotEnabled": Known(f"Unseen; {_KMS}", 403, "The KMS service is not enabled."),
}

REQUEST = {
    "InvalidApi.NotFound": Known(
        f"Unseen; {_GATEWAY}", 404, "Specified api is not found, please check your url and method."
    ),
    "InvalidProduct.NotFound": Known(_GATEWAY, 404, "Cannot find product according to your specified domain."),
    "UnsupportedHTTPMethod": Known(f"Unseen; {_KMS}", 403, "This http method is not supported."),
    "MissingParameter": Known("alibaba/acm-sdk-python#7", 400, "The parameter  {parameter}  needed but no provided."),
    "InvalidParameter": Known(_METADATA, 400, "The specified parameter is invalid."),
    "InvalidParameter.TagKey": Known(_METADATA, 400, "The specified parameter is not valid."),
    "InvalidParameter.TagValue": Known(_METADATA, 400, "The specified parameter is not valid."),
    "Duplicate.TagKey": Known(f"Unseen; {_METADATA}", 400, "The specified TagKey is duplicate."),
    "ParseRequestParameterException": Known(f"Unseen; {_KMS}", 400, "The request parameters cannot be parsed."),
    "Rejected.InvalidRequest": Known(_METADATA, 400, "param mismatch"),
    "UnsupportedOperation": Known(_METADATA, 400, "This action is not supported."),
    "Rejected.UnsupportedOperation": Known(_METADATA, 400, "Unsupported operation."),
    "Unsupported.Origin": Known(_KMS, 400, "This key origin is not valid for this api."),
    "Unsupported.Alias": Known(f"Unseen; {_KMS}", 400, "The alias is not supported by this api."),
    "Unsupported.ProtectionLevel": Known(f"Unseen; {_KMS}", 400, "The protection level is not supported."),
    "Forbidden.KeyPolicyUnSupported": Known(_METADATA, 400, "The specified key does not support key policy."),
    "InvalidImportToken": Known(_KMS, 400, "import token is invalid."),
    "ExpiredImportToken": Known(f"Unseen; {_KMS}", 400, "import token is expired."),
    "InvalidKeyMaterial": Known(f"Unseen; {_KMS}", 400, "key material is invalid."),
}

ITEMS = {
    "Forbidden.ResourceNotFound": Known(_METADATA, 404, "Resource not found"),
    "Forbidden.KeyNotFound": Known(f"Unseen; {_KMS}", 404, "The specified Key is not found."),
    "Forbidden.KeyVersionNotFound": Known(f"Unseen; {_KMS}", 404, "The specified key version is not found."),
    "Forbidden.AliasNotFound": Known(_KMS, 404, "The specified Alias is not found."),
    "InvalidResourceId.NotFound": Known(_METADATA, 404, "The specified ResourceId is not found."),
    "Forbidden.DKMSInstanceNotFound": Known(_METADATA, 403, "The specified DKMS Instance is not found."),
    "Forbidden.DKMSInstanceStateInvalid": Known(
        f"Unseen; {_METADATA}", 403, "The state of the specified DKMS Instance is invalid."
    ),
    "AliasAlreadyExists": Known(_KMS, 400, "AliasName Already Exists."),
    "Rejected.ResourceExist": Known(_METADATA, 409, "The resource already exists."),
    "Rejected.ResourceInDeleteWindow": Known("docs: kms/CreateSecret", 409, "The secret is planned to be deleted."),
    "Rejected.ResourceInUse": Known(_METADATA, 409, "restore normal secret"),
    "Rejected.Disabled": Known(_KMS, 409, "The request was rejected because the key state is Disabled."),
    "Rejected.Enabled": Known(f"Unseen; {_STATE}", 409, "The request was rejected because the key state is Enabled."),
    "Rejected.PendingDeletion": Known(_KMS, 409, "The request was rejected because the key state is PendingDeletion."),
    "Rejetced.PendingDeletion": Known(_KMS, 409, "The request was rejected because the key state is PendingDeletion."),
    "Rejected.PendingImport": Known(_KMS, 409, "The request was rejected because the key state is PendingImport."),
    "Rejected.Unavailable": Known(
        f"Unseen; {_METADATA}", 409, "The request was rejected because the key state is Unavailable."
    ),
    "Rejected.StateModifiedFailed": Known(f"Unseen; {_KMS}", 409, "The state of the key cannot be modified."),
    "Rejected.LimitExceeded": Known("docs: kms/CreateSecret", 400, "The secret quota is exceeded."),
    "Rejected.ShareQuotaExceedLimit": Known(_METADATA, 400, "Instance Share Quota Exceed Limit."),
}

SERVICE = {
    "Rejected.Throttling": Known("docs: kms/limits", 429, "QPS Limit Exceeded"),
    # No published answer of KMS carries this header, which Alibaba's SDKs honour; in milliseconds.
    "Rejected.ThrottlingRetryAfter": Known(
        "Unseen; darabonba-openapi", 429, "QPS Limit Exceeded", code="Rejected.Throttling",
        headers=(("x-acs-retry-after", "1000"),),
    ),
    "Throttling": Known("docs: kms/key-operations", 400, "Request was denied due to request throttling."),
    "Throttling.User": Known(_GATEWAY, 400, "Request was denied due to user flow control."),
    "Throttling.Api": Known("Unseen; error center: Public", 400, "Request was denied due to api flow control."),
    "InternalFailure": Known(_METADATA, 500, "InternalFailure"),
    "InternalError": Known("docs: ecs/faas-faq", 500, "The request processing has failed due to some unknown error."),
    "ServiceUnavailable": Known(
        "docs: dts", 500, "The request has failed due to a temporary failure of the server."
    ),
    "ServiceUnavailableTemporary": Known(_KMS, 503, "Service Unavailable Temporary."),
    "SerivceUnavailableTemporary": Known(_KMS, 503, "Service Unavailable Temporary."),
    "SerivceUnvailableTemporary": Known(_METADATA, 503, "Service Unavailable Temporary."),
}

_DRY_RUN = "Unseen; docs: kms, DryRun of each operation"

DRY_RUN = {
    "DryRunOperationError": Known(_DRY_RUN, 400, "The request would have succeeded, but the DryRun parameter is set."),
    "ValidationError": Known(_DRY_RUN, 400, "A parameter of the request is invalid."),
    "AccessDeniedError": Known(_DRY_RUN, 403, "You have no permission for the operation on this resource."),
}
"""What is answered to a request that is only tried: it never succeeds."""

_INSTANCE_DOOR = "docs: kms/common-error-codes-1"

INSTANCE = {
    "InvalidApiName": Known(_INSTANCE_DOOR, 400, 'The ApiName "{value}" is invalid.'),
    "InvalidApiVersion": Known(_INSTANCE_DOOR, 400, 'The ApiVersion "{value}" is invalid.'),
    "InvalidParam": Known(_INSTANCE_DOOR, 400, "The Param {value} is invalid."),
    # Documented as MissingParameter; seen with this spelling.
    "MissingParamter": Known(
        "docs: kms/application-access-faq", 400, "Parameter x-kms-acccesskeyid does not exist in http header or body."
    ),
    "RequestTimeTooSkewed": Known(_INSTANCE_DOOR, 400, "Request time exceeds server time more than 15 minutes."),
    "SignatureNotMatch": Known(_INSTANCE_DOOR, 401, "Signature is not matched."),
    "Unauthorized": Known(_INSTANCE_DOOR, 404, 'The AccessKey ID "{value}" does not exist in our records.'),
    "InvalidContentType": Known(_INSTANCE_DOOR, 415, 'Content-Type "{value}" is unsupported.'),
}

CATALOGUE: dict[str, Known] = {
    **INSTANCE, **AUTHENTICATION, **PERMISSION, **REQUEST, **ITEMS, **SERVICE, **DRY_RUN,
}  # fmt: skip


def tried(work: Callable[[], object]) -> str:
    """What a request is answered that is only tried: what is documented for that, else its own error."""
    try:
        work()
    except Refused as refused:
        if refused.error in PERMISSION:
            return "AccessDeniedError"
        return "ValidationError" if refused.error in REQUEST else refused.error
    return "DryRunOperationError"
