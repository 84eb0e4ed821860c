// What the Node drivers share: the prompts, and one line of JSON for each scenario (see driver.py).
import { readFileSync } from "node:fs";

export const MODEL = "qwen3-max-2026-01-23";
export const UNKNOWN_MODEL = "gpt-5";
export const WRONG_KEY = "sk-wrong";
export const PROMPTS = JSON.parse(readFileSync(new URL("prompts.json", import.meta.url), "utf8"));
export const MESSAGES = [
  { role: "system", content: PROMPTS.system },
  { role: "user", content: PROMPTS.hello },
];
export const BUILT_IN_TOOLS = [{ type: "web_search" }, { type: "code_interpreter" }, { type: "web_extractor" }];
export const CITY_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, population: { type: "integer" } },
  required: ["city", "population"],
  additionalProperties: false,
};
export const WEATHER_TOOL = {
  type: "function",
  name: "get_weather",
  description: "Current weather of a city.",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
export const SUNNY = "Sunny, 31 degrees.";

// Play the scenarios that the command line names.
export async function drive(scenarios) {
  for (const name of process.argv.slice(2)) {
    let seen;
    try {
      seen = await scenarios[name]();
    } catch (error) {
      seen = failure(error);
    }
    console.log(JSON.stringify({ scenario: name, ...seen }));
  }
}

// An error as the user sees it; undefined members are left out of the line.
export function failure(error) {
  return {
    error: error.constructor.name,
    message: error.message,
    status: error.status ?? error.statusCode,
    code: error.code ?? undefined,
  };
}
