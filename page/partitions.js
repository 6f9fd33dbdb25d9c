// The key-value store: 256 partitions and their owners, what moves, and comparing and repairing replicas.
import { call } from "./call.js";
import { body, count, explain, make } from "./dom.js";
import { cluster } from "./nodes.js";

let map = null;
let verifying = null; // {repair, done, divergent, missing, repaired, hints, text}

export async function loadMap() {
  map = await call("fts.kv.v1.Kv/Map");
  showPartitions();
}

function ownersOf(partition) {
  const bytes = map.bytes;
  const copies = map.replicas || 1;
  const owners = [];
  for (let i = 0; i < copies; i++) {
    const node = (map.nodes || [])[bytes.charCodeAt(partition * copies + i)];
    if (node) owners.push(node.name);
  }
  return [...new Set(owners)];
}

function cell(partition, moving) {
  const owners = ownersOf(partition);
  const alive = owners.filter((name) => cluster.alive.has(name)).length;
  const quorum = Math.floor(owners.length / 2) + 1;
  const state = alive === owners.length ? "good" : alive >= quorum ? "warn" : "bad";
  const text = "partition " + partition + ": " + owners.map((name) => name + (cluster.alive.has(name) ? "" : " (away)")).join(", ");
  return { state, element: make("i", { "data-state": state, "data-moving": moving.has(partition), title: text }) };
}

function summary(counts) {
  return make("p.key.small", {},
    make("span", {}, counts.good + " whole"),
    make("span.warn", {}, counts.warn + " with an owner away"),
    make("span.bad", {}, counts.bad + " without a quorum"));
}

async function verify(repair) {
  verifying = { repair, done: 0, divergent: 0, missing: 0, repaired: 0, hints: 0, text: "" };
  showPartitions();
  try {
    for (let from = 0, more = true; more; ) {
      const part = await call("fts.kv.v1.Kv/Verify", { repair, from, count: 16 }, 60000);
      verifying.done += part.partitions || 0;
      verifying.divergent += part.divergent || 0;
      verifying.missing += Number(part.missing || 0);
      verifying.repaired += Number(part.repaired || 0);
      verifying.hints = Number(part.hintsPending || 0);
      from = part.next || 0;
      more = from !== 0;
      showPartitions();
    }
    verifying.text = "done";
  } catch (error) {
    verifying.text = explain(error);
  }
  showPartitions();
}

function verifyLine() {
  if (!verifying) return null;
  const said = verifying;
  return make("div.small", { id: "verify" },
    make("progress", { max: 256, value: said.done }),
    (said.repair ? "repair: " : "compare: ") + said.done + " of 256 partitions, " + said.divergent + " divergent, " +
      count(said.missing) + " records missing, " + count(said.repaired) + " repaired, " + count(said.hints) +
      " hints pending" + (said.text ? " · " + said.text : ""));
}

export function showPartitions() {
  if (!map) return;
  map.bytes ??= atob(map.owners || "");
  const moving = new Set((map.moves || []).map((move) => move.partition || 0));
  const counts = { good: 0, warn: 0, bad: 0 };
  const cells = [];
  for (let partition = 0; partition < 256; partition++) {
    const made = cell(partition, moving);
    counts[made.state]++;
    cells.push(made.element);
  }
  const busy = verifying !== null && verifying.text === "";
  body("partitions").replaceChildren(
    make("p.small.soft", {}, (map.replicas || 1) + " replicas each · epoch " + count(map.epoch) +
      (map.moving ? " · " + map.moving + " moving" : "") +
      ((map.linearizable || []).length ? " · linearizable databases: " + map.linearizable.join(", ") : "")),
    make("div.grid", { role: "img", "aria-label": counts.good + " of 256 partitions whole" }, ...cells),
    summary(counts),
    make("div.row", {},
      make("button", { type: "button", disabled: busy, onclick: () => verify(false) }, "Compare replicas"),
      make("button", { type: "button", disabled: busy, onclick: () => verify(true) }, "Repair")),
    verifyLine() || "");
}
