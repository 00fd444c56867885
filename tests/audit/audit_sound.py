"""Functions in which nothing is wrong, written in ways that look as if: no check may find an error or a doubt in them."""

from __future__ import annotations

from audit_planted import ADMIN, AS_CALLER, HEAD

_USER = """
const { data: { user }, error: unverified } = await admin.auth.getUser(req.headers.get("Authorization")!.replace("Bearer ", ""));
if (unverified || !user) return refuse(401);
"""

ANON = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJpc3MiOiJzdXBhYmFzZSIsInJvbGUiOiJhbm9uIn0." + "c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJl"


def handler(body: str, head: str = AS_CALLER) -> dict[str, str]:
    return {"f/index.ts": f"{head}\nDeno.serve(async (req) => {{\n{body}\n}});\n"}


SOUND: dict[str, dict[str, str]] = {
    "embedded tables, aliases, JSON and casts": handler("""
  const { data, error } = await asCaller(req).from("soap_notes").select(`
    id, when:signed_at, status::text,
    appointment:appointments(id, starts_at, patient:users!appointments_patient_id_fkey(full_name)),
    soap_plan_medication(name, dose), soap_subjective_allergies(count)
  `).eq("status", "signed").eq("appointment.status", "completed").order("signed_at", { ascending: false });
  if (error) throw error;
  return Response.json(data);"""),
    "embedded by the column": handler("""
  const { data, error } = await asCaller(req).from("appointments").select("id, patient:patient_id(full_name), ...users!provider_id(role)");
  if (error) throw error;
  return Response.json(data);"""),
    "path into a document": handler("""
  const { data, error } = await asCaller(req).from("context_snapshots").select("id, reason:context->>reason, context->record->allergies")
    .eq("context->>reason", "fever").not("context->record", "is", null);
  if (error) throw error;
  return Response.json(data);"""),
    "everything, and a count": handler("""
  const { count, error } = await asCaller(req).from("users").select("*", { count: "exact", head: true });
  if (error) throw error;
  return Response.json({ count });"""),
    "columns that are computed": handler("""
  const { fields } = await req.json();
  const { data, error } = await asCaller(req).from("users").select(["id", ...fields].join(","));
  if (error) throw error;
  return Response.json(data);"""),
    "conditions joined by or": handler("""
  const { me } = await req.json();
  const { data, error } = await asCaller(req).from("appointments").select("id")
    .or(`patient_id.eq.${me},and(provider_id.eq.${me},status.in.(scheduled,in_progress)),reason.ilike."%a.b,c%"`);
  if (error) throw error;
  return Response.json(data);"""),
    "a bucket is no table": handler("""
  const { data, error } = await asCaller(req).storage.from("recordings").list("calls");
  if (error) throw error;
  return Response.json(data);"""),
    "Array.from, Buffer.from": handler("""
  const letters = Array.from("abc"), bytes = Uint8Array.from([1, 2]);
  return Response.json({ letters, bytes, has: letters.includes("a") });"""),
    "code in comments and texts": handler("""
  // const { data } = await admin.from("no_such_table").select("nothing");
  /* Deno.env.get("NOT_READ"); import { gone } from "./gone.ts"; */
  const help = `await admin.from("no_such_table").insert({ a: 1 }); Deno.env.get("NOT_READ")`;
  const pattern = /from\\("no_such_table"\\)/;
  return new Response(help.replace(pattern, ""));"""),
    "values that the CHECK takes": handler("""
  const { id, done } = await req.json();
  const status = done ? "completed" : "no_show";
  const { error } = await asCaller(req).from("appointments").update({ status, reason: null }).eq("id", id);
  if (error) throw error;
  const signed = { status: "signed", signed_at: new Date().toISOString() };
  const { error: second } = await asCaller(req).from("soap_notes").update(signed).eq("id", id);
  if (second) throw second;
  const { error: third } = await asCaller(req).from("visits").insert({ kind: "video", note: "anything" });
  if (third) throw third;
  return new Response("ok");"""),
    "rows of unknown shape": handler("""
  const rows = await req.json();
  const { error } = await asCaller(req).from("soap_plan_medication").upsert(rows.map((row: Record<string, unknown>) => ({ ...row })));
  if (error) throw error;
  return new Response("ok");"""),
    "the argument of a routine": handler("""
  const name = "merge_soap_into_cumulative_record" as const;
  const { data, error } = await asCaller(req).rpc(name, { p_soap_note_id: (await req.json()).id });
  if (error) throw error;
  return Response.json(data);"""),
    "another schema, named": handler("""
  const { data, error } = await asCaller(req).schema("archive").from("old_notes").select("whatever");
  if (error) throw error;
  return Response.json(data);"""),
    "a query built in steps": handler("""
  const { after, status } = await req.json();
  let query = asCaller(req).from("appointments").select("id, status");
  if (after) query = query.gt("starts_at", after);
  if (status) { query = query.eq("status", status); }
  const { data, error } = await query.limit(20);
  return error ? new Response(null, { status: 500 }) : Response.json(data);"""),
    "error under another name, looked at later": handler("""
  const answer = await asCaller(req).from("users").select("id").maybeSingle();
  const { data: user, error: wrong } = answer;
  const failure = wrong ?? null;
  if (failure !== null) return new Response(null, { status: 500 });
  return Response.json(user);"""),
    "throwOnError": handler("""
  const { data } = await asCaller(req).from("users").select("id").throwOnError();
  return Response.json(data);"""),
    "then with the error": handler("""
  return await asCaller(req).from("users").select("id").then(({ data, error }) => {
    if (error) return new Response(null, { status: 500 });
    return Response.json(data);
  });"""),
    "an answer handed to a helper": {
        "_shared/must.ts": """
export function must<T>(answer: { data: T | null; error: { message: string } | null }): T {
  if (answer.error || answer.data === null) throw new Error("the database refused");
  return answer.data;
}""",
        "f/index.ts": 'import { must } from "../_shared/must.ts";' + AS_CALLER + """
Deno.serve(async (req) => Response.json(must(await asCaller(req).from("users").select("id"))));""",
    },
    "several answers, each looked at": handler("""
  const db = asCaller(req);
  const [notes, visits] = await Promise.all([db.from("soap_notes").select("id"), db.from("appointments").select("id")]);
  if (notes.error || visits.error) throw notes.error ?? visits.error;
  return Response.json([notes.data, visits.data]);"""),
    "work after the answer": handler("""
  const write = async () => {
    const { error } = await asCaller(req).from("appointments").update({ status: "in_progress" }).eq("id", "1");
    if (error) console.error("not written", error.code);
  };
  EdgeRuntime.waitUntil(write());
  return new Response("ok");"""),
    "status of a request by ok": handler("""
  const response = await fetch("https://api.example.org/v1/x", { signal: AbortSignal.timeout(1000) });
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return Response.json(await response.json());""", ""),
    "a request passed on": handler("""
  return fetch("https://api.example.org/v1/x", { method: req.method });""", ""),
    "variables, checked": {
        "f/index.ts": """
const required = ["FIRST_NAME", "SECOND_NAME"] as const;
const missing = required.filter((name) => !Deno.env.get(name));
if (missing.length) throw new Error(`not set: ${missing.join(", ")}`);
const timeout = Number(Deno.env.get("TIMEOUT_MS") ?? 5000);
Deno.serve(() => new Response(String(timeout)));""",
    },
    "imports of every kind": {
        "deno.jsonc": '{ "imports": { "@shared/": "./_shared/", "supabase": "npm:@supabase/supabase-js@2.45.4" } /* all */ }',
        "_shared/a.ts": """
export const one = 1, [two] = [2];
export type Three = 3;
export interface Four { a: 1 }
export enum Five { A }
export default class {}
export { one as uno };
export abstract class Six {}
export declare const seven: number;""",
        "_shared/b.ts": """
export * from "./a.ts";
export { default as Whole, type Three as Trois } from "./a.ts";
export * as all from "./a.ts";""",
        "f/data.json": '{"a": 1}',
        "f/index.ts": """
import "jsr:@supabase/functions-js/edge-runtime.d.ts";
import { createClient, type SupabaseClient } from "supabase";
import Main, { one, two, uno, type Three } from "@shared/a.ts";
import type { Four } from "../_shared/a.ts";
import * as a from "../_shared/a.ts";
import { all, Five, seven, Six, Trois, Whole } from "../_shared/b.ts";
import data from "./data.json" with { type: "json" };
import { join } from "node:path";
import { serve } from "https://deno.land/std@0.224.0/http/server.ts";
import { z } from "https://esm.sh/zod@3.23.8?target=deno";
const lazily = () => import("../_shared/b.ts");
serve(() => Response.json([createClient, Main, one, two, uno, a.one, all, Five, seven, Six, Whole, data, join, z, lazily]));
export type Used = [Three, Four, Trois, SupabaseClient];""",
    },
    "verified, and the record is the caller's": handler(_USER + """
  const { data, error } = await admin.from("patient_profiles").select("blood_type").eq("user_id", user.id).single();
  if (error) return refuse(500);
  return Response.json(data);""", ADMIN),
    "filtered by both": handler(_USER + """
  const { noteId } = await req.json();
  const { error } = await admin.from("soap_notes").delete().eq("id", noteId).eq("provider_id", user.id);
  return refuse(error ? 500 : 204);""", ADMIN),
    "owner compared after reading": handler(_USER + """
  const { noteId } = await req.json();
  const { data: note, error } = await admin.from("soap_notes").select("id, provider_id").eq("id", noteId).maybeSingle();
  if (error) return refuse(500);
  if (note?.provider_id !== user.id) return refuse(404);
  const { error: wrong } = await admin.from("soap_notes").update({ summary: "seen" }).eq("id", note.id);
  return refuse(wrong ? 500 : 204);""", ADMIN),
    "the caller's own rights found it first": handler(_USER + """
  const { appointmentId } = await req.json();
  const mine = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!, {
    global: { headers: { Authorization: req.headers.get("Authorization")! } },
  });
  const { data: appointment, error } = await mine.from("appointments").select("id").eq("id", appointmentId).single();
  if (error) return refuse(404);
  const { error: wrong } = await admin.from("video_call_sessions").update({ status: "ended" }).eq("appointment_id", appointmentId);
  return refuse(wrong ? 500 : 200);""", ADMIN),
    "administrators only": handler(_USER + """
  if (user.app_metadata?.role !== "admin") return refuse(403);
  const { data, error } = await admin.from("users").select("id, full_name").eq("id", (await req.json()).userId);
  return error ? refuse(500) : Response.json(data);""", ADMIN),
    "a secret of machines": handler("""
  if (req.headers.get("x-cron-secret") !== Deno.env.get("CRON_SECRET")) return refuse(401);
  const { error } = await admin.from("appointments").update({ status: "no_show" }).lt("ends_at", (await req.json()).before);
  return refuse(error ? 500 : 204);""", ADMIN),
    "verified by a library that throws": handler("""
  const { payload } = await jwtVerify(req.headers.get("authorization")!.slice(7), keys, { audience: "x" });
  const { data, error } = await admin.from("users").select("id").eq("firebase_uid", payload.sub);
  return error ? refuse(500) : Response.json(data);""",
        ADMIN + 'import { createRemoteJWKSet, jwtVerify } from "https://deno.land/x/jose@v5.9.6/index.ts";\n'
                'const keys = createRemoteJWKSet(new URL("https://issuer.example.org/keys"));\n'),
    "verified by a helper that answers with a refusal": {
        "_shared/guard.ts": ADMIN + """
export async function guard(req: Request): Promise<Response | undefined> {
  const { data, error } = await admin.auth.getClaims(req.headers.get("authorization")?.slice(7));
  if (error || !data) return new Response(null, { status: 401 });
}
export const db = admin;""",
        "f/index.ts": """
import { db, guard } from "../_shared/guard.ts";
Deno.serve(async (req) => {
  const refused = await guard(req);
  if (refused) return refused;
  const { data, error } = await db.from("app_settings").select("key, value");
  return error ? new Response(null, { status: 500 }) : Response.json(data);
});""",
    },
    "verified by a helper that gives the user or nothing": {
        "_shared/who.ts": HEAD + """
export default async function who(request: Request) {
  const token = request.headers.get("Authorization")?.split(" ")[1];
  if (!token) return null;
  const db = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!);
  const { data: { user }, error } = await db.auth.getUser(token);
  return error ? null : user;
}""",
        "f/index.ts": ADMIN + """
import who from "../_shared/who.ts";
Deno.serve(async (req: Request): Promise<Response> => {
  if (req.method === "OPTIONS") return new Response("ok");
  const user = await who(req);
  if (!user) {
    return refuse(401);
  }
  const { data, error } = await admin.from("soap_notes").select("id").or(`patient_id.eq.${user.id},provider_id.eq.${user.id}`);
  if (error) { return refuse(500); }
  return Response.json(data);
});""",
    },
    "a middleware verifies": {
        "f/index.ts": ADMIN + """
import { Hono } from "npm:hono@4.6.3";
const app = new Hono();
app.use("*", async (c, next) => {
  const { data, error } = await admin.auth.getUser(c.req.header("Authorization")?.slice(7));
  if (error || !data.user) return c.json({}, 401);
  c.set("user", data.user);
  await next();
});
app.get("/settings", async (c) => {
  const { data, error } = await admin.from("app_settings").select("key, value");
  return error ? c.json({}, 500) : c.json(data);
});
Deno.serve(app.fetch);""",
    },
    "a wrapper that takes the handler": {
        "_shared/jwt.ts": """
import * as jose from "jsr:@panva/jose@6.0.11";
const keys = jose.createRemoteJWKSet(new URL(Deno.env.get("SUPABASE_URL")! + "/auth/v1/.well-known/jwks.json"));
const verify = (jwt: string) => jose.jwtVerify(jwt, keys);
export async function guarded(req: Request, next: (req: Request) => Promise<Response>) {
  if (req.method === "OPTIONS") return await next(req);
  try {
    const [, token] = req.headers.get("authorization")!.split(" ");
    const valid = await verify(token);
    if (valid) return await next(req);
    return Response.json({}, { status: 401 });
  } catch (problem) {
    return Response.json({ problem: String(problem) }, { status: 401 });
  }
}""",
        "f/index.ts": ADMIN + """
import { guarded } from "../_shared/jwt.ts";
Deno.serve((r) => guarded(r, async (req) => {
  switch (true) {
    case req.method === "GET": {
      const { data, error } = await admin.from("app_settings").select("key");
      if (error) throw error;
      return Response.json(data);
    }
    default:
      return refuse(405);
  }
}));""",
    },
    "the platform's own wrapper": {
        "f/index.ts": """
import { withSupabase } from "npm:@supabase/server@1.1.0";
export default {
  fetch: withSupabase({ auth: "user" }, async (req, { supabase, supabaseAdmin, userClaims }) => {
    const { data: mine, error } = await supabase.from("appointments").select("id, provider_id");
    if (error) throw error;
    const { data, error: wrong } = await supabaseAdmin.from("users").select("role").eq("firebase_uid", userClaims!.id).single();
    if (wrong) throw wrong;
    return Response.json([mine, data]);
  }),
};""",
        "g/index.ts": """
import { withSupabase } from "npm:@supabase/server@1.1.0";
Deno.serve(withSupabase({ auth: ["secret:nightly"] }, async (req, ctx) => {
  const { error } = await ctx.supabaseAdmin.from("appointments").update({ status: "no_show" }).eq("id", (await req.json()).id);
  return new Response(null, { status: error ? 500 : 204 });
}));""",
    },
    "a web hook that is signed": {
        "f/index.ts": ADMIN + """
import { Webhook } from "npm:standardwebhooks@1.0.0";
const hook = new Webhook(Deno.env.get("HOOK_SECRET")!.replace("v1,whsec_", ""));
addEventListener("beforeunload", (ev) => console.log("ended", ev.detail?.reason));
Deno.serve(async (req) => {
  const payload = await req.text();
  try {
    const { user } = hook.verify(payload, Object.fromEntries(req.headers)) as { user: { id: string } };
    const { error } = await admin.from("users").update({ full_name: "new" }).eq("id", user.id);
    if (error) throw error;
  } catch (problem) {
    return Response.json({ problem: String(problem) }, { status: 401 });
  }
  return refuse(204);
});""",
    },
    "owner or administrator, told in steps": handler(_USER + """
  const id = new URL(req.url).searchParams.get("note_id");
  if (!id) throw new Error("which one?");
  const { data: note, error } = await admin.from("soap_notes").select("id, provider_id").eq("id", id).single();
  if (error || !note) return refuse(404);
  const isOwner = note.provider_id === user.id;
  let isAdministrator = false;
  if (!isOwner) {
    const { data: role, error: unknown } = await admin.from("users").select("role").eq("id", user.id).eq("role", "admin").maybeSingle();
    if (unknown) return refuse(500);
    isAdministrator = !!role;
  }
  if (!isOwner && !isAdministrator) return refuse(403);
  let parts = admin.from("soap_plan_medication").select("name").eq("soap_note_id", id);
  if (req.headers.get("x-only-active")) parts = parts.eq("status", "active");
  const { data, error: wrong } = await parts;
  return wrong ? refuse(500) : Response.json(data);""", ADMIN),
    "a guard that makes handlers": {
        "_shared/guard.ts": ADMIN + """
type User = { id: string };
export const withUser = (handler: (req: Request, user: User) => Promise<Response>) => async (req: Request): Promise<Response> => {
  let user: User;
  try {
    user = await asked(req);
  } catch {
    return refuse(401);
  }
  return await handler(req, user);
};
async function asked(req: Request): Promise<User>;
async function asked(req: Request) {
  const { data, error } = await admin.auth.getUser(req.headers.get("authorization")?.slice(7));
  if (error || !data?.user) throw new Error("who?");
  return data.user;
}
export { admin as db };""",
        "f/index.ts": """
import { db, withUser } from "../_shared/guard.ts";
Deno.serve(withUser(async (req, user) => {
  const { noteId } = await req.json();
  const { data: note, error } = await db.from("soap_notes").select("id, patient_id, provider_id").eq("id", noteId).single();
  if (error) return new Response(null, { status: 404 });
  if (![note.patient_id, note.provider_id].includes(user.id)) return new Response(null, { status: 403 });
  return Response.json(note);
}));""",
    },
    "the caller of a class": {
        "_shared/service.ts": HEAD.replace("import { createClient }", "import { createClient, type SupabaseClient }") + """
export class Service {
  #db: SupabaseClient;
  readonly user: Promise<{ id: string }>;
  constructor(private readonly req: Request, db = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!)) {
    this.#db = db;
    this.user = this.who();
  }
  private async who() {
    const { data, error } = await this.#db.auth.getUser(this.req.headers.get("authorization")!);
    if (error !== null) throw error;
    return data.user;
  }
  async notes() {
    const user = await this.who();
    const { data, error } = await this.#db.from("soap_notes").select("id").eq("patient_id", user.id);
    if (error) throw error;
    return data;
  }
}""",
        "f/index.ts": """
import { Service } from "../_shared/service.ts";
Deno.serve(async (req) => Response.json(await new Service(req).notes()));""",
    },
    "asked of the database whether it may": handler(_USER + """
  const { noteId } = await req.json();
  const mayRead = async (who: string, note: string) => {
    const counted = admin.from("soap_notes").select("id", { count: "exact", head: true });
    const { count, error } = await counted.eq("id", note).eq("provider_id", who);
    if (error) throw error;
    return (count ?? 0) > 0;
  };
  if (!(await mayRead(user.id, noteId))) return refuse(403);
  const { data, error } = await admin.from("soap_plan_medication").select("name").eq("soap_note_id", noteId);
  return error ? refuse(500) : Response.json(data);""", ADMIN),
    "newer syntax": {
        "_shared/types.ts": "export type * from './more.ts';\nexport interface Source<in out T> { get(): T }\n",
        "_shared/more.ts": "export type One = 1;",
        "f/index.ts": """#!/usr/bin/env -S deno run
import type { One, Source } from "../_shared/types.ts";
class Counter { static #made = 0; accessor n = 1; static { Counter.#made += 1; } has(o: object) { return #made in o; } }
const one = <const T,>(value: T) => value satisfies T;
Deno.serve(async () => {
  await using lock = await acquire();
  const text = await new Response(String(one(new Counter().n ** 2))).text();
  return new Response(text ||= "none");
});
declare function acquire(): Promise<AsyncDisposable>;
export type Both = One & Source<One>;""",
    },
    "samples and public values": {
        "f/index.ts": f"""
// AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE, key [json-format-key], password: "your-key-here", postgres://user:password@localhost/db
const sample = {{ apiKey: "your-key-here", secret: "[json-format-key]", password: "changeme-please", token: "<token>" }};
const id = "298d5300-df6d-4645-9f3e-ab8df13a97f6", etag = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const message = {{ password: "Password must have 8 characters", secretName: "firebase-admin-key1" }};
const pem = key().replace("-----BEGIN PRIVATE KEY-----", "").replace("-----END PRIVATE KEY-----", "");
const anon = "{ANON}";
const token = "prefix" + Deno.env.get("SOME_TOKEN");
function key() {{ return "cumulative_medical_record_last_updated_at"; }}
Deno.serve(() => Response.json([sample, id, etag, message, pem, anon, token]));""",
    },
    "types, decorators of style and odd layout": handler("""
  type Row = { id: string; status: "draft" | "signed" };
  const db = (<any>asCaller(req))!;
  const { ["data"]: rows, error } = (await ((db)
    ?.from(("soap_notes" satisfies string))
    /* what */ .select<string, Row>("id, status" as const)!)) as { data: Row[]; error: unknown };
  label: for (const row of rows ?? []) { if (row.status === "draft") continue label; }
  switch (rows?.length) { case 0: return new Response("none"); default: break; }
  do { break; } while (true);
  if (error !== null && error !== undefined) { throw error; } else { return Response.json(rows); }"""),
}  # fmt: skip
