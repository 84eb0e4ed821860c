// JSON text as a tree that folds, exactly as it was written: numbers and repeated names are not normalised.

// The same table as `_INVISIBLE` in formatting.py.
const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]|\udb40[\udc00-\udc7f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;
const LONG = 2000;
const CLOSING = { "{": "}", "[": "]" };

// Everything on the page is made here: elements by name, text as text nodes.
function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = visible(text);
  return element;
}

function visible(text) {
  return text.replace(INVISIBLE, (each) => [...Array(each.length).keys()]
    .map((at) => "\\u" + each.charCodeAt(at).toString(16).padStart(4, "0")).join(""));
}

// A long string shows its start, and a button for the rest.
function value(token) {
  if (token.length <= LONG) return make("span", token.startsWith('"') ? "string" : "literal", token);
  const whole = make("span", "string", token.slice(0, LONG));
  const rest = make("button", "more", `… ${(token.length - LONG).toLocaleString("en")} more characters`);
  rest.type = "button";
  rest.addEventListener("click", () => whole.replaceChildren(document.createTextNode(visible(token))));
  whole.append(rest);
  return whole;
}

function isJSON(text) {
  try { JSON.parse(text); return true; } catch { return false; }
}

// The value of a JSON string token, for pointers.
function unquote(token) {
  try { return JSON.parse(token); } catch { return token; }
}

function step(name) {
  return "/" + String(name).replaceAll("~", "~0").replaceAll("/", "~1");
}

// Fills `target` with the tree of `text`; returns its elements by JSON Pointer.
function tree(target, text) {
  const elements = new Map();
  const tokens = text.match(TOKEN) || [];
  let holder = { element: target, pointer: "", count: 0, list: false };
  const holders = [];
  let name = null;
  target.replaceChildren();
  target.classList.add("tree");
  tokens.forEach((token, at) => {
    if (token === ":" || token === ",") return;
    if (token === "}" || token === "]") {
      if (holders.length) holder = close(holders, holder, token, tokens[at + 1] === ",");
      return;
    }
    if (name === null && !holder.list && holders.length && tokens[at + 1] === ":") { name = token; return; }
    const own = holders.length ? holder.pointer + step(name === null ? holder.count : unquote(name)) : "";
    const label = name === null ? [] : [make("span", "name", name), document.createTextNode(": ")];
    name = null;
    holder.count += 1;
    if (token in CLOSING && tokens[at + 1] !== CLOSING[token]) {
      const branch = make("details", "branch");
      const summary = make("summary");
      summary.append(...label, document.createTextNode(token));
      const members = make("div", "members");
      branch.open = true;
      branch.append(summary, members);
      holder.element.append(branch);
      elements.set(own, summary);
      holders.push(holder);
      holder = { element: members, pointer: own, count: 0, list: token === "[", branch, summary };
      return;
    }
    const leaf = make("span", "leaf");
    const empty = token in CLOSING ? document.createTextNode(token + CLOSING[token]) : value(token);
    const after = token in CLOSING ? tokens[at + 2] : tokens[at + 1];
    leaf.append(...label, empty, after === "," ? "," : "");
    holder.element.append(leaf);
    elements.set(own, leaf);
    if (token in CLOSING) { holders.push(holder); holder = { empty: true }; }
  });
  return elements;
}

function close(holders, holder, token, comma) {
  const outer = holders.pop();
  if (holder.empty) return outer;
  holder.summary.dataset.folded = ` … ${token}${comma ? "," : ""}  ${holder.count}`;
  holder.branch.append(make("span", "leaf", token + (comma ? "," : "")));
  return outer;
}

// Pins findings to the elements that they point to, or to the nearest one that exists.
function pin(elements, findings) {
  for (const each of findings) {
    let pointer = each.pointer;
    while (pointer && !elements.has(pointer)) pointer = pointer.slice(0, pointer.lastIndexOf("/"));
    const element = elements.get(pointer);
    if (!element) continue;
    element.classList.add("pinned", each.severity);
    const badge = make("span", `pin badge ${each.severity}`, each.rule);
    badge.title = visible(each.message);
    element.append(badge);
    each.target = element;
  }
}

// Opens all parents of an element and scrolls to it.
function reveal(element) {
  for (let outer = element.parentElement; outer; outer = outer.parentElement) {
    if (outer.tagName === "DETAILS") outer.open = true;
  }
  document.querySelectorAll(".reached").forEach((each) => each.classList.remove("reached"));
  element.classList.add("reached");
  element.scrollIntoView({ block: "nearest" });
}
