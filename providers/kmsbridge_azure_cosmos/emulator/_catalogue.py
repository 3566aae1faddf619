"""The errors that an account is documented, or was seen, to send: by status and sub-status, or status and reason.

Sources: "docs" is the Cosmos DB documentation at learn.microsoft.com, "owner/repository#n" an
issue at GitHub in which the answer was published. Of most sub-statuses only number and name are
known, from the lists of the vendor's SDKs: their source begins with "Unseen".
"""

from __future__ import annotations

from kmsbridge_azure_cosmos.emulator._customer_key import KEY_TROUBLE
from kmsbridge_azure_cosmos.emulator._known import CODES, Known

_STATUSES = "docs: rest/api/cosmos-db/http-status-codes-for-cosmosdb"
_FORBIDDEN = "docs: nosql/troubleshoot-forbidden"
_UNAUTHORIZED = "docs: nosql/troubleshoot-unauthorized"
_BAD = "docs: nosql/troubleshoot-bad-request"
_LISTS = "Unseen; sub-status lists: azure-sdk-for-rust cosmos_status.rs, azure-sdk-for-java HttpConstants"
_FIREWALL = "This is blocked by your Cosmos DB account firewall settings. More info: https://aka.ms/cosmosdb-tsg-forbidden"
_RBAC = (
    "Request blocked by Auth {account} : Request is blocked because principal [{oid}] does not have required RBAC "
    "permissions to perform action [Microsoft.DocumentDB/databaseAccounts/{action}] on resource [{scope}]. Learn "
    "more: https://aka.ms/cosmos-native-rbac."
)

REFUSALS = {
    # what a caller can bring about
    "400/InvalidUrl": Known("Azure/azure-cosmos-db-emulator-docker (issue)", 400, "Request url is invalid."),
    "400/InvalidJson": Known(
        f"Unseen; {_STATUSES}", 400,
        "The request payload is invalid. Ensure to provide a valid request payload.",
    ),
    "400/MissingId": Known(
        _BAD, 400, "The input content is invalid because the required properties - 'id; ' - are missing"
    ),
    "400/InvalidId": Known(f"Unseen; {_BAD}", 400, "The input name '{id}' is invalid. Ensure to provide a unique "
                           "non-empty string less than '1024' characters."),
    "400/MissingPartitionKey": Known(
        f"Unseen; {_STATUSES}", 400, "PartitionKey value must be supplied for this operation."
    ),
    "400/FewerComponents": Known(
        "jupitern/cosmosdb#24", 400,
        "The partition key supplied in x-ms-partitionkey header has fewer components than defined in the the "
        "collection.", form="backend",
    ),
    "400/CrossPartitionDisabled": Known(
        "Unseen; docs: nosql/query", 400,
        "Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to "
        "true, specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception.",
    ),
    "400/Syntax": Known(
        "published; docs: nosql/query", 400, "Syntax error, incorrect syntax near '{near}'.", form="sql"
    ),
    "400/Identifier": Known(
        "published; docs: nosql/query", 400, "Identifier '{near}' could not be resolved.", form="sql"
    ),
    "400/PatchPath": Known(
        "Unseen; docs: partial-document-update-faq", 400,
        "For Operation({index}): {verb} Operation can only be done on a child node of an existing node(array or "
        "object) and cannot create path recursively, no path found beyond: '{path}'. Learn more: "
        "https://aka.ms/cosmosdbpatchdocs", form="backend",
    ),
    "400/Batch": Known(
        f"Unseen; {_STATUSES}", 400, "Batch request has more operations than what is supported, or one that is not."
    ),
    "401/MissingAuthorization": Known(
        "Azure/azure-sdk-for-js#9980", 401,
        "Required Header authorization is missing. Ensure a valid Authorization token is passed.",
    ),
    "401/MalformedAuthorization": Known(
        "Azure/azure-sdk-for-python#29659", 401,
        "Authorization header doesn't confirm to the required format. Please verify and try again.",
    ),
    "401/WrongKey": Known(
        "a8m/documentdb#23", 401,
        "The input authorization token can't serve the request. Please check that the expected payload is built as "
        "per the protocol, and check the key being used. Server used the following payload to sign: '{payload}'",
    ),
    "401/WrongSignature": Known(
        "Azure/azure-documentdb-datamigrationtool (issue)", 401,
        "The MAC signature found in the HTTP request is not the same as the computed signature. Server used following "
        "string to sign - '{payload}'. Learn more: https://aka.ms/cosmosdb-tsg-mac-signature", form="backend",
    ),
    "401/TokenRevoked": Known(
        "Azure/azure-cosmos-dotnet-v3: CosmosAadTokenRevoked", 401, "Provided AAD token has been revoked."
    ),
    "401/5004": Known(_LISTS, 401, "AadTokenInvalidSignature", 5004),
    "401/5005": Known(_LISTS, 401, "AadTokenNotYetValid", 5005),
    "401/5006": Known(
        f"Unseen; {_UNAUTHORIZED}", 401, "Provided AAD token has been expired since [{expired}].", 5006
    ),
    "401/5007": Known(
        "Azure/azure-sdk-for-js#32391", 401,
        "Request blocked by Auth {account}: Provided AAD token was issued by the authority [{issuer}] which is not "
        "trusted by this database account. Please ensure the token has been issued by the AAD tenant(s) {tenant}.",
        5007,
    ),
    "401/5008": Known(
        "Azure/azure-sdk-for-java#42800", 401,
        "Provided AAD token is intended for [{audience}]. This database account accepts tokens intended for "
        "[{accepted}, https://cosmos.azure.com].", 5008,
    ),
    "401/5202": Known(
        f"Unseen; {_UNAUTHORIZED}", 401,
        "Local Authorization is disabled. Use an AAD token to authorize all requests.", 5202,
    ),
    "403/ClockSkew": Known(
        _FORBIDDEN, 403,
        "The authorization token is not valid at the current time. Please create another token and retry (token start "
        "time: {start_time}, token expiry time: {expiry_time}, current server time: {server_time}).",
    ),
    "403/PublicNetwork": Known(
        "microsoft/azure-tools-for-java (issue)", 403,
        f"Request originated from IP {{address}} through public internet. {_FIREWALL}",
    ),
    "403/3": Known(
        _STATUSES, 403, "The requested operation cannot be performed at this region", 3,
    ),
    "403/1008": Known(
        "Azure/azure-cosmos-dotnet-v3#4710", 403, "Database Account {account} does not exist", 1008
    ),
    "403/5300": Known(
        "microsoft-foundry/foundry-samples (issue)", 403,
        "Request blocked by Auth {account} : The given request [{method} {path}] cannot be authorized by AAD token in "
        "data plane. Learn more: https://aka.ms/cosmos-native-rbac.", 5300,
    ),
    "403/5301": Known("published", 403, _RBAC, 5301),
    "403/5302": Known("published", 403, _RBAC, 5302),
    "404/0": Known(
        "Azure/azure-sdk-for-java#6163", 404, "Resource Not Found", 0, form="backend",
    ),
    "404/1003": Known(_LISTS, 404, "Owner resource does not exist", 1003),
    "404/1013": Known(_STATUSES, 404, "Collection create operation is in progress", 1013),
    "400/1001": Known(
        "Azure/azure-sdk-for-js#15161", 400,
        "PartitionKey extracted from document doesn't match the one specified in the header", 1001, "backend",
    ),
    "400/1024": Known(_LISTS, 400, "CollectionRidMismatch", 1024),
    "409/0": Known(
        "Azure/azure-cosmos-dotnet-v2#464", 409, "Resource with specified id or name already exists.", 0, "backend"
    ),
    "410/1002": Known(_LISTS, 410, "PartitionKeyRangeGone", 1002),
    "412/0": Known(
        "microsoft/vscode-cosmosdb#1484", 412,
        "Operation cannot be performed because one of the specified precondition is not met.", 0,
    ),
    "412/1110": Known(
        "npm @vercel/cosmosdb-server", 412, "Condition specified in the patch request is not satisfied.", 1110
    ),
    "413": Known("Azure/azure-cosmosdb-node#65", 413, "Request size is too large", form="backend"),
    "429/3200": Known(
        "docs: nosql/troubleshoot-request-rate-too-large", 429,
        "Request rate is large. More Request Units may be needed, so no changes were made. Please retry this request "
        "later. Learn more: http://aka.ms/cosmosdb-error-429", 3200, "backend", 1,
    ),
    "424": Known(_STATUSES, 424, "FailedDependency"),
}  # fmt: skip

_SERVICE = {
    # what the service, or something on the way to it, has of its own accord
    "401/LocalAuthDisabled": Known(
        _UNAUTHORIZED, 401, "Local Authorization is disabled. Use an AAD token to authorize all requests."
    ),
    "403/KeyNotAccessible": Known(
        "docs: how-to-setup-cross-tenant-customer-managed-keys", 403,
        "Access to the account was denied due to the Customer Managed Key not being accessible.", form="errors",
    ),
    "403/VirtualNetwork": Known(
        "published", 403, f"Request originated from VNET through service endpoint. {_FIREWALL}"
    ),
    "403/PrivateEndpoint": Known(
        _FORBIDDEN, 403, f"Request originated from client VNET through private endpoint. {_FIREWALL}"
    ),
    "403/TokenOrFirewall": Known(
        "Azure/azure-cosmos-dotnet-v3#4116", 403,
        "Request is blocked. Please check your authorization token and Cosmos DB account firewall settings. Learn "
        "more: https://aka.ms/cosmosdb-tsg-forbidden", form="errors",
    ),
    "403/InsecureConnection": Known(f"Unseen; {_FORBIDDEN}", 403, "Connection is insufficiently secured"),
    "403/MetadataWrites": Known(
        _FORBIDDEN, 403, "Operation '{method}' on resource '{path}' is not allowed through Azure Cosmos DB endpoint"
    ),
    "404/1002": Known(
        "Azure/azure-cosmos-dotnet-v3#4976", 404,
        "The read session is not available for the input session token.", 1002,
    ),
    "408": Known(
        "docs: nosql/troubleshoot-request-time-out", 408,
        "Request timed out. More info: https://aka.ms/cosmosdb-tsg-request-timeout",
    ),
    "429": Known("microsoft/fhir-server: tests", 429, "Request rate is large.", retry_after_ms=100),
    "429/3201": Known(
        "docs: nosql/troubleshoot-request-rate-too-large", 429,
        "The request did not complete due to a high rate of metadata requests.", 3201, retry_after_ms=1000,
    ),
    "503": Known(
        "docs: nosql/troubleshoot-service-unavailable", 503,
        "Service is currently unavailable. More info: https://aka.ms/cosmosdb-tsg-service-unavailable",
    ),
    "502": Known("Seen of gateways in front of services", 502, "<html>502 Bad Gateway</html>", form="page"),
    "503/Proxy": Known("Seen of proxies", 503, "<html>503 Service Unavailable</html>", form="page"),
    "504": Known("Seen of gateways in front of services", 504, "<html>504 Gateway Time-out</html>", form="page"),
}  # fmt: skip

_LISTED = {
    # by status: what is only known by its number
    400: "1004 1013 1016 1017 1018 1028 1101 1102 1103 1104 1105 3205 4013 22001 22002 65535 404 409 412 429",
    401: "5000 5001 5002 5003 5009 5010 5011 5012 5200 5201 5203 5600 13008 20401",
    403: (
        "1005 1009 1010 1011 1012 1014 1015 1019 1020 1021 1026 1027 1028 1029 1031 1032 1033 1034 1110 5303 5304 5305 "
        "5306 5307 5308 5309 5310 5311 5312 5313 5400 6050 6051 6052 6053 6054 6055 6056"
    ),
    404: "1023 1030 1031 1034 1035 1036 1037 10004",
    408: "1900 13009 20008 20901 21010",
    409: "1006 3050 3051 3206 3301 3302 3303 3304",
    410: "1000 1007 1008 1022 1024 20001 20002 21001",
    412: "2001 2003 2005 2007 2008 2012 2016 2017 2018 2019 2020 2043 2101",
    413: "3401 3402",
    429: "3073 3084 3103 3202 3203 3204 3207 3208 3209 3210 3211 3212 3213 3214 3300 10003 10005 13010",
    449: "5350 5351 5352",
    500: "3001 3043 5360 5411 5415 13011",
    503: (
        "1007 1012 1337 1338 1339 6001 6009 9001 9002 9003 10001 10002 20001 20002 20003 20004 20005 20006 21001 21006 "
        "21007 21008 21015"
    ),
}

CATALOGUE: dict[str, Known] = {
    **{str(status): Known(_STATUSES, status, code) for status, code in CODES.items()},
    **{
        f"{status}/{number}": Known(_LISTS, status, f"Sub-status {number}", int(number))
        for status, numbers in _LISTED.items()
        for number in numbers.split()
    },
    **{f"403/{number}": trouble for number, trouble in KEY_TROUBLE.items()},
    **REFUSALS,
    **_SERVICE,
}
