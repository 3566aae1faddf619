// The vendor's JavaScript SDK, as it is installed from npm, against the emulator's door of a region.
// It signs by parameters (HMAC-SHA1). Prints one line of JSON a step, and then the versions.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const kms = createRequire(import.meta.url)("@alicloud/kms20160120");
const { EMULATOR_URL: url, EMULATOR_TOKEN: token, ALIBABA_CLOUD_ACCESS_KEY_ID: accessKeyId } = process.env;

function connected(accessKeySecret = process.env.ALIBABA_CLOUD_ACCESS_KEY_SECRET) {
  const endpoint = new URL(url).host;
  return new kms.default({ endpoint, accessKeyId, accessKeySecret, type: "access_key", regionId: "cn-hangzhou" });
}
const client = connected();

async function step(name, work) {
  await work();
  console.log(JSON.stringify({ step: name }));
}

async function control(path, body) {
  const headers = { "X-Emulator-Token": token };
  const answer = await fetch(`${url}/_emulator/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
}

// The SDK puts "Error" behind the service's code, and keeps the answer as the error's data.
async function refused(code, work) {
  await assert.rejects(work, (error) => {
    assert.equal(error.code, `${code}Error`);
    assert.equal(error.data.Code, code);
    assert.ok(error.data.RequestId);
    return true;
  });
}

const call = (operation, fields, by = client) => {
  const method = operation[0].toLowerCase() + operation.slice(1);
  return by[method](new kms[`${operation}Request`](fields));
};

// -- secrets

const secretName = "billing/db-password";
const get = (fields = {}, by = client) => call("GetSecretValue", { secretName, ...fields }, by);
await step("create", async () => {
  const made = await call("CreateSecret", { secretName, secretData: "one ~+é'()*", versionId: "v1" });
  assert.equal(made.versionId, "v1");
});
await step("get", async () => {
  const found = await get();
  assert.deepEqual([found.secretData, found.versionId], ["one ~+é'()*", "v1"]);
});
await step("versions", async () => {
  for (let twice = 0; twice < 2; twice++) await call("PutSecretValue", { secretName, secretData: "two", versionId: "v2" });
  assert.equal((await get()).secretData, "two");
  assert.equal((await get({ versionStage: "ACSPrevious" })).versionId, "v1");
});
await step("error Rejected.ResourceExist", () =>
  refused("Rejected.ResourceExist", () => call("PutSecretValue", { secretName, secretData: "other", versionId: "v2" })));
await step("list", async () => {
  for (let number = 0; number < 12; number++)
    await call("CreateSecret", { secretName: `page-${number}`, secretData: "x", versionId: "v" });
  const found = await call("ListSecrets", { pageNumber: 2 });
  assert.deepEqual([found.secretList.secret.length, found.totalCount], [3, 13]);
});
await step("delete", () => call("DeleteSecret", { secretName, recoveryWindowInDays: "7" }));
await step("error Rejected.ResourceInDeleteWindow", () => refused("Rejected.ResourceInDeleteWindow", get));
await step("restore", async () => {
  await call("RestoreSecret", { secretName });
  assert.equal((await get()).secretData, "two");
});
await step("error Forbidden.ResourceNotFound", () =>
  refused("Forbidden.ResourceNotFound", () => get({ secretName: "missing" })));

// -- keys

const plaintext = Buffer.from("4111 1111").toString("base64");
const digest = createHash("sha256").update("message").digest("base64");
const keyId = "alias/billing";
let sealed;
await step("create key", async () => {
  const made = (await call("CreateKey", {})).keyMetadata;
  await call("CreateAlias", { aliasName: keyId, keyId: made.keyId });
  assert.equal((await call("DescribeKey", { keyId })).keyMetadata.keyId, made.keyId);
});
await step("encrypt", async () => {
  sealed = (await call("Encrypt", { keyId, plaintext })).ciphertextBlob;
});
await step("decrypt", async () => {
  assert.equal((await call("Decrypt", { ciphertextBlob: sealed })).plaintext, plaintext);
});
await step("sign and verify", async () => {
  const made = (await call("CreateKey", { keySpec: "EC_P256", keyUsage: "SIGN/VERIFY" })).keyMetadata;
  const versions = await call("ListKeyVersions", { keyId: made.keyId });
  const { keyVersionId } = versions.keyVersions.keyVersion[0];
  const what = { keyId: made.keyId, keyVersionId, algorithm: "ECDSA_SHA_256", digest };
  const { value } = await call("AsymmetricSign", what);
  assert.equal((await call("AsymmetricVerify", { ...what, value })).value, true);
  assert.equal((await call("AsymmetricVerify", { ...what, value: plaintext })).value, false);
});
await step("error Rejected.Disabled", async () => {
  await call("DisableKey", { keyId });
  await refused("Rejected.Disabled", () => call("Encrypt", { keyId, plaintext }));
});

// -- who is not let in, and how the service is

await step("error SignatureDoesNotMatch", () => refused("SignatureDoesNotMatch", () => get({}, connected("wrong"))));
await step("error Rejected.Throttling", async () => {
  await control("failures", { operation: "GetSecretValue", with: "Rejected.Throttling" });
  await refused("Rejected.Throttling", get);
});

const name = "@alicloud/kms20160120";
const installed = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
console.log(JSON.stringify({ versions: { [name]: installed.version } }));
