"""The emulator of Azure Cosmos DB, with the vendor's own SDK: unmodified, over TLS on loopback, sync and async."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ServiceRequestError
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.aio import CosmosClient as AioCosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from azure.identity import ClientSecretCredential

from contract_tests.cosmos_emulator import authority, emptied
from kmsbridge.emulation import Emulator, Reset, entra
from kmsbridge_azure_cosmos.emulator import Cosmos

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

AIOHTTP_CLOSES_IN = 0.25
ONCE: dict[str, Any] = {"retry_total": 0, "retry_connect": 0, "retry_read": 0, "retry_throttle_total": -1}


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The emulator with an empty container; the variables that it prints are set."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, authority())
    with emptied() as running:
        yield running


def address(emulator: Emulator) -> str:
    """Of its first region: for localhost the SDK does not check certificates."""
    return f"https://westeurope.documents.localhost:{emulator.port}"


@pytest.fixture
def container(emulator: Emulator) -> Iterator[Any]:
    """The SDK's proxy of a container whose key is ``/name``, with endpoint discovery as it comes."""
    with CosmosClient(address(emulator), Cosmos.key, **ONCE) as client:
        yield client.get_database_client("db").get_container_client("secrets")


@pytest.fixture
async def aio_container(emulator: Emulator) -> AsyncIterator[Any]:
    """The same, async, at localhost, which is not checked: aiohttp reads what it trusts when it is imported."""
    async with AioCosmosClient(emulator.url, Cosmos.key, **ONCE) as client:
        yield client.get_database_client("db").get_container_client("secrets")
    await asyncio.sleep(AIOHTTP_CLOSES_IN)


def refused(failure: CosmosHttpResponseError) -> tuple[int | None, int | None]:
    """Status and sub-status, as the SDK tells them."""
    return failure.status_code, failure.sub_status


def test_databases_and_containers_are_made(emulator: Emulator) -> None:
    """By key; asked a second time they are found."""
    with CosmosClient(address(emulator), Cosmos.key) as client:
        database = client.create_database_if_not_exists("new")
        database.create_container_if_not_exists("things", PartitionKey("/pk"), default_ttl=-1)
        database = client.create_database_if_not_exists("new")
        made = database.create_container_if_not_exists("things", PartitionKey("/pk"), default_ttl=-1)
        assert made.read()["partitionKey"]["paths"] == ["/pk"]
        assert {each["id"] for each in client.list_databases()} == {"db", "new"}
        assert [each["id"] for each in database.list_containers()] == ["things"]
        client.delete_database("new")
        with pytest.raises(CosmosResourceNotFoundError):
            made.read()


def test_an_item_is_made_read_replaced_and_deleted(container: Any) -> None:
    """With its ETag, and the SDK's own exceptions for what does not fit."""
    made = container.create_item({"id": "a b", "name": "x", "n": 1})
    assert container.read_item("a b", "x") == made
    with pytest.raises(CosmosResourceExistsError):
        container.create_item({"id": "a b", "name": "x"})
    match = {"etag": made["_etag"], "match_condition": MatchConditions.IfNotModified}
    assert container.replace_item("a b", {**made, "n": 2}, **match)["n"] == 2
    with pytest.raises(CosmosAccessConditionFailedError):
        container.replace_item("a b", {**made, "n": 3}, **match)
    change = [{"op": "incr", "path": "/n", "value": 5}]
    changed = container.patch_item("a b", "x", change, filter_predicate="from c where c.n = 2")
    assert changed["n"] == 7
    container.delete_item("a b", "x")
    with pytest.raises(CosmosResourceNotFoundError) as caught:
        container.read_item("a b", "x")
    assert refused(caught.value) == (404, 0)


def test_a_batch_is_whole_or_nothing(container: Any) -> None:
    """The SDK finds the member that failed."""
    done = container.execute_item_batch([("create", ({"id": each, "name": "x"},)) for each in "ab"], "x")
    assert [each["statusCode"] for each in done] == [201, 201]
    with pytest.raises(CosmosBatchOperationError) as caught:
        container.execute_item_batch([("delete", ("a",)), ("create", ({"id": "b", "name": "x"},))], "x")
    assert (caught.value.error_index, caught.value.status_code) == (1, 409)
    assert len(list(container.read_all_items())) == 2


def test_queries_come_in_pages(container: Any, emulator: Emulator) -> None:
    """Of one partition, of all, and feeds."""
    for number in range(7):
        container.create_item({"id": "head", "name": f"n{number}", "n": number})
    asked = {"parameters": [{"name": "@n", "value": 2}], "enable_cross_partition_query": True, "max_item_count": 2}
    emulator.requests.reset()
    pages = [list(page) for page in container.query_items("SELECT c.name FROM c WHERE c.n >= @n", **asked).by_page()]
    assert [[each["name"] for each in page] for page in pages] == [["n2", "n3"], ["n4", "n5"], ["n6"]]
    assert emulator.requests.count("QueryDocuments") == 3
    assert [each["n"] for each in container.query_items("SELECT * FROM c", partition_key="n3")] == [3]
    assert len(list(container.read_all_items(max_item_count=3))) == 7
    with pytest.raises(CosmosHttpResponseError) as caught:
        list(container.query_items("SELECT * FROM c ORDER BY c.n", enable_cross_partition_query=True))
    assert "SC1001" in caught.value.message


def test_the_accounts_key_can_be_taken_away(container: Any, emulator: Emulator) -> None:
    """403/4002 for reads and writes, and back."""
    container.create_item({"id": "a", "name": "x"})
    emulator.configure(key="revoked")
    with pytest.raises(CosmosHttpResponseError) as caught:
        container.read_item("a", "x")
    assert refused(caught.value) == (403, 4002)
    with pytest.raises(CosmosHttpResponseError) as caught:
        container.upsert_item({"id": "a", "name": "x"})
    assert refused(caught.value) == (403, 4002)
    emulator.configure(key="usable")
    container.read_item("a", "x")


def test_tokens_of_entra_are_taken(emulator: Emulator) -> None:
    """For items, and never for databases."""
    who = {"tenant_id": entra.TENANT, "client_id": entra.CLIENT, "client_secret": entra.CLIENT_SECRET}
    with (
        ClientSecretCredential(
            **who, authority=emulator.url, disable_instance_discovery=True, connection_verify=authority()
        ) as credential,
        CosmosClient(address(emulator), credential) as client,
    ):
        found = client.get_database_client("db").get_container_client("secrets")
        found.create_item({"id": "a", "name": "x"})
        with pytest.raises(CosmosHttpResponseError) as caught:
            client.create_database("no")
        assert refused(caught.value) == (403, 5300)


def test_the_sdk_follows_the_region_that_writes(emulator: Emulator) -> None:
    """By what the account says at the start."""
    emulator.configure(regions=("West Europe", "North Europe"), write_region="North Europe")
    with CosmosClient(address(emulator), Cosmos.key, **ONCE) as client:
        found = client.get_database_client("db").get_container_client("secrets")
        found.create_item({"id": "a", "name": "x"})
    assert emulator.requests.count("CreateDocument", status=201) == 1


async def test_the_async_sdk_works_as_well(aio_container: Any, emulator: Emulator) -> None:
    """Items, ETags, batches and pages; and an item was made although its answer was lost."""
    made = await aio_container.create_item({"id": "a", "name": "x", "n": 1})
    match = {"etag": made["_etag"], "match_condition": MatchConditions.IfNotModified}
    await aio_container.replace_item("a", {**made, "n": 2}, **match)
    with pytest.raises(CosmosAccessConditionFailedError):
        await aio_container.replace_item("a", {**made, "n": 3}, **match)
    await aio_container.execute_item_batch([("create", ({"id": f"b{each}", "name": "x"},)) for each in range(3)], "x")
    found = [each["id"] async for each in aio_container.query_items("SELECT * FROM c", max_item_count=2)]
    assert found == ["a", "b0", "b1", "b2"]
    emulator.fail("CreateDocument", Reset(), before_applying=False)
    with pytest.raises(ServiceRequestError):
        await aio_container.create_item({"id": "c", "name": "x"})
    assert (await aio_container.read_item("c", "x"))["id"] == "c"


@pytest.mark.parametrize("name", ["429/3200", "404/1002", "410/1002", "403/5302", "449", "503", "403/TokenOrFirewall"])
def test_errors_come_on_demand(container: Any, emulator: Emulator, name: str) -> None:
    """With status and sub-status as the SDK reads them."""
    container.create_item({"id": "a", "name": "x"})
    emulator.fail("GetDocument", name, times=None)
    with CosmosClient(address(emulator), Cosmos.key, enable_endpoint_discovery=False, **ONCE) as client:
        found = client.get_database_client("db").get_container_client("secrets")
        with pytest.raises(CosmosHttpResponseError) as caught:
            found.read_item("a", "x")
    status, _, number = name.partition("/")
    assert refused(caught.value) == (int(status), int(number) if number.isdigit() else None)
