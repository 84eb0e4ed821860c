"use strict";
// Stops the server of `responses-mockserver/global-setup`: `globalTeardown` of jest.

const { VARIABLE } = require("./index.js");

module.exports = async function globalTeardown() {
  await globalThis[Symbol.for(VARIABLE)]?.stop();
};
