// The vendor's JavaScript SDK, as it is installed from npm, against the emulator.
// Prints one line of JSON a step, and then the versions; fails at the first step that does.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CosmosClient } from "@azure/cosmos";
import { ClientSecretCredential } from "@azure/identity";

const url = process.env.EMULATOR_URL;
const key = process.env.AZURE_COSMOS_KEY;
const once = { connectionPolicy: { retryOptions: { maxRetryAttemptCount: 0 } } };
const client = new CosmosClient({ endpoint: url, key, ...once });

async function step(name, work) {
  await work();
  console.log(JSON.stringify({ step: name }));
}

async function control(method, path, body) {
  const headers = { "X-Emulator-Token": process.env.EMULATOR_TOKEN };
  const answer = await fetch(`${url}/_emulator/${path}`, { method, headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
}

// The SDK leaves a sub-status of 0 out.
const refused = (status, subStatus, work) => step(`error ${status}/${subStatus}`, () => assert.rejects(work, (error) => {
  assert.deepEqual([error.code, error.substatus ?? 0], [status, subStatus]);
  return true;
}));

// -- items

let things;
await step("create database and container", async () => {
  const { database } = await client.databases.create({ id: "javascript" });
  ({ container: things } = await database.containers.create({ id: "things", partitionKey: "/pk" }));
});
let made;
await step("create", async () => {
  ({ resource: made } = await things.items.create({ id: "a", pk: "x", n: 1 }));
});
await step("read", async () => {
  const { resource } = await things.item("a", "x").read();
  assert.deepEqual(resource, made);
});
await refused(409, 0, () => things.items.create({ id: "a", pk: "x" }));
await step("query", async () => {
  const query = { query: "SELECT c.id, c.n FROM c WHERE c.n = @n", parameters: [{ name: "@n", value: 1 }] };
  const { resources } = await things.items.query(query, { partitionKey: "x" }).fetchAll();
  assert.deepEqual(resources, [{ id: "a", n: 1 }]);
});
await step("query everywhere, by pages", async () => {
  for (let number = 0; number < 5; number++) await things.items.create({ id: "b", pk: `p${number}`, n: 2 });
  const pages = things.items.query("SELECT * FROM c WHERE c.n = 2", { maxItemCount: 2 });
  const sizes = [];
  while (pages.hasMoreResults()) sizes.push((await pages.fetchNext()).resources?.length ?? 0);
  assert.deepEqual(sizes.filter(Boolean), [2, 2, 1]);
});
const accessCondition = { type: "IfMatch", condition: made._etag };
await step("replace with ETag", async () => {
  const { resource } = await things.item("a", "x").replace({ ...made, n: 3 }, { accessCondition });
  assert.equal(resource.n, 3);
});
await refused(412, 0, () => things.item("a", "x").replace({ ...made, n: 4 }, { accessCondition }));
await step("patch", async () => {
  const { resource } = await things.item("a", "x").patch([{ op: "incr", path: "/n", value: 1 }]);
  assert.equal(resource.n, 4);
});
await step("batch", async () => {
  const operations = [{ operationType: "Create", resourceBody: { id: "c", pk: "x" } }, { operationType: "Read", id: "a" }];
  const { result } = await things.items.batch(operations, "x");
  assert.deepEqual(result.map((each) => each.statusCode), [201, 200]);
});
await step("error 409 in a batch", async () => {
  const operations = [{ operationType: "Delete", id: "c" }, { operationType: "Create", resourceBody: { id: "a", pk: "x" } }];
  const { result } = await things.items.batch(operations, "x");
  assert.deepEqual(result.map((each) => each.statusCode), [424, 409]);
  assert.equal((await things.item("c", "x").read()).resource.id, "c");
});
await step("delete", () => things.item("c", "x").delete());
await step("error 404/0", async () => {
  const { statusCode, resource } = await things.item("c", "x").read(); // this one does not throw
  assert.deepEqual([statusCode, resource], [404, undefined]);
});

// -- what the account refuses

await control("PATCH", "settings", { key: "revoked" });
await refused(403, 4002, () => things.item("a", "x").read());
await control("PATCH", "settings", { key: "usable" });
await control("POST", "failures", { operation: "GetDocument", with: "429/3200" });
await refused(429, 3200, () => things.item("a", "x").read());

// -- tokens

const aadCredentials = new ClientSecretCredential(
  process.env.AZURE_TENANT_ID, process.env.AZURE_CLIENT_ID, process.env.AZURE_CLIENT_SECRET,
  { authorityHost: url, disableInstanceDiscovery: true },
);
const other = new CosmosClient({ endpoint: url, aadCredentials });
await step("token", async () => {
  const { resource } = await other.database("javascript").container("things").item("a", "x").read();
  assert.equal(resource.n, 4);
});
await refused(403, 5300, () => other.databases.create({ id: "no" }));

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const names = ["@azure/cosmos", "@azure/identity"];
console.log(JSON.stringify({ versions: Object.fromEntries(names.map((name) => [name, versionOf(name)])) }));
client.dispose();
other.dispose();
