"""Gets a password and seals a card number. KMSBRIDGE_PROFILE says where; nothing here knows which cloud that is."""

import sys

import kmsbridge

SECRET, KEY = "billing/db-password", "billing-kek"

try:
    with kmsbridge.connect() as bridge:  # KMSBRIDGE_PROFILE=eu, or cn, or a URL such as local:
        try:
            password = bridge.secrets.get(SECRET).text
            print(f"found {SECRET}: {len(password)} characters")
        except kmsbridge.NotFoundError:  # it is not there; never "could not ask"
            password = bridge.secrets.set(SECRET, "s3cret").text
            print(f"made {SECRET}: {len(password)} characters")
        try:
            bridge.keys.get(KEY)
        except kmsbridge.NotFoundError:
            bridge.keys.create(KEY, "RSA_2048")  # a kind that every cloud with keys has
        sealed = bridge.keys.seal(KEY, b"4111 1111", context={"tenant": "acme"})
        print(len(bridge.keys.unseal(KEY, sealed, context={"tenant": "acme"})), "bytes sealed in", len(sealed))
except kmsbridge.UnsupportedError as error:  # some backends keep secrets and have no keys
    print(f"{error.message}: {error.remediation}")
except kmsbridge.UnavailableError as error:  # the backend could not answer
    sys.exit(f"{error}\n-> try again in {error.retry_after or 10:g} s; applied: {error.outcome}")
except kmsbridge.KMSError as error:  # whose it is, and what fixes it
    sys.exit(f"{error}\n-> {error.remediation}")
