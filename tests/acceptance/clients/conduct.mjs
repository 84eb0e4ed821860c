// What openai for Node does by default: see conduct.py.
import OpenAI from "openai";

const MODEL = "qwen3-max-2026-01-23";

async function runCase(name) {
  const baseURL = `${process.env.OPENAI_ORIGIN}/s/${name}${process.env.OPENAI_BASE_PATH}`;
  const client = new OpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY });
  try {
    if (name === "stop") {
      const stream = await client.responses.create({ model: MODEL, input: "Hi", stream: true });
      await stream[Symbol.asyncIterator]().next();
      stream.controller.abort();
      return "closed";
    }
    if (name.endsWith("stream")) {
      let last;
      for await (const event of await client.responses.create({ model: MODEL, input: "Hi", stream: true })) {
        last = event.type;
      }
      return last;
    }
    return (await client.responses.create({ model: MODEL, input: "Hi" })).status;
  } catch (error) {
    return error.constructor.name;
  }
}

for (const name of process.argv.slice(2)) {
  console.log(JSON.stringify([name, await runCase(name)]));
}
process.exit(0);
