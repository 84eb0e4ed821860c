// Sends one request with node:https, without and with an agent, and one with a named import of node:tls.
import https from "node:https";
import { connect } from "node:tls";

const HOST = "dashscope-intl.aliyuncs.com";
const PATH = "/api/v2/apps/protocols/compatible-mode/v1/responses";
const BODY = JSON.stringify({ model: "qwen3-max-2026-01-23", input: "Hello!" });
const HEADERS = {
  authorization: `Bearer ${process.env.DASHSCOPE_API_KEY}`,
  "content-type": "application/json",
  "content-length": Buffer.byteLength(BODY),
};

function ask(options) {
  return new Promise((resolve, reject) => {
    const request = https.request({ host: HOST, path: PATH, method: "POST", headers: HEADERS, ...options }, (reply) => {
      reply.resume().on("end", () => resolve(reply.statusCode));
    });
    request.on("error", reject).end(BODY);
  });
}

const agent = new https.Agent({ keepAlive: true });
console.log(await ask({}), await ask({ agent }), await ask({ agent }));
agent.destroy();

const socket = connect(443, HOST, { servername: HOST }, () => {
  console.log("authorized", socket.authorized);
  socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
});
socket.once("data", (data) => console.log(data.toString().split("\r\n")[0]));
