// The vendor's JavaScript SDK, as it is installed from npm, against the emulator.
// Prints one line of JSON a step, and then the versions; fails at the first step that does.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ClientSecretCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

const url = process.env.EMULATOR_URL;
const credential = new ClientSecretCredential(
  process.env.AZURE_TENANT_ID, process.env.AZURE_CLIENT_ID, process.env.AZURE_CLIENT_SECRET,
  { authorityHost: url, disableInstanceDiscovery: true },
);
const options = { disableChallengeResourceVerification: true };
const secrets = new SecretClient(url, credential, options);
const keys = new KeyClient(url, credential, options);

async function step(name, work) {
  await work();
  console.log(JSON.stringify({ step: name }));
}

async function collect(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

async function control(path, body) {
  const headers = { "X-Emulator-Token": process.env.EMULATOR_TOKEN };
  const answer = await fetch(`${url}/_emulator/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
}

// The code that decides is the innermost one; the SDK keeps it in the error's details.
async function refused(status, code, inner, work) {
  await assert.rejects(work, (error) => {
    assert.equal(error.statusCode, status);
    assert.equal(error.code, code);
    assert.equal(error.details?.error?.innerError?.code, inner);
    return true;
  });
}

// -- secrets

await step("set", async () => {
  const secret = await secrets.setSecret("javascript", "one", { tags: { team: "a" }, contentType: "text/plain" });
  assert.match(secret.properties.version, /^[0-9a-f]{32}$/);
});
await step("get", async () => {
  const secret = await secrets.getSecret("JavaScript");
  assert.deepEqual([secret.value, secret.properties.tags], ["one", { team: "a" }]);
});
await step("list", async () => {
  for (let number = 0; number < 30; number++) await secrets.setSecret(`page-${number}`, "x");
  const found = await collect(secrets.listPropertiesOfSecrets());
  assert.equal(found.length, 31);
});
await step("versions", async () => {
  await secrets.setSecret("javascript", "two");
  const found = await collect(secrets.listPropertiesOfSecretVersions("javascript"));
  assert.equal(found.length, 2);
});
await step("delete", async () => {
  await (await secrets.beginDeleteSecret("javascript")).pollUntilDone();
  const found = await collect(secrets.listDeletedSecrets());
  assert.deepEqual(found.map((each) => each.name), ["javascript"]);
});
await step("error ObjectIsDeletedButRecoverable", () =>
  refused(409, "Conflict", "ObjectIsDeletedButRecoverable", () => secrets.setSecret("javascript", "three")));
await step("recover", async () => {
  await (await secrets.beginRecoverDeletedSecret("javascript")).pollUntilDone();
  assert.equal((await secrets.getSecret("javascript")).value, "two");
});
await step("purge", async () => {
  await (await secrets.beginDeleteSecret("javascript")).pollUntilDone();
  await secrets.purgeDeletedSecret("javascript");
  await secrets.setSecret("javascript", "again");
});
await step("error SecretDisabled", async () => {
  const { version } = (await secrets.getSecret("javascript")).properties;
  await secrets.updateSecretProperties("javascript", version, { enabled: false });
  await refused(403, "Forbidden", "SecretDisabled", () => secrets.getSecret("javascript"));
});

// -- keys

const value = Buffer.from("4111 1111");
const digest = createHash("sha256").update(value).digest();
let key;
let cipher;
await step("create key", async () => {
  key = await keys.createRsaKey("javascript", { keySize: 2048 });
  assert.equal(key.keyType, "RSA");
});
// A client that may not read the public key has the service do everything.
await control("failures", { operation: "GetKey", with: "ForbiddenByRbac", times: null });
const remote = (id) => new CryptographyClient(id, credential, options);
await step("encrypt", async () => {
  cipher = await remote(key.id).encrypt({ algorithm: "RSA-OAEP-256", plaintext: value });
  assert.equal(cipher.result.length, 256);
});
await step("decrypt", async () => {
  const plain = await remote(key.id).decrypt({ algorithm: "RSA-OAEP-256", ciphertext: cipher.result });
  assert.deepEqual(Buffer.from(plain.result), value);
});
await step("wrap", async () => {
  const wrapped = await remote(key.id).wrapKey("RSA-OAEP", digest);
  assert.deepEqual(Buffer.from((await remote(key.id).unwrapKey("RSA-OAEP", wrapped.result)).result), digest);
});
const signatures = [["RSA", "PS256", key], ["EC", "ES256", await keys.createEcKey("javascript-ec", { curve: "P-256" })]];
const signed = [];
await step("sign", async () => {
  for (const [, algorithm, each] of signatures) signed.push(await remote(each.id).sign(algorithm, digest));
});
await step("verify", async () => {
  for (const [index, [, algorithm, each]] of signatures.entries()) {
    const signature = signed[index].result;
    assert.equal((await remote(each.id).verify(algorithm, digest, signature)).result, true);
    signature[5] ^= 1;
    assert.equal((await remote(each.id).verify(algorithm, digest, signature)).result, false);
  }
});
await step("error KeyOperationForbidden", async () => {
  const wrapOnly = await keys.createRsaKey("javascript-wrap", { keyOps: ["wrapKey", "unwrapKey"] });
  await refused(403, "Forbidden", "KeyOperationForbidden", () => remote(wrapOnly.id).sign("RS256", digest));
});
await step("error KeyDisabled", async () => {
  await keys.updateKeyProperties("javascript", key.properties.version, { enabled: false });
  await refused(403, "Forbidden", "KeyDisabled", () =>
    remote(key.id).decrypt({ algorithm: "RSA-OAEP-256", ciphertext: cipher.result }));
});
await step("error ForbiddenByRbac", async () => {
  await control("failures", { operation: "GetSecret", with: "ForbiddenByRbac" });
  await refused(403, "Forbidden", "ForbiddenByRbac", () => secrets.getSecret("page-1"));
});

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const names = ["@azure/keyvault-secrets", "@azure/keyvault-keys", "@azure/identity"];
console.log(JSON.stringify({ versions: Object.fromEntries(names.map((name) => [name, versionOf(name)])) }));
