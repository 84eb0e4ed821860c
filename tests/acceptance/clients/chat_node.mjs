// openai-node's Chat Completions: prints what it gets as JSON.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const model = process.env.MODEL;
const messages = (content) => [{ role: "user", content }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const plain = await client.chat.completions.create({ model, messages: messages("Hi") });

let text = "";
let counted = false;
const chunks = await client.chat.completions.create({
  model,
  messages: messages("Hi"),
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of chunks) {
  text += chunk.choices[0]?.delta.content ?? "";
  counted ||= chunk.usage?.total_tokens > 0;
}

const helper = client.chat.completions.stream({ model, messages: messages("Hi") });
const whole = await helper.finalChatCompletion();

const runner = client.chat.completions.runTools({
  model,
  stream: true,
  messages: messages("Rain?"),
  tools: [
    {
      type: "function",
      function: { name: "weather", parameters, parse: JSON.parse, function: ({ city }) => `Rain in ${city}.` },
    },
  ],
});
const last = await runner.finalContent();

const refused = await client.chat.completions
  .create({ model: "no-such-model", messages: messages("Hi") })
  .catch((error) => [error.constructor.name, error.code]);

console.log(
  JSON.stringify([
    plain.choices[0].message.content,
    [text, counted],
    whole.choices[0].message.content,
    last,
    refused,
  ]),
);
