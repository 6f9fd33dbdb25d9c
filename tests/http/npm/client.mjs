// The official Connect client for Node.js against live nodes: unary calls in JSON and binary, GET for what has no side
// effects, errors, deadlines, and the stream of events. Usage: client.mjs DESCRIPTORS URL URL
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

const [descriptors, url, other] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const service = (name) => registry.getService(name);
const transport = (baseUrl, options) => createConnectTransport({ baseUrl, httpVersion: "1.1", ...options });

async function calls(name, options) {
  const lottery = createClient(service("fts.lottery.v1.Lottery"), transport(url, options));
  const again = createClient(service("fts.lottery.v1.Lottery"), transport(other, options));
  const draw = "npm-" + name;
  await lottery.open({ draw, agencies: 1, fixed: true, number: 7574 });
  const bet = { firstName: "Ana", lastName: "Núñez", document: "30904465", birthdate: "1999-03-17", number: 7574 };
  const stored = await lottery.storeBet({ draw, agency: 1, bet });
  assert.equal(stored.ticket, 1n);
  assert.equal((await again.status({ draw })).bets, 1n);
  await lottery.agencyClose({ draw, agency: 1 });
  assert.deepEqual((await again.winners({ draw, agency: 1 })).documents, ["30904465"]);
  await assert.rejects(() => lottery.status({ draw: "none" }), (error) =>
    error instanceof ConnectError && error.code === Code.NotFound && /no draw none/.test(error.message));
  await assert.rejects(() => lottery.storeBet({ draw, agency: 1, bet }), (error) => error.code === Code.FailedPrecondition);
  await lottery.open({ draw: draw + "-2", agencies: 1 });
  await assert.rejects(() => lottery.winners({ draw: draw + "-2", agency: 1 }, { timeoutMs: 300 }), (error) => error.code === Code.DeadlineExceeded);
  console.log(name + ": unary calls, errors, deadline");
}

async function events(name, options) {
  const stop = new AbortController();
  const stream = createClient(service("fts.http.v1.Events"), transport(other, options))
    .subscribe({ fromIndex: 1n, topic: "lottery.draw" }, { signal: stop.signal });
  const draw = registry.getMessage("fts.lottery.v1.DrawEvent");
  const names = new Set();
  for await (const event of stream) {
    if (event.topic === "") continue;
    assert.equal(event.topic, "lottery.draw");
    names.add(fromBinary(draw, event.payload).draw);
    if (names.has("npm-json") && names.has("npm-binary")) break;
  }
  stop.abort();
  console.log(name + ": events");
}

await calls("json", { useBinaryFormat: false });
await calls("binary", { useBinaryFormat: true });
await calls("get", { useBinaryFormat: false, useHttpGet: true });
await calls("get-binary", { useBinaryFormat: true, useHttpGet: true });
await events("json", { useBinaryFormat: false });
await events("binary", { useBinaryFormat: true });
