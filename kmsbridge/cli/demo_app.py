"""Gets a password, or makes it. KMSBRIDGE_PROFILE says where; nothing here knows which cloud that is."""

import sys

import kmsbridge

NAME = "billing/db-password"

try:
    with kmsbridge.connect() as bridge:  # KMSBRIDGE_PROFILE=eu, or cn, or a URL such as local:
        try:
            password = bridge.secrets.get(NAME).text
            print(f"found {NAME}: {len(password)} characters")
        except kmsbridge.NotFoundError:  # it is not there; never "could not ask"
            password = bridge.secrets.set(NAME, "s3cret").text
            print(f"made {NAME}: {len(password)} characters")
except kmsbridge.UnavailableError as error:  # the backend could not answer
    sys.exit(f"{error}\n-> try again in {error.retry_after or 10:g} s; applied: {error.outcome}")
except kmsbridge.KMSError as error:  # whose it is, and what fixes it
    sys.exit(f"{error}\n-> {error.remediation}")
