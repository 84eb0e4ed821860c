"use strict";
// Starts one server for all tests: `globalSetup` of vitest, jest and Playwright.

const { VARIABLE, startMockServer } = require("./index.js");

/** vitest and Playwright call the function that is returned; jest needs `responses-mockserver/global-teardown`. */
module.exports = async function globalSetup() {
  const server = await startMockServer();
  Object.assign(process.env, server.env, { [VARIABLE]: JSON.stringify(server) });
  globalThis[Symbol.for(VARIABLE)] = server;
  return () => server.stop();
};
