export default { test: { globalSetup: "responses-mockserver/global-setup" } };
