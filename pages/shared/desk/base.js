// Small things that every part uses. Prompts are untrusted: text enters the page by textContent alone.

const PREFIX = "router-lab.desk.";

function el(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const button = (text, key, onclick, options = {}) =>
  el("button", { type: "button", onclick, "aria-keyshortcuts": key || null, ...options }, ...(key ? [el("kbd", { text: key }), " "] : []), el("span", { text }));

const percent = (value) => (value > 0 && value < 0.005 ? "< 1 %" : `${Math.round(100 * value)} %`);
const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
const shown = (state) =>
  (!state.routable ? "not routable" : state.domain || "no label") + (state.also.length ? ` (also ${state.also.join(", ")})` : "") + (state.flagged ? ", flagged" : "");
const same = (a, b) => a.domain === b.domain && a.routable === b.routable && a.flagged === b.flagged && a.also.join("\n") === b.also.join("\n");

// Letters and digits only, 8 to 64 of them: what the server takes as a session.
function randomName(bytes = 12) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One name a browser tab, the same after a reload: it holds the leases.
function tabName() {
  try {
    const known = sessionStorage.getItem(PREFIX + "tab");
    if (known) return known;
    const made = randomName();
    sessionStorage.setItem(PREFIX + "tab", made);
    return made;
  } catch {
    return randomName(); // storage is switched off: nothing outlives this page, and the status line says so
  }
}

// The element that has the focus, through shadow roots.
function focused() {
  let at = document.activeElement;
  while (at && at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
  return at;
}

const NOT_TEXT = new Set(["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"]);

function isField(node) {
  if (!node || !node.tagName) return false;
  if (node.isContentEditable || node.tagName === "TEXTAREA" || node.tagName === "SELECT") return true;
  return node.tagName === "INPUT" && !NOT_TEXT.has(node.type);
}
