import OpenAI from "openai";
import { connectMockServer } from "responses-mockserver";
import { afterEach, beforeEach, expect, test } from "vitest";

import { ask } from "../desk.mjs";

let server, client;

// Test files run in parallel: each has a session of its own.
beforeEach(async () => {
  server = await connectMockServer().session("desk", { strict: true });
  client = new OpenAI({ baseURL: server.baseURL, apiKey: server.apiKey, maxRetries: 0 });
});

// Fails the test if a request violated the contract, or a stub was not used.
afterEach(() => server.check());

test("the tool is run, and its output is sent back", async () => {
  await server.reply({ function_call: { name: "get_weather", arguments: { city: "Paris" } } });
  await server.reply("It is 21 degrees in Paris.");

  const answer = await ask(client, server.model, "How warm is Paris?", ({ city }) => ({ city, celsius: 21 }));

  expect(answer).toBe("It is 21 degrees in Paris.");
  const [first, second] = await server.journal();
  expect(first.prompt).toBe("How warm is Paris?");
  expect(JSON.parse(second.body).input[0].output).toBe('{"city":"Paris","celsius":21}');
});

test("a stream is read to its end", async () => {
  await server.reply({ chunks: ["It ", "rains."] });
  const stream = await client.responses.create({ model: server.model, input: "Weather?", stream: true });
  let text = "";
  for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  expect(text).toBe("It rains.");
});

test("an error of the service reaches the caller", async () => {
  await server.fail("rate-429");
  await expect(ask(client, server.model, "Hello!")).rejects.toMatchObject({ status: 429 });
});
