// openai for Node with features from after January: stored responses, conversations, a function loop in streams.
import OpenAI from "openai";
import { makeParseableTextFormat } from "openai/lib/parser";
import { CITY_SCHEMA, drive, MODEL, PROMPTS, SUNNY, WEATHER_TOOL } from "./driving.mjs";

const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const create = (body) => client.responses.create({ model: MODEL, ...body });

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

// A response is retrieved, its input listed, deleted, and then gone.
async function stored() {
  const first = await create({ input: PROMPTS.name });
  const second = await create({ input: PROMPTS.recall, previous_response_id: first.id });
  const again = await client.responses.retrieve(second.id);
  const items = await all(client.responses.inputItems.list(second.id, { order: "asc", limit: 1 }));
  await client.responses.delete(second.id);
  const gone = await client.responses.retrieve(second.id).catch((error) => error.constructor.name);
  return {
    same: again.output_text === second.output_text,
    roles: items.filter((item) => item.type === "message").map((item) => item.role),
    gone,
  };
}

// All eight operations, and two turns in one conversation.
async function conversations() {
  const { items: its } = client.conversations;
  const talk = await client.conversations.create({ items: [{ role: "user", content: "Hi." }], metadata: { a: "b" } });
  for (const input of [PROMPTS.name, PROMPTS.recall]) await create({ input, conversation: talk.id });
  await its.create(talk.id, { items: [{ role: "user", content: "Bye." }] });
  const items = await all(its.list(talk.id, { order: "asc", limit: 2 }));
  const last = await its.retrieve(items.at(-1).id, { conversation_id: talk.id });
  await its.delete(items.at(-1).id, { conversation_id: talk.id });
  const changed = await client.conversations.update(talk.id, { metadata: { c: "d" } });
  return {
    roles: items.filter((item) => item.type === "message").map((item) => item.role),
    last: last.content[0].text,
    left: (await all(its.list(talk.id))).length,
    metadata: [(await client.conversations.retrieve(talk.id)).metadata, changed.metadata],
    deleted: (await client.conversations.delete(talk.id)).deleted,
  };
}

// A stream calls a function; a second request sends its output and streams the reply.
async function loop() {
  const streamed = async (body) => {
    let last;
    for await (const event of await create({ tools: [WEATHER_TOOL], stream: true, ...body })) last = event;
    return last.response;
  };
  const first = await streamed({ input: PROMPTS.weather });
  const made = first.output.at(-1);
  const output = { type: "function_call_output", call_id: made.call_id, output: SUNNY };
  const second = await streamed({ input: [output], previous_response_id: first.id });
  return { called: made.name, items: second.output.map((item) => item.type) };
}

async function structured() {
  const format = { type: "json_schema", name: "City", strict: true, schema: CITY_SCHEMA };
  const response = await client.responses.parse({
    model: MODEL,
    input: PROMPTS.city,
    text: { format: makeParseableTextFormat(format, JSON.parse) },
  });
  return { city: Object.keys(response.output_parsed).sort() };
}

// A limit truncates the reply; a profile without it replies in full.
async function limited() {
  const { status } = await create({ input: PROMPTS.essay, max_output_tokens: 16, reasoning: { effort: "none" } });
  return { status };
}

async function models() {
  return { listed: (await all(client.models.list())).some((model) => model.id === MODEL) };
}

// The stream helper reads a model that does not think by default.
async function helper() {
  const response = await client.responses.stream({ model: MODEL, input: PROMPTS.essay }).finalResponse();
  return { items: response.output.map((item) => item.type) };
}

await drive({ stored, conversations, loop, structured, limited, helper, models });
