"""One spelling for each error code: in lower case, without Alibaba's own misspellings; and what a code's name tells.

Both are for comparison with the rule table alone: an error shows the code as it came.
"""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_MISSPELT = (
    ("serivce", "service"),  # SerivceUnavailableTemporary: the page of sample responses
    ("unvailable", "unavailable"),  # SerivceUnvailableTemporary: the API metadata
    ("rejetced", "rejected"),  # Rejetced.PendingDeletion: an older edition of that page
    ("permisson", "permission"),  # NoPermisson: aliyun-ddns-cli 27
    ("paramter", "parameter"),  # MissingParamter: the gateway of instances, in the FAQ on application access
)
THROTTLED = "*throttled"
BAD_KEY = "*access-key"
BAD_TOKEN = "*security-token"  # noqa: S105 - a name
OLD_TOKEN = "*security-token-expired"  # noqa: S105 - a name
BAD_SIGNATURE = "*signature"
BAD_TIME = "*timestamp"
NOT_ALLOWED_FROM = "*not-allowed-from"
IDENTITY_NOT_FOUND = "*identity-not-found"
ROUTE_NOT_FOUND = "*route-not-found"
INSTANCE_NOT_FOUND = "*instance-not-found"
VERSION_NOT_FOUND = "*version-not-found"
NOT_FOUND = "*not-found"
EXISTS = "*exists"
QUOTA = "*quota"
TOO_LARGE = "*too-large"
IN_PROGRESS = "*in-progress"
UNSUPPORTED = "*unsupported"
FORBIDDEN = "*forbidden"
REJECTED = "*rejected"
INTERNAL = "*internal"
UNAVAILABLE = "*unavailable"
LATE = "*late"
INVALID = "*invalid"
NO_CREDENTIAL = "*no-credential"
"""Of no code's name: a refusal of who gives out credentials, which says nothing of an item of KMS."""
_FAMILIES = (
    (r"throttling.*|.*throttling.*|.*flowlimit.*|.*qpslimit.*|.*ratelimit.*|requestlimitexceeded", THROTTLED),
    (r"(?!.*importtoken).*token\.?expired.*|(?!.*importtoken).*expired.*token.*", OLD_TOKEN),
    (r".*securitytoken.*|.*ststoken.*", BAD_TOKEN),
    (r"(?:invalid|incorrect|illegal|forbidden)\.?accesskey.*", BAD_KEY),
    (r"signature.*|.*signature", BAD_SIGNATURE),
    (r"(?:invalid|illegal)timestamp.*|.*requesttime(?!d?out).*", BAD_TIME),
    (r"(?!sdk\.|invalid|illegal|missing).*timed?out", LATE),
    (r".*notin\w*whitelist|forbidden\.source(?:ip|vpc).*", NOT_ALLOWED_FROM),
    # What is missing is not always the item, and then nobody may take the item for absent.
    (r"entitynotexists?(?:\..*)?|.*(?:user|role|account)(?:id|name)?\.?(?:not\.?found|notexists?)", IDENTITY_NOT_FOUND),
    (r"invalid(?:api|action|version|product|region|endpoint)(?:id|name)?\.notfound", ROUTE_NOT_FOUND),
    (r".*instance(?:id)?\.?(?:not\.?found|notexists?)", INSTANCE_NOT_FOUND),
    (r".*version(?:id)?\.?(?:not\.?found|notexists?)", VERSION_NOT_FOUND),
    (r".*not\.?found|.*notexists?|.*\.noexist", NOT_FOUND),
    (r".*already\.?exists?(?:ed)?|.*\.exists?|.*resourceexists?|.*duplicated?(?:\..*)?", EXISTS),
    (r".*quota.*|.*limitexceed.*|.*exceed.*limit.*", QUOTA),
    (r".*(?:request|entity|payload|content|body)toolarge", TOO_LARGE),
    (r"operation\.?conflict.*|.*inprogress", IN_PROGRESS),
    (r"unsupported.*|.*\.unsupported.*|.*notsupport.*", UNSUPPORTED),
    (r"forbidden.*|.*nopermission.*|.*accessdenied.*|.*unauthorized.*|.*notauthori[sz]ed.*", FORBIDDEN),
    (r"rejected.*|incorrect\w*stat(?:e|us)(?:\..*)?", REJECTED),
    (r"internal.*|unknownerror", INTERNAL),
    (r"service.*unavailable.*|.*unavailable|.*servicebusy|systembusy", UNAVAILABLE),
    (r"invalid.*|illegal.*|missing.*|.*malformed.*|.*invalid", INVALID),
)
"""What Alibaba's services begin and end their codes with; read from the top."""


def spelling(known: Collection[str]) -> Callable[[str], str]:
    """How codes are compared.

    Args:
        known: The codes of the rule table. A code that is not among them stands for its family.
    """
    right = {_spelt(code) for code in known}
    families = [(re.compile(pattern), family) for pattern, family in _FAMILIES]

    @lru_cache(1024)
    def fold(code: str) -> str:
        code = _spelt(code[:128])
        if code in right or code.startswith("*"):
            return code
        return next((family for pattern, family in families if pattern.fullmatch(code)), code)

    return fold


def _spelt(code: str) -> str:
    code = code.lower()
    for wrong, right in _MISSPELT:
        code = code.replace(wrong, right)
    return code
