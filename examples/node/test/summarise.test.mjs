import { expect, test } from "vitest";

import { Summariser } from "../summarise.mjs";

const model = "qwen3-max-2026-01-23";

test("a summary consists of its words", async () => {
  const words = [];
  const summary = await new Summariser({ model }).summarise("A long text.", (word) => words.push(word));
  expect(summary).toBe(words.join(""));
  expect(words.length).toBeGreaterThan(1);
});

test("a question continues the summary", async () => {
  const summariser = new Summariser({ model });
  await summariser.summarise("A long text.");
  expect(await summariser.ask("Why?")).toMatch(/\S/);
});

test("an unknown model is an error", async () => {
  await expect(new Summariser({ model: "none", maxRetries: 0 }).ask("Why?")).rejects.toThrow("none");
});
