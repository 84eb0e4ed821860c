// Loaded by Node before a program (--require): TLS connections go through the proxy of HTTPS_PROXY.
//
// Node reads no proxy variable before version 24. fetch, node:https and node:http2 all call tls.connect, and
// look it up when they do.
"use strict";

const { syncBuiltinESMExports } = require("node:module");
const net = require("node:net");
const { Duplex } = require("node:stream");
const tls = require("node:tls");

const proxy = new URL(process.env.HTTPS_PROXY || process.env.https_proxy || "http://127.0.0.1:9");
const direct = (process.env.NO_PROXY || process.env.no_proxy || "")
  .split(",")
  .map((each) => each.trim().toLowerCase().replace(/^\*?\./, ""))
  .filter(Boolean);

function isDirect(host) {
  return direct.some((each) => each === "*" || host === each || host.endsWith(`.${each}`));
}

// The stream of a tunnel: what is written waits until the proxy has opened it.
class Tunnel extends Duplex {
  constructor(authority) {
    super({ allowHalfOpen: false });
    this.head = Buffer.alloc(0);
    this.isOpen = false;
    this.socket = net.connect(Number(proxy.port), proxy.hostname.replace(/^\[|\]$/g, ""));
    this.socket.on("connect", () => this.socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`));
    this.socket.on("data", (data) => (this.isOpen ? this.pass(data) : this.readHead(data)));
    this.socket.on("error", (error) => this.destroy(error));
    this.socket.on("end", () => this.push(null));
    this.socket.on("close", () => this.destroy());
  }

  readHead(data) {
    this.head = Buffer.concat([this.head, data]);
    const end = this.head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [line] = this.head.toString("latin1").split("\r\n", 1);
    if (!/^HTTP\/1\.\d 200 /.test(line)) {
      this.destroy(new Error(`the proxy refuses the connection: ${line}`));
      return;
    }
    const rest = this.head.subarray(end + 4);
    this.isOpen = true;
    if (rest.length) this.pass(rest);
    this.emit("open");
  }

  pass(data) {
    if (!this.push(data)) this.socket.pause();
  }

  _read() {
    this.socket.resume();
  }

  _write(data, _encoding, done) {
    if (this.isOpen) this.socket.write(data, done);
    else this.once("open", () => this.socket.write(data, done));
  }

  _final(done) {
    this.socket.end(done);
  }

  _destroy(error, done) {
    this.socket.destroy();
    done(error);
  }
}

const connect = tls.connect;

// tls.connect(options), (port, options), (port, host, options), each with a callback at its end.
tls.connect = function (...values) {
  const callback = typeof values[values.length - 1] === "function" ? values.pop() : undefined;
  const options = { ...values.find((each) => each !== null && typeof each === "object") };
  if (typeof values[0] === "number" || typeof values[0] === "string") options.port = values[0];
  if (typeof values[1] === "string") options.host = values[1];
  const host = (options.host || "localhost").toLowerCase();
  if (options.socket || options.path || isDirect(host)) return connect.apply(this, arguments);
  const name = options.servername || (net.isIP(host) ? "" : host);
  const authority = `${host.includes(":") ? `[${host}]` : host}:${options.port}`;
  const tunnel = new Tunnel(authority);
  const socket = connect.call(this, { ...options, servername: name, socket: tunnel }, callback);
  // An idle connection that is kept for further requests must not keep the program running.
  for (const method of ["ref", "unref"]) {
    socket[method] = function () {
      tunnel.socket[method]();
      return tls.TLSSocket.prototype[method].call(this);
    };
  }
  return socket;
};
syncBuiltinESMExports();
