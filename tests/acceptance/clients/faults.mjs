// How openai for Node reacts to each fault: see faults.py.
import OpenAI from "openai";

const MODEL = "qwen3-max-2026-01-23";
const TEXT = "One two three four.";
const client = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  timeout: 1000,
  maxRetries: 2,
});
client.calculateDefaultRetryTimeoutMillis = () => 10;

function seen(events) {
  const kinds = events.map((event) => event.type);
  const text = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
  if (!kinds.includes("response.completed")) {
    return `ends without completed: ${kinds.length ? kinds.at(-1) : "no event"}`;
  }
  return kinds[0] === "response.created" ? text.join("") : `begins with ${kinds[0]}`;
}

async function ask(mode, headers, signal) {
  if (mode === "body") {
    return (await client.responses.create({ model: MODEL, input: "x" }, { headers, signal })).output_text;
  }
  const events = [];
  for await (const event of await client.responses.create(
    { model: MODEL, input: "x", stream: true },
    { headers, signal },
  )) {
    events.push(event);
  }
  return seen(events);
}

async function outcome(number, line) {
  const [mode, ...rest] = line.split(" ");
  const headers = { "x-mock-fault": rest.join(" "), "x-case": String(number) };
  const patience = new AbortController();
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    patience.abort();
  }, 4000);
  try {
    const got = await ask(mode, headers, patience.signal);
    if (hangs) return "waits for ever";
    return got === TEXT ? "all of it" : String(got).slice(0, 80) || "an empty text";
  } catch (error) {
    return hangs ? "waits for ever" : error.constructor.name;
  } finally {
    clearTimeout(timer);
  }
}

const cases = process.argv.slice(2);
const outcomes = new Array(cases.length);
let next = 0;
async function work() {
  while (next < cases.length) {
    const at = next++;
    outcomes[at] = await outcome(at, cases[at]);
  }
}
await Promise.all(Array.from({ length: 6 }, work));
cases.forEach((line, at) => console.log(JSON.stringify([line, outcomes[at]])));
