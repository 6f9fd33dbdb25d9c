// The page of a node: each section is read once, and again when an event names it; nodes and health, which make no
// events, every second or two.
import { call, follow, hasToken, setToken } from "./call.js";
import { body, explain, make } from "./dom.js";
import { loadMatches } from "./matches.js";
import { loadStatus, loadSurvey } from "./nodes.js";
import { loadMap, showPartitions } from "./partitions.js";
import { loadDraws, loadElections, loadWorkers } from "./services.js";

const LOG_MAX = 60;
const GATHER_MS = 120; // events of one moment make one reading

const sections = [
  { name: "nodes", load: async () => { await loadStatus(); showPartitions(); }, everyMs: 1000 },
  { name: "nodes", load: loadSurvey, everyMs: 2500 },
  { name: "partitions", load: loadMap, topics: ["kv.map"], everyMs: 15000 },
  { name: "elections", load: loadElections, topics: ["elector."], everyMs: 30000 },
  { name: "draws", load: loadDraws, topics: ["lottery."], everyMs: 30000 },
  { name: "workers", load: loadWorkers, topics: ["dispatch."], everyMs: 5000 },
  { name: "matches", load: loadMatches, topics: ["game."], everyMs: 30000 },
];

// ---- Reading ----

async function read(section) {
  if (section.reading) {
    section.again = true;
    return;
  }
  section.reading = true;
  do {
    section.again = false;
    try {
      await section.load();
      section.failed = false;
      body(section.name).classList.remove("stale");
    } catch (error) {
      fail(section, error);
    }
  } while (section.again);
  section.reading = false;
  section.readAt = performance.now();
}

// What was shown stays, greyed; a section that never had anything says why.
function fail(section, error) {
  const place = body(section.name);
  place.classList.add("stale");
  if (place.childElementCount === 0 || error.code === "unimplemented" || place.dataset.failed)
    place.replaceChildren(make("p.soft", {}, explain(error)));
  section.failed = true;
}

function mark(section) {
  clearTimeout(section.timer);
  section.timer = setTimeout(() => read(section), GATHER_MS);
}

function tick() {
  const now = performance.now();
  if (document.hidden) return;
  for (const section of sections)
    if (!section.reading && now - (section.readAt ?? -Infinity) >= section.everyMs) read(section);
}

// ---- Events ----

function log(event) {
  const list = document.querySelector("#events .log");
  const text = event.lost ? event.lost + " events are lost" : JSON.stringify(event.event, (key, value) => (key === "board" ? undefined : value));
  list.prepend(make("li", {}, make("span.mono.soft", {}, event.index + " "), make("b", {}, event.topic || "note"), " ",
    make("span.mono", {}, text.length > 300 ? text.slice(0, 300) + " …" : text)));
  while (list.childElementCount > LOG_MAX) list.lastElementChild.remove();
}

function onEvent(event) {
  log(event);
  for (const section of sections)
    if (event.lost || (section.topics || []).some((topic) => event.topic.startsWith(topic))) mark(section);
}

let wasDown = false;
function onState(state, why) {
  const live = document.getElementById("live");
  const trouble = document.getElementById("trouble");
  live.dataset.state = state;
  live.textContent = state === "up" ? "live" : state === "wait" ? "waiting" : "not connected";
  trouble.hidden = state === "up";
  trouble.textContent = why ? "No events now: " + why + ". Trying again." : "";
  if (state === "up" && wasDown) sections.forEach(mark); // what happened meanwhile
  wasDown = state !== "up";
}

// ---- Start ----

document.getElementById("token").addEventListener("click", () => {
  const text = window.prompt("Token for calls from this tab (kept until it is closed; empty: none)", "");
  if (text === null) return;
  setToken(text);
  location.reload();
});
if (hasToken()) document.getElementById("token").textContent = "Token set";
document.addEventListener("visibilitychange", tick);
setInterval(tick, 250);
tick();
follow(onEvent, onState);
// Whoever drives this page from a console has its calls at hand.
window.fts = { call };
