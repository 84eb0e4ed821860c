// The console: a live list of requests, one exchange in detail, and what the server answers next.

import { html, render, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./preact.js";

const ROOT = "/_mock/console";
const ROW_HEIGHT = 44;
const MAX_ROWS = 5000;
const MARGIN = 2;
const SEVERITIES = { error: "✕", warning: "!", info: "i" };

const prefixOf = (session) => (session === "default" ? "" : `/s/${encodeURIComponent(session)}`);

// Calls the server. A refusal becomes an Error with the server's own message.
async function call(method, path, value) {
  const reply = await fetch(path, {
    method,
    headers: { "x-mock-console": "1", "content-type": "application/json" },
    body: value === undefined ? undefined : JSON.stringify(value),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(messageOf(text) || `the server answered ${reply.status}`);
  return reply.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text;
}

function messageOf(text) {
  try {
    const value = JSON.parse(text);
    return value.message || value.error?.message || "";
  } catch {
    return text;
  }
}

// Rows by key, in the order of arrival, at most MAX_ROWS.
class Rows {
  constructor() { this.byKey = new Map(); }

  merge(rows) {
    for (const row of rows) {
      row.key = `${row.session}/${row.number}`;
      this.byKey.set(row.key, row);
    }
    for (const key of this.byKey.keys()) {
      if (this.byKey.size <= MAX_ROWS) break;
      this.byKey.delete(key);
    }
  }

  remove(session) {
    for (const [key, row] of this.byKey) if (row.session === session) this.byKey.delete(key);
  }

  clear() { this.byKey.clear(); }

  list() { return [...this.byKey.values()]; }
}

function useFeed(isPaused) {
  const [rows, setRows] = useState([]);
  const [connection, setConnection] = useState("connecting");
  const known = useRef(new Rows());
  const paused = useRef(isPaused);
  paused.current = isPaused;
  const show = () => { if (!paused.current) setRows(known.current.list()); };
  useEffect(show, [isPaused]);
  useEffect(() => {
    const source = new EventSource(`${ROOT}/feed`);
    source.addEventListener("hello", () => { known.current.clear(); setConnection("live"); });
    source.addEventListener("reset", (event) => { known.current.remove(JSON.parse(event.data).session); show(); });
    source.addEventListener("rows", (event) => { known.current.merge(JSON.parse(event.data)); show(); });
    source.addEventListener("error", () => setConnection("disconnected"));
    return () => source.close();
  }, []);
  const clear = () => { known.current.clear(); setRows([]); };
  return { rows, connection, clear };
}

// The choices above the list: what a row has for each, and the choice that stands for any of them.
const CHOICES = {
  status: { label: "Status", of: (row) => [statusOf(row)] },
  session: { label: "Session", of: (row) => [row.session] },
  finding: { label: "Finding", of: (row) => row.rules, some: "With findings", none: "Without findings" },
  fault: { label: "Fault", of: (row) => (row.fault ? [row.fault] : []), some: "With a fault", none: "Without a fault" },
};
const NOTHING_CHOSEN = Object.fromEntries(Object.keys(CHOICES).map((name) => [name, ""]));
const SOME = "+", NONE = "-";
const statusOf = (row) => (row.status ? String(row.status) : "cut");

function fits(chosen, values) {
  if (chosen === SOME) return values.length > 0;
  if (chosen === NONE) return values.length === 0;
  return values.includes(chosen);
}

function matches(row, words, only, chosen) {
  if (only === "errors" && row.status < 400 && row.severity !== "error") return false;
  if (only === "streams" && !row.stream) return false;
  for (const name in CHOICES) if (chosen[name] && !fits(chosen[name], CHOICES[name].of(row))) return false;
  if (!words.length) return true;
  const text = [row.session, row.method, row.path, row.model, row.prompt, row.status, row.stub, row.fault, ...row.rules]
    .join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function valuesOf(rows, of) {
  const values = new Set();
  for (const row of rows) for (const value of of(row)) values.add(value);
  return [...values].sort();
}

function Choice({ name, rows, chosen, onChoose }) {
  const { label, of, some, none } = CHOICES[name];
  // What was chosen stays a choice when its rows are gone.
  const values = useMemo(() => valuesOf(rows, of), [rows]);
  if (chosen && chosen !== SOME && chosen !== NONE && !values.includes(chosen)) values.push(chosen);
  return html`
    <select name=${name} aria-label=${label} aria-controls="requests" value=${chosen} class=${chosen ? "chosen" : ""}
      onChange=${(event) => onChoose(event.target.value)}>
      <option value="">${label}</option>
      ${some && html`<option value=${SOME}>${some}</option><option value=${NONE}>${none}</option>`}
      ${values.map((value) => html`<option key=${value} value=${value}>${value}</option>`)}
    </select>`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function formatDuration(seconds) {
  if (seconds === null) return "…";
  return seconds >= 1 ? `${seconds.toFixed(2)} s` : `${Math.round(seconds * 1000)} ms`;
}

const ROW_TEMPLATE = document.createElement("template");
ROW_TEMPLATE.innerHTML = `<div class="row" role="option"><span class="time"></span><span class="method soft"></span
  ><span class="what"><bdi></bdi><span class="soft"></span></span><span></span
  ><span class="findings"><span></span><span class="warning"></span></span><span class="duration soft"></span></div>`;

// Changes only what differs: most statuses and models are those of the row before.
function write(element, text, className = element.className) {
  if (element.className !== className) element.className = className;
  if (!element.firstChild) element.append(text);
  else if (element.firstChild.data !== text) element.firstChild.data = text;
}

// An element that shows one row after another, which costs much less than a new element for each.
class RowElement {
  constructor() {
    this.node = ROW_TEMPLATE.content.firstElementChild.cloneNode(true);
    const [time, method, what, status, findings, duration] = this.node.children;
    const [prompt, about] = what.children, [finding, fault] = findings.children;
    this.parts = { time, method, what, prompt, about, status, finding, fault, duration };
    this.shown = {};
  }

  show(row, index, { rows, selected, hasSessions }) {
    const { node, shown } = this, isSelected = row.key === selected;
    if (shown.index !== index) {
      node.style.top = `${index * ROW_HEIGHT}px`;
      node.setAttribute("aria-posinset", index + 1);
    }
    if (shown.count !== rows.length) node.setAttribute("aria-setsize", rows.length);
    if (shown.isSelected !== isSelected) node.setAttribute("aria-selected", isSelected);
    if (shown.row !== row || shown.hasSessions !== hasSessions) this.write(row, hasSessions);
    this.shown = { row, index, isSelected, hasSessions, count: rows.length };
  }

  write(row, hasSessions) {
    const { time, method, what, prompt, about, status, finding, fault, duration } = this.parts;
    const more = row.findings > 1 ? ` +${row.findings - 1}` : "";
    this.node.id = `row-${row.key}`;
    what.title = `${row.prompt || row.path}\n${row.model}\nsession ${row.session}`;
    write(time, clock.format(row.at * 1000));
    write(method, row.method);
    write(prompt, row.prompt || row.path);
    write(about, hasSessions ? `${row.session} · ${row.model}` : row.model);
    write(status, statusOf(row), row.status === 0 || row.status >= 400 ? "status error" : "status good");
    write(finding, row.severity ? `${SEVERITIES[row.severity]} ${row.rules[0]}${more}` : "", row.severity || "");
    write(fault, row.fault || "");
    write(duration, `${row.stream ? "⇉ " : ""}${formatDuration(row.duration)}`);
  }
}

// The rows in and around the view. Scrolling writes to their elements, and renders nothing else.
class DrawnRows {
  constructor(box, space) {
    Object.assign(this, { box, space, elements: [], top: 0, height: 0, first: 0, scrollTimer: 0, content: { rows: [] } });
  }

  // With `staysInPlace` the first row in view keeps its place when rows above it come or go.
  show(content, staysInPlace) {
    const { rows } = this.content, at = Math.floor(this.top / ROW_HEIGHT);
    const key = staysInPlace && content.rows !== rows ? rows[at]?.key : undefined;
    this.content = content;
    this.space.style.height = `${content.rows.length * ROW_HEIGHT}px`;
    if (key !== undefined && content.rows[at]?.key !== key) {
      const index = content.rows.findIndex((row) => row.key === key);
      if (index >= 0) this.box.scrollTop = this.top += (index - at) * ROW_HEIGHT;
    }
    this.draw();
    if (!this.scrollTimer) this.sort();
  }

  resize(height) {
    this.height = height;
    this.draw();
    if (!this.scrollTimer) this.sort();
  }

  scroll(top) {
    const moved = top - this.top;
    this.top = top;
    this.draw(moved);
    clearTimeout(this.scrollTimer);
    this.scrollTimer = setTimeout(() => { this.scrollTimer = 0; this.sort(); }, 150);
  }

  // Draws two views of rows: the one in view, and the one that the movement comes to; at rest half a view on each side.
  draw(moved = 0) {
    const { rows } = this.content, { elements } = this;
    const inView = Math.ceil(this.height / ROW_HEIGHT) + 1, count = Math.min(2 * (inView + MARGIN), rows.length);
    const before = moved > 0 ? MARGIN : moved < 0 ? inView + MARGIN : inView >> 1;
    this.first = Math.max(0, Math.min(rows.length - count, Math.floor(this.top / ROW_HEIGHT) - before));
    while (elements.length > count) elements.pop().node.remove();
    while (elements.length < count) this.space.append(elements[elements.push(new RowElement()) - 1].node);
    // A row that stays drawn keeps its element.
    for (let index = this.first; index < this.first + count; index++) elements[index % count].show(rows[index], index, this.content);
    this.markActive();
  }

  markActive() {
    const active = this.elements.find((each) => each.shown.isSelected)?.node.id;
    if (this.active === active) return;
    this.active = active;
    if (active) this.box.setAttribute("aria-activedescendant", active);
    else this.box.removeAttribute("aria-activedescendant");
  }

  // Puts the elements in the order of the rows, for screen readers. Moving elements is slow, so it waits for the end of a scroll.
  sort() {
    const { space, elements } = this;
    if (!elements.length) return;
    const { node } = elements[this.first % elements.length];
    while (space.firstChild !== node) space.append(space.firstChild);
  }
}

// The keys of the list: which row follows the one at an index (-1: none is chosen).
const down = (at) => at + 1, up = (at, count) => (at < 0 ? count : at) - 1;
const STEPS = {
  ArrowDown: down, j: down, ArrowUp: up, k: up,
  Home: () => 0, End: (at, count) => count - 1, PageDown: (at) => at + 10, PageUp: (at) => at - 10,
};

function List({ rows, isFiltered, selected, onSelect }) {
  const box = useRef(null), space = useRef(null), drawn = useRef(null);
  const follows = useRef(true);
  // With one session, its name says nothing.
  const hasSessions = useMemo(() => rows.some((row) => row.session !== "default"), [rows]);
  useLayoutEffect(() => {
    drawn.current = new DrawnRows(box.current, space.current);
    const observer = new ResizeObserver(() => drawn.current.resize(box.current.clientHeight));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => drawn.current.show({ rows, selected, hasSessions }, !follows.current), [rows, selected, hasSessions]);
  useLayoutEffect(() => {
    if (follows.current) box.current.scrollTop = box.current.scrollHeight;
  }, [rows.length]);
  const scrolled = () => {
    const { scrollTop } = box.current, { height, top } = drawn.current;
    // Rows that arrive move the end away; only the user moves up.
    if (scrollTop + height >= (rows.length - 1) * ROW_HEIGHT) follows.current = true;
    else if (scrollTop < top) follows.current = false;
    drawn.current.scroll(scrollTop);
  };
  const move = (step) => {
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.key === selected);
    const index = Math.max(0, Math.min(rows.length - 1, step(at)));
    onSelect(rows[index].key);
    const { clientHeight, scrollTop } = box.current;
    if (index * ROW_HEIGHT < scrollTop) box.current.scrollTop = index * ROW_HEIGHT;
    if ((index + 1) * ROW_HEIGHT > scrollTop + clientHeight) box.current.scrollTop = (index + 1) * ROW_HEIGHT - clientHeight;
  };
  const pressed = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !STEPS[event.key]) return;
    move((at) => STEPS[event.key](at, rows.length));
    event.preventDefault();
  };
  const clicked = (event) => {
    const id = event.target.closest(".row")?.id;
    if (id) onSelect(id.slice("row-".length));
  };
  return html`
    <div class="rows" id="requests" ref=${box} tabindex="0" role="listbox" aria-label="Requests" onScroll=${scrolled} onKeyDown=${pressed} onClick=${clicked}>
      <div class="space" role="none" ref=${space}></div>
      ${!rows.length && html`<p class="empty">${isFiltered ? "No request has all of this." : "No requests. Send one to the base URL, or use “Try it”."}</p>`}
    </div>`;
}

const FORMS = { curl: "curl", exchange: "exchange file", pytest: "pytest test", python: "Python", node: "Node" };

function Exchange({ row }) {
  const [copied, setCopied] = useState("");
  const [visit, setVisit] = useState(0);
  const [pages, setPages] = useState(0);
  const state = row && `${row.key}?${row.duration === null ? "unfinished" : "ended"}`;
  useEffect(() => setCopied(""), [row && row.key]);
  useEffect(() => setPages(0), [state, visit]);
  if (!row) return html`<p class="empty">Choose a request from the list.</p>`;
  const url = `${ROOT}/exchanges/${encodeURIComponent(row.session)}/${row.number}`;
  const copy = async (form) => {
    try {
      await navigator.clipboard.writeText(await call("GET", `${url}/${form}`));
      setCopied(`Copied as ${FORMS[form]}.`);
    } catch (error) {
      setCopied(error.message);
    }
  };
  return html`
    <div class="panel exchange">
      <div class="actions"><span class="soft">Copy as</span>
        ${Object.entries(FORMS).map(([form, label]) => html`<button key=${form} data-copy=${form} onClick=${() => copy(form)}>${label}</button>`)}
        <span role="status">${copied}</span>
        ${pages > 1 && html`<button class="back" onClick=${() => setVisit(visit + 1)}>← Back to the request</button>`}</div>
      <iframe key=${`${state}#${visit}`} title=${`Request ${row.number}`} sandbox="allow-scripts" onLoad=${() => setPages((count) => count + 1)}
        src=${`${url}?${state.split("?")[1]}`}></iframe>
    </div>`;
}

const NEW_STUB = `{
  "match": { "contains": "hello" },
  "reply": "Hi there!"
}`;

// The form writes the text of the stub; the text is what counts.
function StubForm({ text, onWrite }) {
  let value = null;
  try { value = JSON.parse(text); } catch { /* while it is being typed */ }
  if (Array.isArray(value)) return html`<p class="soft">A list adds all of its stubs, or none.</p>`;
  // A prompt that is to be the same, as `"match": "a text"` says, is not one that contains the text.
  const { contains = "", prompt, ...conditions } = typeof value?.match === "string" ? { prompt: value.match } : value?.match ?? {};
  const isSimple = value !== null && typeof value === "object" && typeof (value.reply ?? "") === "string"
    && typeof contains === "string" && prompt === undefined;
  if (!isSimple) return html`<p class="soft">This stub has more than the form shows: edit its JSON.</p>`;
  const write = (change) => onWrite(JSON.stringify({ ...value, ...change }, null, 2));
  return html`
    <div class="inline">
      <label>If the prompt contains<input name="contains" value=${contains}
        onInput=${(event) => write({ match: event.target.value ? { contains: event.target.value, ...conditions } : conditions })} /></label>
      <label class="grows">Reply<input name="reply" value=${value.reply ?? ""} onInput=${(event) => write({ reply: event.target.value })} /></label>
      <label class="short">Times<input name="times" type="number" min="1" value=${value.times ?? 1}
        onInput=${(event) => write({ times: Math.max(1, Number(event.target.value) || 1) })} /></label>
    </div>`;
}

function StubEditor({ session, edited, onDone }) {
  const [text, setText] = useState(edited ? JSON.stringify(edited.document, null, 2) : NEW_STUB);
  const [check, setCheck] = useState({});
  useEffect(() => {
    const timer = setTimeout(async () => {
      try {
        setCheck(await call("POST", `${ROOT}/sessions/${session}/stub-check`, JSON.parse(text)));
      } catch (error) {
        setCheck({ problem: error.message });
      }
    }, 150);
    return () => clearTimeout(timer);
  }, [text, session]);
  const save = async (event) => {
    event.preventDefault();
    const path = `${prefixOf(session)}/_mock/stubs`;
    try {
      if (edited) await call("PUT", `${path}/${encodeURIComponent(edited.name)}`, JSON.parse(text));
      else await call("POST", path, JSON.parse(text));
      onDone();
    } catch (error) {
      setCheck({ problem: error.message });
    }
  };
  return html`
    <form onSubmit=${save}>
      <h3>${edited ? `Edit ${edited.name}` : "New stub"}</h3>
      <${StubForm} text=${text} onWrite=${setText} />
      <label>JSON, as in an exchange file
        <textarea spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>
      ${check.problem ? html`<p class="problem" role="status">${check.problem}</p>` : html`<p class="soft says" role="status">${check.says || ""}</p>`}
      <button disabled=${Boolean(check.problem)}>${edited ? "Save stub" : text.trimStart().startsWith("[") ? "Add stubs" : "Add stub"}</button>
      ${edited && html` <button type="button" onClick=${onDone}>Cancel</button>`}
    </form>`;
}

function Stubs({ session, requestCount }) {
  const [stubs, setStubs] = useState([]);
  const [edited, setEdited] = useState(null);
  const [problem, setProblem] = useState("");
  const path = `${prefixOf(session)}/_mock/stubs`;
  // The list may be out of date: what it names can be gone, and the server too.
  const attempt = async (action) => {
    setProblem("");
    try { await action(); } catch (error) { setProblem(error.message); }
  };
  const read = async () => setStubs((await call("GET", path)).stubs);
  const load = () => attempt(read);
  useEffect(() => { load(); }, [session, requestCount]);
  useEffect(() => setEdited(null), [session]);
  const change = (action) => () => attempt(async () => {
    try { await action(); } finally { await read(); }
  });
  const one = (name) => `${path}/${encodeURIComponent(name)}`;
  const move = (at, by) => change(() => {
    const names = stubs.map((stub) => stub.name);
    names.splice(at + by, 0, ...names.splice(at, 1));
    return call("PUT", path, names);
  });
  const edit = (name) => change(async () => {
    const stub = await call("GET", one(name));
    if (stub.document) setEdited(stub);
  });
  const done = () => { setEdited(null); load(); };
  return html`
    <div class="panel">
      <h2>Stubs</h2>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${stubs.map((stub, at) => html`
        <div class="stub" key=${stub.name}><div><strong>${stub.name}</strong> ${stub.says}</div>
          <button aria-label=${`Move ${stub.name} up`} disabled=${at === 0} onClick=${move(at, -1)}>↑</button>
          <button aria-label=${`Move ${stub.name} down`} disabled=${at === stubs.length - 1} onClick=${move(at, 1)}>↓</button>
          <button onClick=${edit(stub.name)}>Edit</button>
          <button onClick=${change(() => call("DELETE", one(stub.name)))}>Remove</button></div>`)}
      ${!stubs.length && html`<p class="soft">None. Exchange files and generated replies answer.</p>`}
      ${stubs.length > 0 && html`<p><button onClick=${change(() => call("DELETE", path))}>Remove all stubs</button></p>`}
      <${StubEditor} key=${edited ? edited.name : ""} session=${session} edited=${edited} onDone=${done} />
    </div>`;
}

function Settings({ session, requestCount }) {
  const [state, setState] = useState(null);
  const [draft, setDraft] = useState({});
  const [problem, setProblem] = useState("");
  const url = `${ROOT}/sessions/${session}`;
  // Only the first time: what is being typed stays.
  const load = async (withDraft) => {
    const loaded = await call("GET", url);
    setState(loaded);
    if (withDraft) setDraft({ pace: loaded.pace, chunking: loaded.chunking, limits: loaded.limits.join(" "), faults: loaded.faults.join(" ") });
  };
  useEffect(() => { load(true); }, [session]);
  const attempt = (action) => async (event) => {
    event.preventDefault();
    setProblem("");
    try { await action(event); await load(false); } catch (error) { setProblem(error.message); }
  };
  const words = (text) => text.split(/\s+/).filter(Boolean);
  const save = attempt(async () => {
    await call("PUT", url, { pace: draft.pace, chunking: draft.chunking, limits: words(draft.limits) });
    await call("PUT", `${prefixOf(session)}/_mock/faults`, words(draft.faults));
  });
  const advance = attempt((event) => call("POST", `${prefixOf(session)}/_mock/clock`, { advance: Number(event.target.elements.seconds.value) }));
  const reset = attempt(() => call("POST", `${prefixOf(session)}/_mock/reset`, {}));
  if (!state) return html`<p class="empty">Loading…</p>`;
  const field = (name, label, list) => html`
    <label>${label}<input name=${name} value=${draft[name]} list=${list} onInput=${(event) => setDraft({ ...draft, [name]: event.target.value })} /></label>`;
  return html`
    <div class="panel">
      <h2>Session ${state.session}</h2>
      <p class="soft">Profile ${state.profile} · base URL <code>${prefixOf(session)}${state.path}</code></p>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <form onSubmit=${save}>
        ${field("faults", "Faults for all requests, such as rate-limit:0.2", "fault-names")}
        ${field("pace", "Streaming speed: none, fixed:MS or model:TTFT,TPS")}
        ${field("chunking", "Chunking: event, coalesced, bytes:N or random")}
        ${field("limits", "Rate limits, such as requests=10 tokens=1000")}
        <datalist id="fault-names">${state.fault_names.map((fault) => html`<option value=${fault.name}>${fault.summary}</option>`)}</datalist>
        <button>Apply</button>
      </form>
      <h3>Clock</h3>
      ${state.has_stepped_clock
        ? html`<form class="inline" onSubmit=${advance}><label>Advance by seconds<input name="seconds" type="number" min="0" value="60" /></label><button>Advance</button>
            <span class="soft">${new Date(state.now * 1000).toISOString()}</span></form>`
        : html`<p class="soft">The session uses the system's clock; start the server with --seed to move it.</p>`}
      <h3>Reset</h3>
      <p><button onClick=${reset}>Reset the session</button> <span class="soft">clears stubs, journal and stored responses</span></p>
    </div>`;
}

// Events of a stream, as they arrive.
async function* readEvents(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

function TryIt({ session }) {
  const [state, setState] = useState(null);
  const [body, setBody] = useState("");
  const [said, setSaid] = useState("");
  const [status, setStatus] = useState("");
  useEffect(() => {
    call("GET", `${ROOT}/sessions/${session}`).then((loaded) => {
      setState(loaded);
      setBody(JSON.stringify({ model: loaded.models[0] || "qwen-plus", input: "Hello!", stream: true }, null, 2));
    });
  }, [session]);
  const send = async (event) => {
    event.preventDefault();
    setSaid("");
    setStatus("Sending…");
    try {
      const reply = await fetch(`${ROOT}/sessions/${session}/requests`, {
        method: "POST", headers: { "x-mock-console": "1", "content-type": "application/json" }, body: JSON.stringify(JSON.parse(body)),
      });
      setStatus(`Status ${reply.status}`);
      if (!reply.headers.get("content-type")?.startsWith("text/event-stream")) {
        setSaid(JSON.stringify(JSON.parse(await reply.text()), null, 2));
        return;
      }
      let events = 0, text = "";
      for await (const each of readEvents(reply)) {
        events += 1;
        if (typeof each.delta === "string") text += each.delta;
        setSaid(text);
        setStatus(`Status ${reply.status} · ${events} events · ${each.type}`);
      }
    } catch (error) {
      setStatus(error.message);
    }
  };
  if (!state) return html`<p class="empty">Loading…</p>`;
  return html`
    <form class="panel" onSubmit=${send}>
      <h2>Try it</h2>
      <label>Body of POST ${state.path}/responses
        <textarea spellcheck="false" value=${body} onInput=${(event) => setBody(event.target.value)}></textarea></label>
      <button>Send</button> <span role="status">${status}</span>
      <pre class="said">${said}</pre>
    </form>`;
}

const TABS = { exchange: "Exchange", stubs: "Stubs", settings: "Settings", try: "Try it" };
const ONLY = { errors: "Errors", streams: "Streams" };

function App() {
  const [isPaused, setPaused] = useState(false);
  const { rows, connection, clear } = useFeed(isPaused);
  const [filter, setFilter] = useState("");
  const [only, setOnly] = useState("");
  const [chosen, setChosen] = useState(NOTHING_CHOSEN);
  const [selected, setSelected] = useState("");
  const [tab, setTab] = useState("exchange");
  const [sessions, setSessions] = useState(["default"]);
  const [canChange, setCanChange] = useState(true);
  const [session, setSession] = useState("default");
  const search = useRef(null);
  useEffect(() => { call("GET", `${ROOT}/sessions/default`).then((state) => { setSessions(state.sessions); setCanChange(state.can_change); }); }, [rows.length]);
  useEffect(() => {
    const pressed = (event) => {
      if (event.key !== "/" || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      search.current.focus();
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const isFiltered = Boolean(filter || only) || Object.values(chosen).some(Boolean);
  const shown = useMemo(() => {
    if (!isFiltered) return rows;
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return rows.filter((row) => matches(row, words, only, chosen));
  }, [rows, filter, only, chosen]);
  const showAll = () => { setFilter(""); setOnly(""); setChosen(NOTHING_CHOSEN); };
  const select = (key) => { setSelected(key); setTab("exchange"); };
  const row = shown.find((each) => each.key === selected) || rows.find((each) => each.key === selected);
  return html`
    <div class="app">
      <header>
        <h1>Mock server</h1>
        <span class=${`connection ${connection}`} role="status">${connection}</span>
        <span class="grow"></span>
        <button aria-pressed=${isPaused} onClick=${() => setPaused(!isPaused)}>Pause</button>
        <button onClick=${clear}>Clear</button>
      </header>
      <main>
        <section class="list" aria-label="Requests">
          <div class="filters" role="search" onKeyDown=${(event) => event.key === "Escape" && showAll()}>
            <input ref=${search} type="search" placeholder="Filter by text  /" aria-label="Filter the requests" value=${filter}
              onInput=${(event) => setFilter(event.target.value)} />
            <div class="choices">${Object.keys(CHOICES).map((name) => html`
              <${Choice} key=${name} name=${name} rows=${rows} chosen=${chosen[name]} onChoose=${(value) => setChosen({ ...chosen, [name]: value })} />`)}</div>
            ${Object.entries(ONLY).map(([name, label]) => html`
              <button key=${name} aria-pressed=${only === name} onClick=${() => setOnly(only === name ? "" : name)}>${label}</button>`)}
            ${isFiltered && html`<button class="show-all" onClick=${showAll}>Show all</button>`}
            <span class="soft" role="status">${shown.length === rows.length ? `${rows.length} requests` : `${shown.length} of ${rows.length}`}</span>
          </div>
          <div class="columns" aria-hidden="true"><span class="time">Time</span><span class="method">Method</span><span class="what">Prompt, session, model</span><span class="status">Status</span><span class="findings">Findings</span><span class="duration">Duration</span></div>
          <${List} rows=${shown} isFiltered=${isFiltered} selected=${selected} onSelect=${select} />
        </section>
        <section class="detail" aria-label="Details">
          <div class="tabs" role="tablist">
            ${Object.entries(canChange ? TABS : { exchange: TABS.exchange }).map(([name, label]) => html`
              <button key=${name} role="tab" aria-selected=${tab === name} onClick=${() => setTab(name)}>${label}</button>`)}
            ${tab !== "exchange" && html`<label class="inline">Session <select name="controlled" value=${session} onChange=${(event) => setSession(event.target.value)}>
              ${sessions.map((name) => html`<option key=${name} value=${name} selected=${name === session}>${name}</option>`)}</select></label>`}
          </div>
          ${tab === "exchange" && html`<${Exchange} row=${row} />`}
          ${tab === "stubs" && html`<${Stubs} session=${session} requestCount=${rows.length} />`}
          ${tab === "settings" && html`<${Settings} session=${session} />`}
          ${tab === "try" && html`<${TryIt} session=${session} />`}
        </section>
      </main>
    </div>`;
}

render(html`<${App} />`, document.body);
