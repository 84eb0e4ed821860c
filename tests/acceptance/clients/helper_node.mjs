// The stream helper and the plain stream of openai for Node, fed the prompts on standard input.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0, timeout: 5000 });
const model = process.env.MODEL;

async function helper(input) {
  const stream = client.responses.stream({ model, input });
  return (await stream.finalResponse()).output_text ?? "";
}

async function create(input) {
  let text = "";
  for await (const event of await client.responses.create({ model, input, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  return text;
}

async function seen(way, prompt) {
  try {
    return { text: await way(prompt) };
  } catch (error) {
    return { error: error.constructor.name, message: error.message };
  }
}

for (const title of JSON.parse(readFileSync(0, "utf8"))) {
  console.log(JSON.stringify({ title, helper: await seen(helper, title), create: await seen(create, title) }));
}
