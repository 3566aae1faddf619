"""The vendor's Python SDK, as it is installed, against the emulator.

Prints one line of JSON a step, and then the versions; fails at the first step that does.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from azure.identity import ClientSecretCredential

if TYPE_CHECKING:
    from collections.abc import Callable

URL = os.environ["EMULATOR_URL"]
KEY = os.environ["AZURE_COSMOS_KEY"]
warnings.filterwarnings("ignore", "Unverified HTTPS request")  # the SDK's own choice for localhost


def passed(step: str) -> None:
    """Report that everything up to here was as it must be."""
    sys.stdout.write(json.dumps({"step": step}) + "\n")


def equal(found: object, wanted: object) -> None:
    """Fail unless the two are the same; an assert would vanish under -O."""
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(status: int, sub_status: int, work: Callable[[], object]) -> None:
    """The call fails so, and the SDK's error tells the sub-status."""
    try:
        work()
    except CosmosHttpResponseError as error:
        equal((error.status_code, error.sub_status), (status, sub_status))
        passed(f"error {status}/{sub_status}")
    else:
        raise SystemExit(f"nothing was refused with {status}/{sub_status}")


def control(method: str, path: str, body: dict[str, Any]) -> None:
    """Steer the emulator over its control path."""
    headers = {"X-Emulator-Token": os.environ["EMULATOR_TOKEN"]}
    request = urllib.request.Request(  # noqa: S310 - https, and our own
        f"{URL}/_emulator/{path}", json.dumps(body).encode(), headers, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see above
        equal(answer.status, 200)


def items(container: Any) -> None:
    """The life of an item."""
    made = container.create_item({"id": "a", "pk": "x", "n": 1})
    passed("create")
    equal(container.read_item("a", "x"), made)
    passed("read")
    refused(409, 0, lambda: container.create_item({"id": "a", "pk": "x"}))
    found = container.query_items(
        "SELECT c.id, c.n FROM c WHERE c.n = @n", parameters=[{"name": "@n", "value": 1}], partition_key="x"
    )
    equal(list(found), [{"id": "a", "n": 1}])
    passed("query")
    for number in range(5):
        container.create_item({"id": "b", "pk": f"p{number}", "n": 2})
    pages = container.query_items(
        "SELECT * FROM c WHERE c.n = 2", enable_cross_partition_query=True, max_item_count=2
    ).by_page()
    equal([len(list(page)) for page in pages], [2, 2, 1])
    passed("query everywhere, by pages")
    match = {"etag": made["_etag"], "match_condition": MatchConditions.IfNotModified}
    equal(container.replace_item("a", {**made, "n": 3}, **match)["n"], 3)
    passed("replace with ETag")
    refused(412, 0, lambda: container.replace_item("a", {**made, "n": 4}, **match))
    equal(container.patch_item("a", "x", [{"op": "incr", "path": "/n", "value": 1}])["n"], 4)
    passed("patch")
    done = container.execute_item_batch([("create", ({"id": "c", "pk": "x"},)), ("read", ("a",))], "x")
    equal([each["statusCode"] for each in done], [201, 200])
    passed("batch")
    try:
        container.execute_item_batch([("delete", ("c",)), ("create", ({"id": "a", "pk": "x"},))], "x")
    except CosmosBatchOperationError as error:
        equal((error.error_index, error.status_code), (1, 409))
    else:
        raise SystemExit("a batch with an item that is there was carried out")
    equal(container.read_item("c", "x")["id"], "c")
    passed("error 409 in a batch")
    container.delete_item("c", "x")
    passed("delete")
    refused(404, 0, lambda: container.read_item("c", "x"))


with CosmosClient(URL, KEY, retry_throttle_total=-1) as client:
    database = client.create_database("python")
    things = database.create_container("things", PartitionKey("/pk"))
    passed("create database and container")
    items(things)
    control("PATCH", "settings", {"key": "revoked"})
    refused(403, 4002, lambda: things.read_item("a", "x"))
    control("PATCH", "settings", {"key": "usable"})
    control("POST", "failures", {"operation": "GetDocument", "with": "429/3200"})
    refused(429, 3200, lambda: things.read_item("a", "x"))
    equal(things.read_item("a", "x")["n"], 4)
credential = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"],
    authority=URL, disable_instance_discovery=True,
)
with CosmosClient(URL, credential) as client:
    equal(client.get_database_client("python").get_container_client("things").read_item("a", "x")["n"], 4)
    passed("token")
    refused(403, 5300, lambda: client.create_database("no"))
sys.stdout.write(json.dumps({"versions": {name: version(name) for name in ("azure-cosmos", "azure-identity")}}) + "\n")
