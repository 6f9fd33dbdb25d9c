// Small helpers for what every section does: make elements out of data, never out of markup, so that no name of a draw
// or a player can be anything but text.

// make("p.soft", {title: "x"}, "text", child, ...)
export function make(what, attributes = {}, ...children) {
  const [name, ...classes] = what.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function body(section) {
  return document.querySelector("#" + section + " .body");
}

// A table of rows (arrays of text or elements); heads that start with "#" are numbers.
export function table(heads, rows) {
  const kind = heads.map((head) => (head.startsWith("#") ? ".number" : ""));
  return make("div.scroll", {}, make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((head, i) => make("th" + kind[i], {}, head.replace("#", ""))))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make("td" + kind[i], {}, cell)))))));
}

export const count = (value) => Number(value || 0).toLocaleString("en").replaceAll(",", "\u202f");

export function size(bytes) {
  let value = Number(bytes || 0);
  for (const unit of ["B", "KB", "MB", "GB", "TB"]) {
    if (value < 1000 || unit === "TB") return (value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)) + " " + unit;
    value /= 1000;
  }
}

export function span(ms) {
  const value = Number(ms || 0);
  if (value < 1000) return value + " ms";
  return value < 120000 ? (value / 1000).toFixed(1) + " s" : Math.round(value / 60000) + " min";
}

// The service is there or not, and the caller may or may not: said in words where the section is.
export function explain(error) {
  if (error.code === "unimplemented") return "not served by this node";
  if (error.code === "unauthenticated" || error.code === "permission_denied") return error.message + " (give a token above)";
  return error.message;
}
