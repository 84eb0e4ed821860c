// openai for Node.
// snippet
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
// end
import { makeParseableTextFormat } from "openai/lib/parser";
import {
  BUILT_IN_TOOLS,
  CITY_SCHEMA,
  drive,
  MESSAGES,
  MODEL,
  PROMPTS,
  SUNNY,
  UNKNOWN_MODEL,
  WEATHER_TOOL,
  WRONG_KEY,
} from "./driving.mjs";

const create = (body, to = client) => to.responses.create({ model: MODEL, ...body });
const reply = (response) => ({ text: response.output_text, items: response.output.map((item) => item.type) });

// Text of the deltas and the items of the last event.
async function streamed(events) {
  let text = "";
  for await (const event of events) {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.completed") return { text, items: event.response.output.map((item) => item.type) };
  }
  throw new Error("no response.completed");
}

const askTools = { input: PROMPTS.tools, tools: BUILT_IN_TOOLS, enable_thinking: true };

async function callFunction() {
  const first = await create({ input: PROMPTS.weather, tools: [WEATHER_TOOL] });
  const [made] = first.output;
  const second = await create({
    input: [{ type: "function_call_output", call_id: made.call_id, output: SUNNY }],
    previous_response_id: first.id,
    tools: [WEATHER_TOOL],
  });
  return { ...reply(second), calls: [{ name: made.name, arguments: JSON.parse(made.arguments) }] };
}

async function callFunctionStreamed() {
  const question = { role: "user", content: PROMPTS.weather };
  let text = "";
  let made;
  for await (const event of await create({ input: [question], tools: [WEATHER_TOOL], stream: true })) {
    if (event.type === "response.function_call_arguments.delta") text += event.delta;
    if (event.type === "response.output_item.done") made = event.item;
  }
  if (made.arguments !== text) throw new Error("deltas are not the arguments");
  const seen = await streamed(
    await create({
      input: [
        question,
        { type: made.type, name: made.name, arguments: text, call_id: made.call_id },
        { type: "function_call_output", call_id: made.call_id, output: SUNNY },
      ],
      tools: [WEATHER_TOOL],
      stream: true,
    }),
  );
  return { ...seen, calls: [{ name: made.name, arguments: JSON.parse(text) }] };
}

// What `zodTextFormat` makes, without zod.
async function structured() {
  const format = makeParseableTextFormat(
    { type: "json_schema", name: "city", strict: true, schema: CITY_SCHEMA },
    JSON.parse,
  );
  const response = await client.responses.parse({ model: MODEL, input: PROMPTS.city, text: { format } });
  return { value: response.output_parsed };
}

// Leave a stream at its first delta, then ask again with the same client.
async function cancel() {
  let deltas = 0;
  const events = await create({ input: PROMPTS.essay, stream: true });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") {
      deltas += 1;
      events.controller.abort();
      break;
    }
  }
  return { deltas, ...reply(await create({ input: PROMPTS.basic })) };
}

// A reply and a stream at once.
async function asynchronous() {
  const [whole, parts] = await Promise.all([
    create({ input: PROMPTS.basic }),
    create({ input: PROMPTS.essay, stream: true }).then(streamed),
  ]);
  return { texts: [whole.output_text, parts.text] };
}

await drive({
  basic: async () => reply(await create({ input: PROMPTS.basic })),
  messages: async () => reply(await create({ input: MESSAGES })),
  two_turns: async () => {
    const first = await create({ input: PROMPTS.name });
    return reply(await create({ input: PROMPTS.recall, previous_response_id: first.id }));
  },
  stream: async () => streamed(await create({ input: PROMPTS.essay, stream: true })),
  helper: async () => reply(await client.responses.stream({ model: MODEL, input: PROMPTS.essay }).finalResponse()),
  tools: async () => reply(await create(askTools)),
  tools_stream: async () => streamed(await create({ ...askTools, stream: true })),
  helper_tools: async () => reply(await client.responses.stream({ model: MODEL, ...askTools }).finalResponse()),
  function: callFunction,
  function_stream: callFunctionStreamed,
  structured,
  wrong_key: async () => reply(await create({ input: "Hello!" }, client.withOptions({ apiKey: WRONG_KEY }))),
  unknown_model: async () => reply(await create({ model: UNKNOWN_MODEL, input: "Hello!" })),
  cancel,
  async: asynchronous,
});
