"""What the driver finds out by itself: the account's answer does not say it, or there is none. The door says what."""

from __future__ import annotations

from kmsbridge._decode import Rule
from kmsbridge._errors import Code, RetryAction
from kmsbridge_azure_cosmos._sub_statuses import REVOKED

ABSENT = "absent"
"""The secret is not there, or what is there is not of the kind that is asked for."""
VERSION = "version"
"""The secret is there, and the version that was named is not."""
DELETED = "deleted"
"""The secret is deleted and can be recovered."""
EXISTS = "exists"
"""The secret that is to be made is there."""
DISABLED = "disabled"
"""The version is disabled."""
CONTAINER = "container"
"""What is not there is the database or the container."""
LAST_REGION = "last region"
"""The region that refuses is the one that the account names."""

EXPIRED = "expired"
"""A bare 403, and the token that was sent had run out by the service's own clock."""

FINDINGS = (
    Rule(None, Code.NOT_FOUND, door=ABSENT),
    Rule(None, Code.VERSION_NOT_FOUND, door=VERSION),
    Rule(None, Code.DELETED_BUT_RECOVERABLE, door=DELETED),
    Rule(None, Code.ALREADY_EXISTS, door=EXISTS),
    Rule(None, Code.DISABLED, door=DISABLED),
    Rule(None, Code.CONTAINER_NOT_FOUND, door=CONTAINER, status=404,
         sentence="the database or container is not there",
         remediation="Correct its name in the URL, or have it created (options.create = true)."),
    Rule(None, Code.TOKEN_EXPIRED, door=EXPIRED, status=403),
    # microsoft/fhir-server: the service answers 403/3 for an account whose key was taken away, too
    REVOKED._replace(door=LAST_REGION, sub_status=3, action=RetryAction.NEVER),
)  # fmt: skip
"""To be tried before all other rules."""
