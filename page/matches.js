// Matches: a list, and one match to be watched or played. A seat's token stays in this browser tab, so that a reload
// goes on at the same seat.
import { call } from "./call.js";
import { body, explain, make } from "./dom.js";

const SHOWN_MAX = 12;
let matches = [];
let rules = [];
let open = "";        // the match that is shown
let shown = null;     // its ShowResponse
let placed = -1;      // cell that changed last
let said = "";        // the last refusal
let busy = false;

const seatKey = (match) => "fts.match." + match;
const tokenOf = (match) => sessionStorage.getItem(seatKey(match)) || "";

export async function loadMatches() {
  if (rules.length === 0) rules = (await call("fts.game.v1.Game/Rules")).rules || [];
  matches = (await call("fts.game.v1.Game/List", { limit: SHOWN_MAX })).matches || [];
  if (open) await loadOpen();
  show();
}

async function loadOpen() {
  const before = shown && shown.match === open ? cells(shown.board || "").flat() : [];
  const token = tokenOf(open);
  shown = await call("fts.game.v1.Game/Show", token ? { match: open, token } : { match: open });
  const now = cells(shown.board || "").flat();
  const changed = now.findIndex((cell, i) => before.length === now.length && cell.glyph !== before[i].glyph && before[i].glyph === ".");
  if (changed >= 0) placed = changed;
}

// ---- What people do ----

async function act(work) {
  if (busy) return;
  busy = true;
  said = "";
  show();
  try {
    await work();
    await loadMatches();
  } catch (error) {
    said = explain(error);
  }
  busy = false;
  show();
}

function watch(match) {
  open = open === match ? "" : match;
  shown = null;
  placed = -1;
  act(async () => {});
}

const create = (name) => act(async () => {
  open = (await call("fts.game.v1.Game/Create", { rules: name })).match;
  shown = null;
  placed = -1;
});

const join = (name) => act(async () => {
  const seat = await call("fts.game.v1.Game/Join", { match: open, name });
  sessionStorage.setItem(seatKey(open), seat.token);
});

const move = (text) => act(() =>
  call("fts.game.v1.Game/Move", { match: open, token: tokenOf(open), move: text, ply: (shown.ply || 0) + 1 }));

const resign = () => act(() => call("fts.game.v1.Game/Resign", { match: open, token: tokenOf(open) }));

// ---- The board ----

// "  1 2 3\n1 . X .\n..." -> rows of {row, column, glyph}. Every game shows its board in this form.
function cells(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length < 2) return [];
  const columns = lines[0].trim().split(/\s+/);
  return lines.slice(1).map((line) => {
    const [row, ...glyphs] = line.trim().split(/\s+/);
    return glyphs.slice(0, columns.length).map((glyph, i) => ({ row, column: columns[i], glyph }));
  }).filter((line) => line.length === columns.length);
}

// The move that puts a stone there, in the game's own words; undefined: none does.
function moveAt(cell, legal) {
  return [cell.row + "," + cell.column, cell.column + cell.row, cell.column].find((text) => legal.has(text));
}

function boardCell(cell, index, legal, mine) {
  const text = mine && cell.glyph === "." ? moveAt(cell, legal) : undefined;
  const glyph = cell.glyph === "." ? "" : cell.glyph === "X" ? "×" : cell.glyph === "O" ? "○" : cell.glyph;
  const button = make("button", { type: "button", disabled: text === undefined || busy,
    "aria-label": cell.column + cell.row + " " + (glyph || "free"), "data-move": text, onclick: () => move(text) }, glyph);
  if (cell.glyph === "X") button.classList.add("x");
  if (cell.glyph === "O") button.classList.add("o");
  if (text !== undefined) button.classList.add("may");
  if (index === placed) button.classList.add("new");
  return button;
}

function board(match, mine) {
  const rows = cells(match.board || "");
  if (rows.length === 0) return make("pre", {}, match.board || "");
  const legal = new Set(match.legal || []);
  const element = make("div.board" + (rows[0].length > 8 ? ".many" : ""), {}, make("span.edge", {}));
  element.style.gridTemplateColumns = "repeat(" + (rows[0].length + 1) + ", minmax(0, 1fr))";
  element.append(...rows[0].map((cell) => make("span.edge", {}, cell.column)));
  rows.forEach((row, r) => {
    element.append(make("span.edge", {}, row[0].row));
    element.append(...row.map((cell, c) => boardCell(cell, r * row.length + c, legal, mine)));
  });
  return element;
}

// ---- Words ----

const nameOf = (match, seat) => ((match.seats || [])[seat] || {}).name || "seat " + (seat + 1);

function outcome(match) {
  if (match.outcome === "WON")
    return nameOf(match, match.winner || 0) + " has won" +
      (match.reason === "RESIGNED" ? ": the other resigned" : match.reason === "TIME" ? " on time" : "");
  if (match.outcome === "DRAWN") return "a draw";
  if (match.state === "OPEN") return "waiting for players";
  return nameOf(match, match.turn || 0) + " is to move";
}

function seats(match) {
  return make("ul.seats", {}, ...(match.seats || []).map((seat, i) => {
    const turn = match.state === "PLAYING" && (match.turn || 0) === i;
    const you = match.you === i + 1 ? " (you)" : "";
    return make("li" + (turn ? ".turn" : ""), {}, (i === 0 ? "× " : "○ ") + (seat.taken ? seat.name + you : "free"));
  }));
}

function controls(match) {
  const you = match.you || 0;
  const parts = [];
  if (match.state === "OPEN" && you === 0) {
    const name = make("input", { placeholder: "your name", maxlength: 40, "aria-label": "your name" });
    parts.push(name, make("button.main", { type: "button", id: "join", disabled: busy, onclick: () => join(name.value) }, "Join"));
  }
  if (match.state === "PLAYING" && you > 0) {
    if ((match.legal || []).includes("pass") && match.turn === you - 1)
      parts.push(make("button", { type: "button", disabled: busy, onclick: () => move("pass") }, "Pass"));
    parts.push(make("button", { type: "button", disabled: busy, onclick: resign }, "Resign"));
  }
  parts.push(make("button.quiet", { type: "button", onclick: () => watch(open) }, "Close"));
  return make("div.row", {}, ...parts);
}

function matchView() {
  if (!open || !shown) return "";
  const mine = shown.state === "PLAYING" && shown.you > 0 && (shown.turn || 0) === shown.you - 1;
  return make("div.match", { "data-match": open, "data-ply": shown.ply || 0 },
    board(shown, mine),
    make("div", {}, make("h3", {}, shown.rules + " ", make("span.mono.soft", {}, open)),
      make("p", { class: mine ? "good" : "" }, mine ? "your move" : outcome(shown)),
      seats(shown), controls(shown)));
}

function listRow(match) {
  const names = (match.seats || []).map((seat) => (seat.taken ? seat.name : "free")).join(" – ");
  return make("tr", {},
    make("td", {}, make("button.link", { type: "button", onclick: () => watch(match.match) }, match.match)),
    make("td", {}, match.rules),
    make("td", {}, names),
    make("td", {}, make("span.tag" + (match.state === "PLAYING" ? ".good" : ""), {}, (match.state || "").toLowerCase())),
    make("td.number", {}, String(match.ply || 0)));
}

function show() {
  const field = document.querySelector("#matches input"); // what was typed there outlives a change from elsewhere
  const choice = make("select", { id: "rules", "aria-label": "game" }, ...rules.map((one) => make("option", { value: one.name }, one.title || one.name)));
  const chosen = document.querySelector("#rules");
  if (chosen) choice.value = chosen.value;
  if (document.activeElement === chosen && chosen) return; // not under somebody's hand
  const typing = field !== null && document.activeElement === field;
  body("matches").replaceChildren(
    make("div.row", {}, choice,
      make("button.main", { type: "button", id: "create", disabled: busy, onclick: () => create(choice.value) }, "New match")),
    matches.length === 0 ? make("p.soft", {}, "None yet.") : make("div.scroll", {}, make("table", {},
      make("thead", {}, make("tr", {}, ...["match", "game", "players", "state"].map((head) => make("th", {}, head)), make("th.number", {}, "moves"))),
      make("tbody", {}, ...matches.map(listRow)))),
    said ? make("p.bad", { role: "alert" }, said) : "",
    matchView());
  const input = document.querySelector("#matches input");
  if (field && input) {
    input.value = field.value;
    if (typing) input.focus();
  }
}
