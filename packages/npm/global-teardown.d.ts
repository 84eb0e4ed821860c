/** Stops the server that the global setup has started. */
declare function globalTeardown(): Promise<void>;
export = globalTeardown;
