// Vercel AI SDK: ai with @ai-sdk/openai.
// snippet
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";

const provider = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const model = provider.responses("qwen3-max-2026-01-23");
// end
import { Output, stepCountIs, tool } from "ai";
import { z } from "zod";
import { BUILT_IN_TOOLS, drive, MESSAGES, MODEL, PROMPTS, SUNNY, UNKNOWN_MODEL, WRONG_KEY } from "./driving.mjs";

const City = z.object({ city: z.string(), population: z.number().int() });

const types = (steps) => steps.flatMap((step) => step.content.map((part) => part.type));
const shown = async (result) => ({ text: await result.text, items: types(await result.steps) });

const ask = async (settings) => shown(await generateText({ model, maxRetries: 0, ...settings }));

// What the user of a stream sees; an error comes as a part.
async function stream(settings) {
  const result = streamText({ model, maxRetries: 0, onError: () => {}, ...settings });
  let text = "";
  for await (const part of result.fullStream) {
    if (part.type === "error") throw readable(part.error);
    if (part.type === "text-delta") text += part.text;
  }
  return { text, items: types(await result.steps) };
}

// A validation error without the value and without the event types that were not meant.
function readable(error) {
  const branches = error.cause?.issues?.flatMap((issue) => issue.errors ?? []) ?? [];
  const closest = branches.filter((branch) => branch.length === 1 && branch[0].path.length).map(([issue]) => issue);
  if (closest.length === 1) error.message = `${closest[0].path.join(".")}: ${closest[0].message}`;
  return error;
}

// The SDK has no tool for web_extractor nor enable_thinking: both are put into the body on its way.
const extended = (tools) =>
  createOpenAI({
    baseURL: process.env.OPENAI_BASE_URL,
    apiKey: process.env.OPENAI_API_KEY,
    fetch: (url, request) => {
      const body = { ...JSON.parse(request.body), tools, enable_thinking: true };
      return fetch(url, { ...request, body: JSON.stringify(body) });
    },
  }).responses(MODEL);

const SEARCH_TOOLS = BUILT_IN_TOOLS.filter((each) => each.type !== "code_interpreter");

const called = [];
const getWeather = tool({
  description: "Current weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async (input) => {
    called.push({ name: "get_weather", arguments: input });
    return SUNNY;
  },
});

async function callFunction(play) {
  called.length = 0;
  const seen = await play({
    prompt: PROMPTS.weather,
    tools: { get_weather: getWeather },
    stopWhen: stepCountIs(2),
  });
  return { ...seen, calls: called };
}

async function twoTurns() {
  const first = await generateText({ model, prompt: PROMPTS.name });
  const previousResponseId = first.providerMetadata.openai.responseId;
  return ask({ prompt: PROMPTS.recall, providerOptions: { openai: { previousResponseId } } });
}

// The history by `item_reference`, which the SDK sends for items that the service keeps.
async function history() {
  const first = await generateText({ model, prompt: PROMPTS.name });
  return ask({
    messages: [
      { role: "user", content: PROMPTS.name },
      ...first.responseMessages,
      { role: "user", content: PROMPTS.recall },
    ],
  });
}

async function structured() {
  const result = await generateText({ model, prompt: PROMPTS.city, output: Output.object({ schema: City }) });
  return { value: result.output };
}

// Leave a stream at its first delta, then ask again.
async function cancel() {
  const controller = new AbortController();
  const result = streamText({ model, prompt: PROMPTS.essay, abortSignal: controller.signal, onError: () => {} });
  let deltas = 0;
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") {
      deltas += 1;
      controller.abort();
      break;
    }
  }
  return { deltas, ...(await ask({ prompt: PROMPTS.basic })) };
}

// A reply and a stream at once.
async function asynchronous() {
  const [whole, parts] = await Promise.all([ask({ prompt: PROMPTS.basic }), stream({ prompt: PROMPTS.essay })]);
  return { texts: [whole.text, parts.text] };
}

const unauthorized = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: WRONG_KEY }).responses(MODEL);
const [system, user] = MESSAGES;

await drive({
  basic: () => ask({ prompt: PROMPTS.basic }),
  messages: () => ask({ instructions: system.content, messages: [user] }),
  two_turns: twoTurns,
  history,
  stream: () => stream({ prompt: PROMPTS.essay }),
  tools: () => ask({ model: extended(BUILT_IN_TOOLS), prompt: PROMPTS.tools }),
  tools_stream: () => stream({ model: extended(BUILT_IN_TOOLS), prompt: PROMPTS.tools }),
  search_stream: () => stream({ model: extended(SEARCH_TOOLS), prompt: PROMPTS.tools }),
  own_tools: () =>
    ask({
      prompt: PROMPTS.tools,
      tools: { web_search: provider.tools.webSearch({}), code_interpreter: provider.tools.codeInterpreter({}) },
    }),
  function: () => callFunction(ask),
  function_stream: () => callFunction(stream),
  structured,
  wrong_key: () => ask({ model: unauthorized, prompt: "Hello!" }),
  unknown_model: () => ask({ model: provider.responses(UNKNOWN_MODEL), prompt: "Hello!" }),
  cancel,
  async: asynchronous,
});
