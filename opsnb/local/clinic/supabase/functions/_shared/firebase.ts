// Who calls: the Firebase ID token in `x-firebase-token` (Authorization carries the project's anon key, for the gateway).
import { Refusal, requireVariable } from "./http.ts";

const GOOGLE_KEYS = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
const CLOCK_SKEW_S = 5;
const SHORTEST_CACHE_S = 30; // an unknown key id does not make us ask again more often than this

export interface Caller {
  uid: string; // Firebase's user id, the `sub` of the token
  token: string;
}

interface SigningKey extends JsonWebKey {
  kid?: string;
}

let keys = new Map<string, CryptoKey>();
let fetchedAt = -Infinity;
let freshUntil = -Infinity;

/** The verified caller; refuses with 401 where there is no token or a wrong one. */
export async function requireCaller(request: Request): Promise<Caller> {
  const project = requireVariable("FIREBASE_PROJECT_ID");
  const token = request.headers.get("x-firebase-token");
  if (!token) throw new Refusal(401, "The x-firebase-token header is missing.");

  const [header, payload, signature, ...rest] = token.split(".");
  if (!header || !payload || !signature || rest.length) throw new Refusal(401, "The token is malformed.");
  const { alg, kid } = parse(header);
  if (alg !== "RS256" || typeof kid !== "string") throw new Refusal(401, "The token is not signed as Firebase signs.");
  const key = await signingKey(kid);
  const signed = new TextEncoder().encode(`${header}.${payload}`);
  if (!key || !(await crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, decode(signature), signed))) {
    throw new Refusal(401, "The token is not signed by Firebase.");
  }

  const { iss, aud, exp, iat, auth_time: signedInAt, sub } = parse(payload);
  const now = Date.now() / 1000;
  if (iss !== `https://securetoken.google.com/${project}` || aud !== project) {
    throw new Refusal(401, "The token belongs to another Firebase project.");
  }
  if (typeof exp !== "number" || exp <= now - CLOCK_SKEW_S) throw new Refusal(401, "The token has expired.");
  for (const past of [iat, signedInAt]) {
    if (typeof past !== "number" || past > now + CLOCK_SKEW_S) throw new Refusal(401, "The token is not valid yet.");
  }
  if (typeof sub !== "string" || !sub) throw new Refusal(401, "The token has no subject.");
  return { uid: sub, token };
}

async function signingKey(kid: string): Promise<CryptoKey | undefined> {
  const now = Date.now() / 1000;
  const stale = now >= freshUntil || (!keys.has(kid) && now >= fetchedAt + SHORTEST_CACHE_S);
  if (stale) {
    // FIREBASE_JWKS_URL is set where Google's keys are not the issuer's: in the local target
    const response = await fetch(Deno.env.get("FIREBASE_JWKS_URL") ?? GOOGLE_KEYS);
    if (!response.ok) throw new Error(`the signing keys of Firebase could not be fetched (status ${response.status})`);
    const { keys: published } = await response.json() as { keys: SigningKey[] };
    keys = new Map(await Promise.all(published.map(importKey)));
    fetchedAt = now;
    freshUntil = now + maxAge(response.headers.get("cache-control"));
  }
  return keys.get(kid);
}

async function importKey(key: SigningKey): Promise<[string, CryptoKey]> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  return [key.kid ?? "", await crypto.subtle.importKey("jwk", key, algorithm, false, ["verify"])];
}

function maxAge(cacheControl: string | null): number {
  return Math.max(Number(cacheControl?.match(/max-age=(\d+)/)?.[1] ?? 300), SHORTEST_CACHE_S);
}

function decode(part: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  } catch {
    throw new Refusal(401, "The token is malformed.");
  }
}

function parse(part: string): Record<string, unknown> {
  try {
    const value = JSON.parse(new TextDecoder().decode(decode(part)));
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // not JSON: refused below, like JSON that is no object
  }
  throw new Refusal(401, "The token is malformed.");
}
