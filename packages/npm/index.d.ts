/** A reply as in an exchange file: a text, a list of items, or an object. */
export type Reply = string | ReadonlyArray<string | ReplyContent> | ReplyContent;

export interface ReplyContent {
  text?: string;
  /** The deltas of a streamed text. */
  chunks?: readonly string[];
  /** A text that is JSON. */
  json?: unknown;
  reasoning?: string;
  function_call?: { name: string; arguments: string | Record<string, unknown> };
  usage?: Record<string, unknown>;
  incomplete?: boolean;
  delay_ms?: number;
  fault?: string;
  /** Send the content as it is, even if it breaks the contract. */
  invalid?: boolean;
  /** Fill placeholders such as `{{request.prompt}}`. */
  template?: boolean;
  [member: string]: unknown;
}

/** The members of a stub beside its reply; see docs/scripting.md. */
export interface StubOptions {
  /** The whole prompt, or conditions by name. */
  match?: string | Record<string, unknown>;
  /** How many requests it answers; default: 1. */
  times?: number | "always";
  name?: string;
  [member: string]: unknown;
}

/** A request and its reply, without keys. */
export interface JournalEntry {
  number: number;
  method: string;
  path: string;
  headers: Record<string, string>;
  /** The body of the request, as text. */
  body: string;
  status: number | null;
  stream: boolean;
  /** The reply as it was sent, as text. */
  reply: string;
  model: string;
  prompt: string;
  findings: string[];
  [member: string]: unknown;
}

export interface Violation {
  /** The number of the request in the journal; null for one that is about no single request. */
  request: number | null;
  rule: string;
  severity: "error" | "warning" | "info";
  location: string;
  message: string;
}

export interface Verdict {
  session: string;
  verdict: "pass" | "fail" | "unchecked";
  requests: number;
  violations: Violation[];
  /** Stubs that answered fewer requests than they should. */
  unused: string[];
  /** Requests that could not be checked. */
  unchecked: string[];
  /** All findings about conduct, if they were asked for. */
  conduct?: Violation[];
}

export interface VerdictOptions {
  /** Also check what the client does over several requests. */
  conduct?: boolean;
}

/** What another process needs to use a server. It holds the server's keys, which are new in each run. */
export interface Address {
  baseURL: string;
  apiKey: string;
  model: string;
  adminToken: string;
  session?: string;
}

export interface StartOptions {
  /** A Python interpreter that has responses-mockserver; default: RESPONSES_MOCKSERVER_PYTHON, else uvx or pipx. */
  python?: string;
  /** The whole command that runs `mockserver`. */
  command?: readonly [string, ...string[]];
  /** A profile, such as "qwen-2026-09" or "latest". */
  profile?: string;
  /** Makes replies repeatable to the byte. */
  seed?: number;
  /** Reject requests that no stub answers; default: true. */
  strict?: boolean;
  /** Further options of `mockserver serve`. */
  args?: readonly string[];
  /** Milliseconds that the start may take; default: 180,000, because uvx and pipx may download the server. */
  timeout?: number;
}

export class MockServer {
  private constructor();
  /** The base URL for a client. */
  readonly baseURL: string;
  readonly apiKey: string;
  /** A model of the profile. */
  readonly model: string;
  /** OPENAI_BASE_URL, OPENAI_API_KEY and DASHSCOPE_API_KEY. */
  readonly env: Record<"OPENAI_BASE_URL" | "OPENAI_API_KEY" | "DASHSCOPE_API_KEY", string>;
  /** Add a stub; returns its name. */
  reply(reply: Reply, stub?: StubOptions): Promise<string>;
  /** Add a stub that answers with an error of `mockserver faults`; returns its name. */
  fail(error: string | { name: string; [option: string]: unknown }, stub?: StubOptions): Promise<string>;
  /** All requests in order. */
  journal(): Promise<JournalEntry[]>;
  verdict(options?: VerdictOptions): Promise<Verdict>;
  /** Throw an error with every violation if the verdict is "fail". */
  check(options?: VerdictOptions): Promise<void>;
  /** Clear stubs, journal and stored responses. */
  reset(): Promise<void>;
  /** Create or replace a session, for tests that run in parallel: a view of its own on the same server. */
  session(name: string, settings?: Record<string, unknown>): Promise<MockServer>;
  /** Stop the server, if this process has started it. It also stops when this process ends. */
  stop(): Promise<void>;
  toJSON(): Address;
}

/** Start a server on a free port. */
export function startMockServer(options?: StartOptions): Promise<MockServer>;

/** Use the server of a global setup, or that of another process. */
export function connectMockServer(address?: Address | string): MockServer;
