"use strict";
// Starts the mock server of the Python package `responses-mockserver`, and scripts it over its admin API.

const { spawn } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const { once } = require("node:events");
const { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } = require("node:fs");
const http = require("node:http");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { version } = require("./package.json");

/** uvx and pipx download the server when they run it for the first time. */
const START_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 20;
const MAX_OUTPUT_CHARS = 16_384;

/** The variable with which a global setup tells its server to the processes of the tests. */
const VARIABLE = "RESPONSES_MOCKSERVER";
const PYTHON_VARIABLE = "RESPONSES_MOCKSERVER_PYTHON";

class MockServer {
  #address;
  #admin;
  #token;
  #child;
  #session;

  constructor(address, child = null) {
    const { baseURL, apiKey, model, adminToken, session = "default" } = address;
    this.#address = address;
    this.#token = adminToken;
    this.#child = child;
    this.#session = session;
    this.#admin = new URL(session === "default" ? "/_mock" : `/s/${session}/_mock`, baseURL).href;
    this.baseURL = baseURL;
    this.apiKey = apiKey;
    this.model = model;
  }

  /** The variables that clients read. */
  get env() {
    return { OPENAI_BASE_URL: this.baseURL, OPENAI_API_KEY: this.apiKey, DASHSCOPE_API_KEY: this.apiKey };
  }

  async reply(reply, stub = {}) {
    return (await this.#send("POST", "/stubs", { ...stub, reply })).name;
  }

  async fail(error, stub = {}) {
    return this.reply({ error }, stub);
  }

  async journal() {
    const entries = [];
    for (let after = 0; ; ) {
      const page = await this.#send("GET", `/journal?limit=1000&after=${after}`);
      entries.push(...page.entries);
      if (!page.has_more) return entries;
      after = page.last;
    }
  }

  async verdict({ conduct = false } = {}) {
    return this.#send("GET", `/sessions/${this.#session}/verdict?conduct=${conduct}`);
  }

  async check(options) {
    const verdict = await this.verdict(options);
    if (verdict.verdict !== "fail") return;
    const lines = verdict.violations.map(({ request, message }) => (request ? `request ${request}: ${message}` : message));
    throw new Error(["the mock server's verdict is fail:", ...lines].join("\n  "));
  }

  async reset() {
    await this.#send("POST", "/reset");
  }

  async session(name, settings = {}) {
    const { path: basePath } = await this.#send("PUT", `/sessions/${encodeURIComponent(name)}`, settings);
    return new MockServer({ ...this.#address, baseURL: new URL(basePath, this.baseURL).href, session: name });
  }

  async stop() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const exited = once(child, "exit");
    child.stdin.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  /** What another process needs to use this server: `connectMockServer(JSON.parse(text))`. */
  toJSON() {
    return this.#address;
  }

  #send(method, target, body) {
    return send(method, this.#admin + target, { "x-mock-admin-token": this.#token }, body);
  }
}

async function startMockServer(options = {}) {
  const { profile, seed, strict = true, args = [], timeout = START_TIMEOUT_MS } = options;
  const [program, ...words] = serverCommand(options);
  const folder = mkdtempSync(path.join(tmpdir(), "responses-mockserver-"));
  const urlFile = path.join(folder, "url");
  const apiKey = `sk-mock-${randomBytes(12).toString("hex")}`;
  const adminToken = randomBytes(24).toString("hex");
  const serve = ["serve", "--port", "0", "--url-file", urlFile, "--quiet", "--stop-with-stdin"];
  serve.push("--api-key-env", `${VARIABLE}_KEY`, "--admin-token-env", `${VARIABLE}_TOKEN`);
  if (profile !== undefined) serve.push("--profile", profile);
  if (seed !== undefined) serve.push("--seed", String(seed));
  if (strict) serve.push("--strict");
  const env = { ...process.env, [`${VARIABLE}_KEY`]: apiKey, [`${VARIABLE}_TOKEN`]: adminToken };
  // The server stops when its standard input ends, and that ends with this process.
  const child = spawn(program, [...words, ...serve, ...args], { env, stdio: ["pipe", "ignore", "pipe"] });
  try {
    const baseURL = await waitForURL(child, program, urlFile, timeout);
    for (const each of [child, child.stdin, child.stderr]) each.unref();
    const models = await send("GET", `${baseURL}/models`, { authorization: `Bearer ${apiKey}` });
    const server = new MockServer({ baseURL, apiKey, model: models.data[0].id, adminToken }, child);
    await server.reset();
    return server;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function connectMockServer(address = process.env[VARIABLE]) {
  if (!address) throw new Error(`no mock server: ${VARIABLE} is not set; add responses-mockserver/global-setup to the tests`);
  return new MockServer(typeof address === "string" ? JSON.parse(address) : address);
}

/** The command that runs the Python program. */
function serverCommand({ command, python = process.env[PYTHON_VARIABLE] }) {
  if (command) return command;
  if (python) return [python, "-m", "mockserver"];
  const requirement = `responses-mockserver==${version}`;
  if (isInstalled("uvx")) return ["uvx", "--from", requirement, "mockserver"];
  if (isInstalled("pipx")) return ["pipx", "run", "--spec", requirement, "mockserver"];
  throw new Error(
    "the mock server is a Python program: install uv (https://docs.astral.sh/uv/) or pipx, or name an interpreter " +
      `that has responses-mockserver with startMockServer({ python: "…" }) or ${PYTHON_VARIABLE}`,
  );
}

function isInstalled(program) {
  const names = process.platform === "win32" ? [`${program}.exe`, `${program}.cmd`] : [program];
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  return folders.some((folder) => names.some((name) => isExecutable(path.join(folder, name))));
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function waitForURL(child, program, urlFile, timeout) {
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdin.on("error", () => {}); // it has ended: the exit says why
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output = (output + text).slice(-MAX_OUTPUT_CHARS);
    });
    const timer = setInterval(() => existsSync(urlFile) && settle(resolve, readFileSync(urlFile, "utf8")), POLL_INTERVAL_MS);
    const limit = setTimeout(() => settle(reject, failed(`did not start within ${timeout} ms`)), timeout);
    const failed = (reason) => new Error(`the mock server ${reason} (${program})\n${output}`.trim() + remedy(program, output));
    const settle = (end, value) => {
      clearInterval(timer);
      clearTimeout(limit);
      end(value);
    };
    child.once("error", (error) => settle(reject, failed(`cannot be run: ${error.message}; check ${PYTHON_VARIABLE}, or the options python and command`)));
    child.once("close", (code, signal) => settle(reject, failed(`ended with ${signal ?? `exit status ${code}`}`)));
  });
}

/** What to do if the interpreter lacks the Python package. */
function remedy(program, output) {
  return output.includes("No module named mockserver") ? `\ninstall it: ${program} -m pip install responses-mockserver` : "";
}

/** Send a request with an agent of its own: tests replace `fetch` and set proxies. */
function send(method, url, headers, body) {
  return new Promise((resolve, reject) => {
    const options = { method, agent: new http.Agent(), headers: { ...headers, "content-type": "application/json" } };
    const request = http.request(url, options, (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(pieces).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${method} ${request.path}: ${errorMessage(text)}`));
      });
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function errorMessage(text) {
  try {
    const value = JSON.parse(text);
    return value.message ?? value.error.message;
  } catch {
    return text;
  }
}

exports.connectMockServer = connectMockServer;
exports.startMockServer = startMockServer;
exports.MockServer = MockServer;
exports.VARIABLE = VARIABLE;
