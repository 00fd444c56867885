// What every function of the clinic does around its own work: JSON in, JSON out, one line of log, no detail of a failure.

/** An answer other than success. The message goes to the caller and to the log: it never names a patient. */
export class Refusal extends Error {
  constructor(readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 503, message: string) {
    super(message);
  }
}

export type Body = Record<string, unknown>;

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "authorization, apikey, content-type, x-client-info, x-firebase-token",
  "access-control-allow-methods": "POST, OPTIONS",
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Serves `answer` for POST requests with a JSON object; `name` is how the log calls the function. */
export function serve(name: string, answer: (body: Body, request: Request) => Promise<Body>): void {
  Deno.serve(async (request) => {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
    try {
      if (request.method !== "POST") throw new Refusal(405, "Send a POST request.");
      const result = await answer(await readBody(request), request);
      console.info(`${name}: answered`);
      return Response.json({ success: true, ...result }, { headers: CORS });
    } catch (error) {
      if (error instanceof Refusal) {
        console.warn(`${name}: refused with ${error.status}: ${error.message}`);
        return Response.json({ success: false, error: error.message }, { status: error.status, headers: CORS });
      }
      console.error(`${name}: failed: ${error instanceof Error ? error.message : "unknown error"}`);
      return Response.json({ success: false, error: "Internal error" }, { status: 500, headers: CORS });
    }
  });
}

async function readBody(request: Request): Promise<Body> {
  let body: unknown;
  try {
    body = await request.json();
  } catch {
    throw new Refusal(400, "The body is not JSON.");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw new Refusal(400, "The body is not a JSON object.");
  return body as Body;
}

/** The UUID called `name` in the body. */
export function requireId(body: Body, name: string): string {
  const value = body[name];
  if (typeof value !== "string" || !UUID.test(value)) throw new Refusal(400, `${name} must be a UUID.`);
  return value.toLowerCase();
}

/** Whether the caller wants everything checked and nothing written. */
export function isDryRun(body: Body): boolean {
  if (body.dryRun !== undefined && typeof body.dryRun !== "boolean") throw new Refusal(400, "dryRun must be true or false.");
  return body.dryRun === true;
}

/** The value of a variable without which no request can be answered. */
export function requireVariable(name: string): string {
  const value = Deno.env.get(name);
  if (!value) throw new Error(`the variable ${name} is not set`);
  return value;
}
