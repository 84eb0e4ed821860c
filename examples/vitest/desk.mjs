const TOOLS = [
  {
    type: "function",
    name: "get_weather",
    description: "The weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

/** Ask a question, run the tool as often as the model calls it, and return the final text. */
export async function ask(client, model, question, lookUp) {
  let response = await client.responses.create({ model, input: question, tools: TOOLS });
  for (;;) {
    const calls = response.output.filter((item) => item.type === "function_call");
    if (calls.length === 0) return response.output_text;
    const input = calls.map((call) => ({
      type: "function_call_output",
      call_id: call.call_id,
      output: JSON.stringify(lookUp(JSON.parse(call.arguments))),
    }));
    response = await client.responses.create({ model, input, previous_response_id: response.id, tools: TOOLS });
  }
}
