// How the page asks its node: the Connect protocol over fetch, in JSON. Unary calls, and the one stream of events.

let token = sessionStorage.getItem("fts.token") || "";

export function setToken(text) {
  token = text.trim();
  if (token) sessionStorage.setItem("fts.token", token);
  else sessionStorage.removeItem("fts.token");
}

export function hasToken() {
  return token !== "";
}

// What a call was refused with: code as the protocol spells it ("not_found"), message for people.
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

function headers(type) {
  const all = { "Content-Type": type, "Connect-Protocol-Version": "1" };
  if (token) all.Authorization = "Bearer " + token;
  return all;
}

export async function call(method, message = {}, timeoutMs = 6000) {
  const all = headers("application/json");
  all["Connect-Timeout-Ms"] = String(timeoutMs);
  let answer;
  try {
    answer = await fetch("/" + method, {
      method: "POST",
      headers: all,
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(timeoutMs + 2000),
    });
  } catch (error) {
    throw new Refused("unavailable", "the node that serves this page does not answer");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(body.code || "unknown", body.message || answer.statusText);
  return body;
}

// ---- Events ----

const SILENCE_MS = 15000; // the node says something every 5 s

function envelope(message) {
  const text = new TextEncoder().encode(JSON.stringify(message));
  const bytes = new Uint8Array(5 + text.length);
  new DataView(bytes.buffer).setUint32(1, text.length);
  bytes.set(text, 5);
  return bytes;
}

// Complete envelopes at the front of bytes go to onMessage(flags, value); returns what is left.
function takeEnvelopes(bytes, onMessage) {
  let at = 0;
  while (bytes.length - at >= 5) {
    const size = new DataView(bytes.buffer, bytes.byteOffset + at + 1, 4).getUint32(0);
    if (bytes.length - at - 5 < size) break;
    const text = new TextDecoder().decode(bytes.subarray(at + 5, at + 5 + size));
    onMessage(bytes[at], JSON.parse(text || "{}"));
    at += 5 + size;
  }
  return bytes.slice(at);
}

function joined(left, right) {
  const all = new Uint8Array(left.length + right.length);
  all.set(left);
  all.set(right, left.length);
  return all;
}

// One connection, until it ends. place: {index, ordinal} of the last event seen, moved along.
async function listen(place, onEvent, onUp) {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), SILENCE_MS);
  const answer = await fetch("/fts.http.v1.Events/Subscribe", {
    method: "POST",
    headers: headers("application/connect+json"),
    body: envelope({ fromIndex: String(place.index), json: true }),
    signal: stop.signal,
  });
  if (!answer.ok || !answer.body) throw new Refused("unavailable", "no events: HTTP " + answer.status);
  const reader = answer.body.getReader();
  let rest = new Uint8Array(0);
  let end = null;
  const onMessage = (flags, message) => {
    if (flags & 2) end = message.error ? new Refused(message.error.code, message.error.message) : null;
    else if (message.notice) onUp(message.notice);
    else take(place, message, onEvent);
  };
  try {
    for (;;) {
      const piece = await reader.read();
      if (piece.done) break;
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENCE_MS);
      rest = takeEnvelopes(joined(rest, piece.value), onMessage);
    }
  } finally {
    clearTimeout(timer);
  }
  if (end) throw end;
}

// After a new connection some events come again: they are known by their place.
function take(place, message, onEvent) {
  const index = Number(message.index || 0);
  const ordinal = message.ordinal || 0;
  if (index !== 0 && (index < place.index || (index === place.index && ordinal <= place.ordinal))) return;
  if (index !== 0) Object.assign(place, { index, ordinal });
  onEvent({
    index,
    topic: message.topic || "",
    lost: Number(message.lost || 0),
    event: message.json ? JSON.parse(message.json) : {},
  });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// For as long as the page is open. onState("up" | "wait" | "down", why).
export async function follow(onEvent, onState) {
  const place = { index: 0, ordinal: -1 };
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 4000)) {
    try {
      await listen(place, onEvent, (notice) => {
        if (notice === "up" || notice === "alive") {
          waitMs = 250;
          onState("up", "");
        } else onState("wait", "looking for a node that publishes");
      });
      onState("wait", "the stream has ended");
    } catch (error) {
      onState("down", error instanceof Refused ? error.message : "the node that serves this page does not answer");
    }
    await pause(waitMs);
  }
}
