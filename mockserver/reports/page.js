// The page: exchanges are built when they open; filters, keyboard shortcuts, sortable tables.

const all = [...document.querySelectorAll(".exchange")];
const inspectors = new WeakMap();
const filter = document.getElementById("filter");
const help = document.querySelector("dialog");
const only = new Set();

function findingsOf(exchange) {
  return [...exchange.querySelectorAll(".finding")].map((element) => ({
    element,
    part: element.dataset.part,
    event: element.dataset.event === undefined ? null : Number(element.dataset.event),
    pointer: element.dataset.pointer,
    severity: [...element.classList].find((each) => each !== "finding"),
    rule: element.querySelector(".rule").textContent,
    message: element.querySelector(".message").textContent,
  }));
}

// The findings in a body, including those in the response of the event from which a stream's reply is taken.
function findingsIn(side, findings) {
  const within = (each) => each.part === "stream" && side.dataset.event === String(each.event)
    && each.pointer.startsWith("/response");
  return findings.filter((each) => each.part === side.dataset.part)
    .concat(findings.filter(within).map((each) => ({ ...each, pointer: each.pointer.slice("/response".length) })));
}

// Builds the content of an exchange when it is first opened.
function build(exchange) {
  if (inspectors.has(exchange)) return;
  const findings = findingsOf(exchange);
  const built = { findings, inspector: null };
  inspectors.set(exchange, built);
  for (const side of exchange.querySelectorAll(".side")) {
    const pre = side.querySelector("pre.json");
    if (pre) pin(tree(pre, pre.textContent), findingsIn(side, findings));
  }
  const stream = exchange.querySelector(".stream");
  if (stream) built.inspector = new Inspector(stream, findings);
  for (const each of findings) {
    const button = each.element.querySelector("button.location");
    if (button) button.addEventListener("click", () => go(exchange, each));
  }
}

function go(exchange, finding) {
  exchange.open = true;
  build(exchange);
  document.querySelectorAll(".finding.current").forEach((each) => each.classList.remove("current"));
  const { inspector, findings } = inspectors.get(exchange);
  const own = findings.find((each) => each.element === finding.element);
  own.element.classList.add("current");
  if (own.part === "stream" && inspector) {
    const row = [...inspector.withFindings].find(([, listed]) => listed.includes(own));
    if (row) inspector.show(row[0]);
    inspector.scroller.focus({ preventScroll: true });
    inspector.scroller.scrollIntoView({ block: "nearest" });
    if (own.target) own.target.classList.add("reached");
  } else if (own.target) reveal(own.target);
  else own.element.scrollIntoView({ block: "nearest" });
}

for (const exchange of all) {
  exchange.addEventListener("toggle", () => { if (exchange.open) build(exchange); });
  if (exchange.open) build(exchange);
}

// Filters.

const haystacks = new Map();

function haystack(exchange) {
  if (!haystacks.has(exchange)) {
    const parts = exchange.querySelectorAll(":scope > summary, .finding, .details, .side pre");
    haystacks.set(exchange, [...parts].map((each) => each.textContent).join("\n").toLowerCase());
  }
  return haystacks.get(exchange);
}

function filterExchanges() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const exchange of all) {
    const fits = (!only.size || only.has(exchange.dataset.severity))
      && words.every((word) => haystack(exchange).includes(word));
    exchange.hidden = !fits;
    shown += fits;
  }
  document.querySelector(".filters output").textContent = shown === all.length ? "" : `${shown} of ${all.length}`;
}

let filterTimer = 0;
filter.addEventListener("input", () => { clearTimeout(filterTimer); filterTimer = setTimeout(filterExchanges, 80); });
for (const button of document.querySelectorAll(".choices button")) {
  button.addEventListener("click", () => {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pressed));
    if (pressed) only.add(button.dataset.severity); else only.delete(button.dataset.severity);
    filterExchanges();
  });
}
document.querySelector(".filters").hidden = false;

// Keys.

function currentExchange() {
  return document.activeElement ? document.activeElement.closest(".exchange") : null;
}

function move(by) {
  const shown = all.filter((each) => !each.hidden);
  const at = shown.indexOf(currentExchange());
  const next = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(shown.length - 1, Math.max(0, at + by))];
  if (next) focusOn(next.querySelector("summary"));
}

function focusOn(element) {
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

function moveFinding(by) {
  const shown = all.filter((each) => !each.hidden)
    .flatMap((exchange) => [...exchange.querySelectorAll(".finding")].map((element) => [exchange, element]));
  if (!shown.length) return;
  const at = shown.findIndex(([, element]) => element.classList.contains("current"));
  const next = at < 0 ? (by > 0 ? 0 : shown.length - 1) : (at + by + shown.length) % shown.length;
  const [exchange, element] = shown[next];
  go(exchange, { element });
  element.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  n: () => moveFinding(1),
  N: () => moveFinding(-1),
  "/": () => focusOn(filter),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || help.open) return;
  if (event.target === filter) {
    if (event.key === "Escape") { filter.value = ""; filterExchanges(); filter.blur(); event.preventDefault(); }
    if (event.key === "Enter") { filterExchanges(); move(1); event.preventDefault(); }
    return;
  }
  if (event.key === "Escape" && (filter.value || only.size)) {
    filter.value = "";
    only.clear();
    document.querySelectorAll(".choices button").forEach((each) => each.setAttribute("aria-pressed", "false"));
    filterExchanges();
  } else if (event.key in KEYS) {
    KEYS[event.key]();
    event.preventDefault();
  }
});
document.querySelector(".help").addEventListener("click", () => help.showModal());

// Tables that sort by the column whose heading is clicked.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", "", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
      rows.sort(([one], [other]) => (typeof one === "number" ? one - other : one.localeCompare(other)) * (up ? 1 : -1));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

function key(cell) {
  const summary = cell.querySelector("summary");
  const text = (summary || cell).textContent.trim();
  const number = Number(text.replace(/[,%]/g, ""));
  return cell.matches(".number, .share") && !Number.isNaN(number) ? number : text;
}

document.querySelectorAll("table.sortable").forEach(sortable);

// The coverage filter: matching rows stay, and open.

function filterCoverage(input) {
  const word = input.value.trim().toLowerCase();
  for (const row of document.querySelectorAll(".covered tbody tr")) {
    const details = row.querySelector("details");
    const whole = details.querySelector("summary").textContent.toLowerCase().includes(word);
    let some = false;
    for (const name of details.querySelectorAll("li")) {
      name.hidden = !whole && !name.textContent.toLowerCase().includes(word);
      some ||= !name.hidden;
    }
    for (const list of details.querySelectorAll(".seen, .unseen")) {
      list.hidden = !list.querySelector("li:not([hidden])");
    }
    row.hidden = !some;
    details.open = word !== "" && some && !whole;
  }
}

const coverageFilter = document.querySelector(".coverage-filter");
if (coverageFilter) {
  coverageFilter.hidden = false;
  coverageFilter.addEventListener("input", () => filterCoverage(coverageFilter));
  coverageFilter.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { coverageFilter.value = ""; filterCoverage(coverageFilter); }
    event.stopPropagation();
  });
}
