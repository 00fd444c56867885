// Runs one deployed function: `deno run ... main.ts`, its settings as one line of JSON on standard input.
//
// Standard input carries the environment of the function, so that no secret is in the process table or in /proc, and its end
// means that the daemon is gone: a worker never outlives it. Standard output carries one JSON object a line:
//   {"ready": port, "key"}  {"failed": reason, "key"}  {"level", "event_message", "event_type", "execution_id"}
import { AsyncLocalStorage } from "node:async_hooks";

interface Settings {
  entrypoint: string; // file URL of the bundle's entrypoint
  environment: Record<string, string>;
  key: string; // only the daemon knows it: nobody reaches the function past the gateway
  url: string; // the daemon's own address: what is asked of it carries the execution id
}

type Handler = (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>;
interface ServeOptions {
  handler?: Handler;
  onError?: (error: unknown) => Response | Promise<Response>;
}

const EXECUTION = "x-sb-execution-id";
const KEY = "x-opsnb-worker-key";
const FAILED = "x-opsnb-uncaught";
const LONGEST_LINE = 10_000; // characters; the platform cuts longer log lines

const output = new TextEncoder();
const executions = new AsyncLocalStorage<string>();

function say(line: Record<string, unknown>): void {
  const bytes = output.encode(JSON.stringify(line) + "\n");
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}

function log(level: string, message: string, eventType = "Log"): void {
  say({
    level,
    event_message: message.slice(0, LONGEST_LINE),
    event_type: eventType,
    execution_id: executions.getStore() ?? "",
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}

async function readSettings(): Promise<Settings> {
  const reader = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) Deno.exit(0);
    text += value;
  }
  const exit = Deno.exit;
  (async () => {
    while (!(await reader.read()).done);
    exit(0);
  })();
  return JSON.parse(text.slice(0, text.indexOf("\n")));
}

function replaceConsole(): void {
  const inspect = (value: unknown) => typeof value === "string" ? value : Deno.inspect(value, { depth: 4 });
  const writer = (level: string) => (...values: unknown[]) => log(level, values.map(inspect).join(" "));
  Object.assign(console, {
    debug: writer("debug"),
    log: writer("log"),
    info: writer("info"),
    warn: writer("warning"),
    error: writer("error"),
    trace: writer("debug"),
  });
}

/** As on the platform: the function sees its own variables and nothing of the process; an unknown name is undefined. */
function replaceEnvironment(given: Record<string, string>): void {
  const variables = new Map(Object.entries(given));
  const readOnly = () => {
    throw new Deno.errors.NotSupported("The environment of a function cannot be changed.");
  };
  Object.defineProperty(Deno, "env", {
    value: Object.freeze({
      get: (name: string) => variables.get(name),
      has: (name: string) => variables.has(name),
      toObject: () => Object.fromEntries(variables),
      set: readOnly,
      delete: readOnly,
    }),
  });
}

/** What a function asks of its own project names the execution, so that the request log can be followed to its cause. */
function replaceFetch(url: string): void {
  const original = globalThis.fetch;
  globalThis.fetch = (input: string | URL | Request, init?: RequestInit) => {
    const execution = executions.getStore();
    const request = new Request(input, init);
    if (execution && request.url.startsWith(url)) request.headers.set(EXECUTION, execution);
    return original(request);
  };
}

function replaceServe(key: string): { used: () => boolean; serve: (handler: Handler) => void } {
  const original = Deno.serve;
  let used = false;
  function serve(first: Handler | ServeOptions, second?: Handler): Deno.HttpServer {
    const options: ServeOptions = typeof first === "function" ? {} : first;
    const handler = typeof first === "function" ? first : second ?? first.handler;
    if (!handler) throw new TypeError("Deno.serve needs a handler");
    if (used) throw new Error("Deno.serve was called twice; a function has one handler");
    used = true;

    async function answer(request: Request, info: Deno.ServeHandlerInfo): Promise<Response> {
      try {
        return await handler!(request, info);
      } catch (error) {
        if (options.onError) return await options.onError(error);
        log("error", describe(error), "UncaughtException");
        return new Response("Internal Server Error", { status: 500, headers: { [FAILED]: "1" } });
      }
    }
    return original(
      { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => say({ ready: port, key }) },
      (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => {
        if (request.headers.get(KEY) !== key) return new Response("Forbidden", { status: 403 });
        const headers = new Headers(request.headers);
        headers.delete(KEY);
        // not `new Request(request)`: that would read its abort signal, about which Deno warns on stderr
        const { url, method, body } = request;
        const clean = new Request(url, { method, headers, body });
        return executions.run(headers.get(EXECUTION) ?? "", () => answer(clean, info));
      },
    );
  }
  Object.defineProperty(Deno, "serve", { value: serve });
  return { used: () => used, serve: (handler) => void serve(handler) };
}

const settings = await readSettings();
replaceConsole();
replaceEnvironment(settings.environment);
replaceFetch(settings.url);
const server = replaceServe(settings.key);
globalThis.addEventListener("unhandledrejection", (event) => log("error", describe(event.reason), "UncaughtException"));
globalThis.addEventListener("error", (event) => log("error", describe(event.error), "UncaughtException"));

try {
  const module = await import(settings.entrypoint);
  if (!server.used() && typeof module.default?.fetch === "function") {
    server.serve((request) => module.default.fetch(request));
  }
  if (!server.used()) throw new Error("the entrypoint neither called Deno.serve nor exports a default fetch");
} catch (error) {
  say({ failed: describe(error), key: settings.key });
  Deno.exit(1);
}
