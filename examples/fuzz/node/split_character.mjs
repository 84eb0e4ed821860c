// A small client with only fetch. Defect: it decodes each read by itself.
const { OPENAI_BASE_URL, OPENAI_API_KEY, MOCKSERVER_MODEL, MOCKSERVER_INPUT, MOCKSERVER_TIMEOUT } = process.env;
const stream = process.env.MOCKSERVER_STREAM === "1";

const reply = await fetch(`${OPENAI_BASE_URL}/responses`, {
  method: "POST",
  headers: { authorization: `Bearer ${OPENAI_API_KEY}`, "content-type": "application/json" },
  body: JSON.stringify({ model: MOCKSERVER_MODEL, input: MOCKSERVER_INPUT, stream }),
  signal: AbortSignal.timeout(Number(MOCKSERVER_TIMEOUT) * 500),
});
if (!reply.ok) throw new Error(`HTTP ${reply.status}`);

// Lines of a body, whatever their ends and however the bytes are divided.
async function* lines(body) {
  let rest = "";
  for await (const bytes of body) {
    const found = (rest + new TextDecoder().decode(bytes)).split(/\r\n|\n|\r(?!$)/);
    rest = found.pop();
    yield* found;
  }
  yield* rest.split("\r");
}

async function last(body) {
  let response;
  for await (const line of lines(body)) {
    if (!line.startsWith("data:")) continue;
    const event = JSON.parse(line.slice(5));
    if (event.type === "response.completed") response = event.response;
  }
  return response;
}

const response = stream ? await last(reply.body) : await reply.json();
if (response?.status !== "completed") throw new Error("the answer is not complete");
const messages = response.output.filter((item) => item.type === "message");
process.stdout.write(messages.flatMap((item) => item.content.map((part) => part.text)).join(""));
