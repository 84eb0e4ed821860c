// The inspector under a timeline: the event at the cursor, its neighbours, and the text up to it.

const SVG = "http://www.w3.org/2000/svg";
const AROUND = 6;
const WIDEST = 64;
// Characters shown before the newest text: laying out all of it for each event would be slow.
const TAIL = 1500;

class Inspector {
  constructor(section, findings) {
    this.data = JSON.parse(section.querySelector("script.events").textContent);
    this.findings = findings;
    this.scroller = section.querySelector(".scroller");
    this.canvas = section.querySelector(".canvas");
    this.picture = section.querySelector("svg.timeline");
    const track = make("div", "cursor-track");
    this.cursor = make("div", "cursor");
    track.append(this.cursor);
    this.canvas.append(track);
    const built = document.getElementById("inspector").content.cloneNode(true).firstElementChild;
    section.querySelector("figure").append(built);
    this.output = built.querySelector("output");
    this.near = built.querySelector(".near");
    this.event = built.querySelector(".event");
    this.soFar = built.querySelector(".text-so-far");
    this.at = 0;
    this.zoom = 1;
    this.withFindings = this.eventsWithFindings();
    built.querySelector('[data-do="finding"]').hidden = !this.withFindings.size;
    this.lengths = this.textLengths();
    this.listen(built);
    const first = this.withFindings.keys().next();
    this.show(first.done ? 0 : first.value, false);
  }

  get count() { return this.data.x.length; }

  eventsWithFindings() {
    const rows = new Map();
    this.data.number.forEach((number, row) => { if (number >= 0) rows.set(number, row); });
    const withFindings = new Map();
    const found = this.findings.filter((each) => each.part === "stream")
      .map((each) => [each.event === null ? this.count - 1 : rows.get(each.event) ?? this.count - 1, each]);
    for (const [row, each] of found.sort((one, other) => one[0] - other[0])) {
      if (!withFindings.has(row)) withFindings.set(row, []);
      withFindings.get(row).push(each);
    }
    return withFindings;
  }

  // The length of the lane's text after each event.
  textLengths() {
    const lengths = this.data.lanes.map(() => 0);
    return this.data.added.map((added, row) => (lengths[this.data.lane[row]] += added));
  }

  listen(built) {
    const scroller = this.scroller;
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "slider");
    scroller.setAttribute("aria-label", "Event");
    scroller.setAttribute("aria-valuemin", "1");
    scroller.setAttribute("aria-valuemax", String(this.count));
    scroller.addEventListener("keydown", (event) => this.key(event));
    let waiting = false;
    scroller.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch" || waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; this.show(this.nearest(event), false); });
    });
    scroller.addEventListener("click", (event) => this.show(this.nearest(event), false));
    built.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) this.act(button.dataset.do);
      const row = event.target.closest("[data-row]");
      if (row) this.show(Number(row.dataset.row));
    });
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };
    const stretch = { "+": "wider", "=": "wider", "-": "narrower", "−": "narrower" }[event.key];
    if (event.key in moves) this.show(this.at + moves[event.key]);
    else if (event.key === "Home") this.show(0);
    else if (event.key === "End") this.show(this.count - 1);
    else if (stretch) this.act(stretch);
    else return;
    event.preventDefault();
  }

  act(what) {
    if (what === "previous") this.show(this.at - 1);
    else if (what === "next") this.show(this.at + 1);
    else if (what === "finding") this.nextFinding();
    else this.stretch(what === "wider" ? 2 : 0.5);
  }

  nextFinding() {
    const rows = [...this.withFindings.keys()];
    if (rows.length) this.show(rows.find((row) => row > this.at) ?? rows[0]);
  }

  stretch(by) {
    this.zoom = Math.min(WIDEST, Math.max(1, this.zoom * by));
    this.canvas.style.width = `${this.zoom * 100}%`;
    this.axis();
    this.scrollTo();
  }

  // Labels the axis with as many times as the stretched picture has room for.
  axis() {
    const old = [...this.picture.querySelectorAll(".time")];
    const whole = this.data.timed ? Math.max(...this.data.at) : this.count - 1;
    if (!(whole > 0)) return;
    const least = whole / (6 * this.zoom);
    const tens = 10 ** Math.floor(Math.log10(least));
    let step = tens * [1, 2, 5, 10].find((each) => each * tens >= least);
    if (!this.data.timed) step = Math.max(1, Math.round(step));
    for (let at = 0; at <= whole; at += step) {
      const label = old[0].cloneNode();
      label.setAttribute("x", `${at / whole * 100}%`);
      label.setAttribute("text-anchor", at ? at / whole > 1 - 0.04 / this.zoom ? "end" : "middle" : "start");
      label.textContent = this.data.timed ? (at ? time(Number(at.toPrecision(6))) : "0") : String(at);
      this.picture.append(label);
    }
    old.forEach((each) => each.remove());
  }

  // The event nearest to a point, preferably in the lane under it.
  nearest(event) {
    const box = this.picture.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const lane = Math.floor((event.clientY - box.top) / this.data.step);
    const reach = 12 / box.width;
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.data.x[middle] < x) low = middle + 1; else high = middle;
    }
    let best = Math.min(low, this.count - 1);
    let distance = Infinity;
    for (let row = low; row < this.count && this.data.x[row] - x <= reach; row += 1) consider(this.data, row);
    for (let row = low - 1; row >= 0 && x - this.data.x[row] <= reach; row -= 1) consider(this.data, row);
    function consider(data, row) {
      const away = Math.abs(data.x[row] - x) + (data.lane[row] === lane ? 0 : reach);
      if (away < distance) [best, distance] = [row, away];
    }
    if (distance === Infinity && low > 0 && (low === this.count || x - this.data.x[low - 1] < this.data.x[low] - x)) {
      best = low - 1;
    }
    return best;
  }

  show(row, follow = true) {
    const data = this.data;
    this.at = row = Math.min(this.count - 1, Math.max(0, row));
    this.cursor.style.left = `${data.x[row] * 100}%`;
    const description = this.describe(row);
    this.output.textContent = description;
    this.scroller.setAttribute("aria-valuenow", String(row + 1));
    this.scroller.setAttribute("aria-valuetext", description);
    this.around(row);
    this.json(row);
    this.text(row);
    if (follow) this.scrollTo();
  }

  scrollTo() {
    if (this.zoom === 1) return;
    const position = this.data.x[this.at] * this.canvas.clientWidth;
    const left = this.scroller.scrollLeft;
    const width = this.scroller.clientWidth;
    if (position < left + 40 || position > left + width - 40) this.scroller.scrollLeft = position - width / 2;
  }

  describe(row) {
    const data = this.data;
    const number = data.number[row] < 0 ? "not an event" : `event ${data.number[row]}`;
    const at = data.at[row] === null ? "" : ` · at ${time(data.at[row])}`;
    return `${number} · ${visible(data.types[data.type[row]])}${at} · ${visible(data.lanes[data.lane[row]].label)}`;
  }

  around(row) {
    const first = Math.max(0, Math.min(row - AROUND, this.count - 2 * AROUND - 1));
    const last = Math.min(this.count, first + 2 * AROUND + 1);
    const rows = [];
    for (let each = first; each < last; each += 1) rows.push(this.row(each, each === row));
    this.near.replaceChildren(...rows);
  }

  row(row, isCurrent) {
    const data = this.data;
    const item = make("li");
    item.dataset.row = String(row);
    if (isCurrent) item.setAttribute("aria-current", "true");
    item.append(make("span", "event-number", data.number[row] < 0 ? "–" : String(data.number[row])));
    item.append(drawing("path", `tick ${data.kinds[data.kind[row]]}`, { d: "M3 14V2" }));
    item.append(make("span", "type", data.types[data.type[row]].replace(/^response\./, "")));
    const worst = this.withFindings.get(row);
    if (worst) {
      const icon = drawing("use", "", { href: `#mark-${worst[0].severity}`, width: "12", height: "12" });
      icon.setAttribute("class", `glyph ${worst[0].severity}`);
      item.append(icon);
    }
    if (row && data.at[row] !== null && data.at[row - 1] !== null) {
      item.append(make("span", "since", `+${time(data.at[row] - data.at[row - 1])}`));
    }
    return item;
  }

  json(row) {
    const text = this.data.data[row];
    if (!isJSON(text)) {
      this.event.classList.remove("tree");
      this.event.textContent = visible(text);
      return;
    }
    const elements = tree(this.event, text);
    pin(elements, (this.withFindings.get(row) || []).filter((each) => each.event !== null));
  }

  text(row) {
    const lane = this.data.lanes[this.data.lane[row]];
    const end = this.lengths[row];
    const start = end - this.data.added[row];
    const first = Math.max(0, start - TAIL);
    const cut = first ? `… ${first.toLocaleString("en")} characters …\n` : "";
    const added = make("ins", "", lane.text.slice(start, end));
    this.soFar.replaceChildren(document.createTextNode(cut + visible(lane.text.slice(first, start))), added);
    this.soFar.scrollTop = this.soFar.scrollHeight;
  }
}

function drawing(name, className, attributes) {
  const svg = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, name);
  if (className) shape.setAttribute("class", className);
  for (const [key, each] of Object.entries(attributes)) shape.setAttribute(key, each);
  svg.setAttribute("aria-hidden", "true");
  svg.append(shape);
  return svg;
}

function time(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms >= 100 ? ms.toFixed(0) : Number(ms.toPrecision(3))} ms`;
}
