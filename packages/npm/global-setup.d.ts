/** Starts one server for all tests; returns the function that stops it. */
declare function globalSetup(): Promise<() => Promise<void>>;
export = globalSetup;
