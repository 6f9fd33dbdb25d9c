// The nodes: role, term, how far each is, what its disk has left, whether it moves.
import { call } from "./call.js";
import { body, count, make, size, span } from "./dom.js";

export const cluster = { leader: "", term: 0, index: 0, nodes: [], alive: new Set() };
let reports = new Map(); // name -> report of the last survey
let rates = new Map();   // name -> pieces of work a second
let seen = new Map();    // name -> {progress, at} of the survey before
let missing = new Set();

export async function loadStatus() {
  const status = await call("fts.cluster.v1.Cluster/Status", {}, 3000);
  cluster.leader = status.leader || "";
  cluster.term = Number(status.term || 0);
  cluster.index = Number(status.index || 0);
  cluster.nodes = status.nodes || [];
  cluster.alive = new Set(cluster.nodes.filter((node) => node.alive).map((node) => node.name));
  show();
}

export async function loadSurvey() {
  const survey = await call("fts.health.v1.Health/Survey", { waitMs: 800 }, 4000);
  const now = performance.now();
  reports = new Map((survey.answered || []).map((report) => [report.name, report]));
  missing = new Set(survey.missing || []);
  for (const [name, report] of reports) {
    const before = seen.get(name);
    const progress = Number(report.progress || 0);
    if (before && progress >= before.progress)
      rates.set(name, Math.round((progress - before.progress) / ((now - before.at) / 1000)));
    seen.set(name, { progress, at: now });
  }
  show();
}

function stateOf(node, report) {
  if (!node.alive || (missing.has(node.name) && !report)) return "bad";
  return (report && report.state !== "READY") || !node.digestOk ? "warn" : "good";
}

function line(name, value) {
  return [make("dt", {}, name), make("dd", {}, value)];
}

function diskLine(report) {
  const total = Number(report.diskTotalBytes || 0);
  const free = Number(report.diskFreeBytes || 0);
  if (!total) return [];
  const bar = make("progress", { max: 100, value: Math.round((1 - free / total) * 100), title: "used" });
  return line("disk", make("span", {}, size(free) + " free", bar));
}

function card(node) {
  const report = node.alive ? reports.get(node.name) : undefined; // of one that is away it is old news
  // Each is a little old: the later of the two is nearer the truth.
  const applied = Math.max(Number((report && report.applied) || 0), Number(node.applied || 0));
  const term = Math.max(Number((report && report.term) || 0), node.name === cluster.leader ? cluster.term : 0);
  const lag = Math.max(0, cluster.index - applied);
  const role = node.alive ? (node.role || "UNKNOWN").toLowerCase() : "away";
  const lines = [
    ...line("address", make("span.mono", {}, node.address || "")),
    ...line("term", term > 0 ? count(term) : "–"),
    ...line("applied", count(applied)),
    ...line("lag", make("span", { class: lag > 100 ? "warn" : "" }, count(lag))),
  ];
  if (report) {
    lines.push(...diskLine(report));
    lines.push(...line("progress", rates.has(node.name) ? count(rates.get(node.name)) + " / s" : "…"));
    if (report.queue) lines.push(...line("waiting", count(report.queue) + ", oldest " + span(report.oldestCallMs)));
    if (report.version) lines.push(...line("version", report.version));
  }
  const reasons = [...((report && report.reasons) || [])];
  if (!node.digestOk && node.alive) reasons.push("its state differs from the others'");
  if (!node.alive) reasons.push("not heard of");
  else if (missing.has(node.name)) reasons.push("does not answer the survey");
  return make("article.node", { "data-state": stateOf(node, report), "data-node": node.name, "data-role": role },
    make("header", {}, make("h3", {}, node.name),
      make("span.tag" + (role === "leader" ? ".leader" : role === "away" ? ".bad" : ""), {}, role)),
    make("dl", {}, ...lines),
    ...reasons.map((reason) => make("p.reason.small.warn", {}, reason)));
}

function facts() {
  const alive = cluster.alive.size;
  const parts = cluster.leader
    ? ["leader ", make("b", {}, cluster.leader), " · term ", make("b", {}, count(cluster.term)), " · index ",
        make("b", {}, count(cluster.index))]
    : [make("b.bad", {}, "no leader"), " · writes wait until a majority is there"];
  return [...parts, " · ", make("b", {}, alive + " of " + cluster.nodes.length), " nodes"];
}

function show() {
  document.getElementById("cluster").replaceChildren(...facts());
  body("nodes").replaceChildren(make("div.cards", {}, ...cluster.nodes.map(card)));
  document.title = (cluster.leader ? "" : "! ") + "fts " + cluster.alive.size + "/" + cluster.nodes.length;
}
