// Elections, draws and workers: lists that are read anew when an event says that something changed.
import { call } from "./call.js";
import { body, count, make, span, table } from "./dom.js";

const SHOWN_MAX = 20;

// ---- Elections ----

export async function loadElections() {
  const list = await call("fts.elector.v1.Elector/List", { limit: SHOWN_MAX });
  const elections = await Promise.all((list.elections || []).map((one) =>
    call("fts.elector.v1.Elector/Status", { election: one.election }).catch(() => one)));
  body("elections").replaceChildren(
    elections.length === 0
      ? make("p.soft", {}, "None yet. ", make("code", {}, "fts-cli elect run NAME"), " takes part in one.")
      : table(["election", "master", "#fence", "members"], elections.map(electionRow)),
    list.more ? make("p.small.soft", {}, "and more") : "");
}

function electionRow(one) {
  const members = (one.members || []).map((member) => make("div", {},
    make("span", { class: member.id === one.master ? "good" : "" }, member.id),
    make("span.small.soft", {}, " lease " + span(member.leaseMs) + (member.leaving ? ", leaving" : ""))));
  const master = one.master
    ? make("span.tag.good", { "data-master": one.master }, one.master)
    : make("span.tag.bad", {}, "nobody");
  return [
    make("span", {}, one.election, make("div.small.soft", {}, (one.rule || "OLDEST").toLowerCase() + ", min. " + (one.minMembers || 2))),
    make("span", {}, master, one.steppingDown ? make("div.small.warn", {}, "stepping down") : ""),
    one.master ? count(one.fence) : "–",
    make("div", {}, ...members),
  ];
}

// ---- Draws ----

let openDraw = "";

export async function loadDraws() {
  const list = await call("fts.lottery.v1.Lottery/List", { limit: 200 });
  const draws = (list.draws || []).reverse().slice(0, SHOWN_MAX);
  const detail = openDraw ? await drawDetail(openDraw) : "";
  body("draws").replaceChildren(
    draws.length === 0
      ? make("p.soft", {}, "None yet. ", make("code", {}, "fts-cli lottery open DRAW --agencies 5"), " opens one.")
      : table(["draw", "state", "#bets", "agencies closed"], draws.map(drawRow)),
    detail);
}

function drawRow(draw) {
  const closed = draw.agenciesClosed || 0;
  const pick = () => {
    openDraw = openDraw === draw.draw ? "" : draw.draw;
    loadDraws();
  };
  const state = draw.state || "OPEN";
  return [
    make("button.link", { type: "button", onclick: pick }, draw.draw),
    make("span.tag" + (state === "DRAWN" ? ".good" : ""), {}, state.toLowerCase()),
    count(draw.bets),
    make("div", {}, closed + " of " + draw.agencies, make("progress", { max: draw.agencies, value: closed })),
  ];
}

async function drawDetail(name) {
  const draw = await call("fts.lottery.v1.Lottery/Status", { draw: name }).catch(() => null);
  if (!draw) return "";
  const agencies = (draw.agencies || []).slice(0, 50).map((agency) =>
    [String(agency.agency), count(agency.bets), agency.closed ? "closed" : "open"]);
  const number = draw.state === "DRAWN" ? "number " + String(draw.number || 0).padStart(4, "0") : "not drawn yet";
  return make("div", {}, make("h3", {}, name + ": " + number),
    draw.root ? make("p.small.soft.mono", {}, "root " + draw.root) : "",
    table(["agency", "#bets", ""], agencies));
}

// ---- Workers ----

export async function loadWorkers() {
  const list = await call("fts.dispatch.v1.Dispatch/List", {});
  const workers = (list.workers || []).slice(0, 100);
  body("workers").replaceChildren(workers.length === 0
    ? make("p.soft", {}, "None yet. ", make("code", {}, "fts-cli worker run NAME -- COMMAND"), " offers one.")
    : table(["worker", "state", "#running", "#done"], workers.map(workerRow)));
}

function workerRow(worker) {
  const state = worker.state || "FREE";
  return [
    make("span", {}, worker.name, make("div.small.soft.mono", {}, worker.address || "")),
    make("span.tag" + (state === "FREE" ? ".good" : state === "HUNG" ? ".bad" : ""), {}, state.toLowerCase()),
    make("span", {}, (worker.running || 0) + " of " + (worker.capacity || 1),
      worker.runningMs ? make("div.small.soft", {}, span(worker.runningMs)) : ""),
    count(worker.done),
  ];
}
