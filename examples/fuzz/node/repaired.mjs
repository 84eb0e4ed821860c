// A small client with only fetch, without a defect.
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
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const found = (rest + piece).split(/\r\n|\n|\r(?!$)/);
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
    if (["response.completed", "response.incomplete"].includes(event.type)) response = event.response;
  }
  return response;
}

const response = stream ? await last(reply.body) : await reply.json();
if (!["completed", "incomplete"].includes(response?.status)) throw new Error("the reply failed");
if (response.status === "incomplete") console.error("the reply is incomplete");
const messages = response.output.filter((item) => item.type === "message");
process.stdout.write(messages.flatMap((item) => item.content.map((part) => part.text)).join(""));
