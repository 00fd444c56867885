"""Functions with a fault each: the line that holds it ends in ``//!`` (or is named), and the check and rule that must find it."""

from __future__ import annotations

from dataclasses import dataclass, field

HEAD = """import { createClient } from "npm:@supabase/supabase-js@2.45.4";
"""
AS_CALLER = (
    HEAD
    + """
const asCaller = (req: Request) =>
  createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!, {
    global: { headers: { Authorization: req.headers.get("Authorization")! } },
  });
"""
)
ADMIN = (
    HEAD
    + """
const admin = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
const refuse = (status: number) => new Response(null, { status });
"""
)


@dataclass(frozen=True)
class Planted:
    """One fault."""

    name: str
    check: str
    rule: str
    files: dict[str, str]
    line: int = 0
    file: str = ""
    secrets: tuple[str, ...] = ()
    listed: tuple[str, ...] | None = None
    severity: str = ""
    others: tuple[str, ...] = field(default=())


def one(name: str, check: str, rule: str, text: str, **more: object) -> Planted:
    return Planted(name, check, rule, {"f/index.ts": text}, **more)  # type: ignore[arg-type]


REFERENCES = [
    one("table of another name", "references", "missing table", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("patient_profile").select("id"); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("table behind an alias and a constant", "references", "missing table", AS_CALLER + """
const TABLES = { notes: "soap_note" } as const; //!
Deno.serve(async (req) => {
  const db = asCaller(req);
  const { data: rows, error: wrong } = await db
    // .from("nothing_here") is only a comment
    .from(TABLES.notes)
    .select();
  if (wrong) throw wrong;
  return Response.json(rows);
});"""),
    one("column in a select over lines", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req)
    .from("appointments")
    .select(`
      id,
      starts_at,
      begins_at,
      status
    `);
  if (error) throw error;
  return Response.json(data);
});""", line=14),
    one("column of an embedded table", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("soap_notes").select("id, parts:soap_plan_medication(name, dosage)"); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("embedded without a foreign key", "references", "missing relationship", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("app_settings").select("key, users(id)"); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("embedded through one of two foreign keys", "references", "missing relationship", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("appointments").select("id, users(full_name)"); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("column of a filter", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const { data, error } = await asCaller(req).from("soap_notes").select("id")
    ?.eq("author_id", id) //!
    .limit(1);
  if (error) throw error;
  return Response.json(data);
});"""),
    one("column in or()", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const { data, error } = await asCaller(req).from("appointments").select("id")
    .or(`patient_id.eq.${id},and(doctor_id.eq.${id},status.neq.cancelled)`); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("column of a filter on an embedded table", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("soap_notes").select("id, soap_plan_medication!inner(name)")
    .eq("soap_plan_medication.drug", "x"); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("column ordered by", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("appointments").select("id")
    .order("start_time", { ascending: false }); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    one("column inserted, from a record built before", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const body = await req.json();
  const base = { appointment_id: body.appointmentId, patient_id: body.patientId };
  const row = {
    ...base,
    provider_id: body.providerId,
    snapshot: body.context, //!
  };
  const { error } = await asCaller(req).from("context_snapshots").insert([row]);
  if (error) throw error;
  return new Response("ok");
});"""),
    one("column set after the record was made", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { id, phone } = await req.json();
  const change: Record<string, unknown> = {};
  change.phone = phone;
  change["last_seen"] = new Date().toISOString(); //!
  const { error } = await asCaller(req).from("patient_profiles").update(change).eq("user_id", id);
  if (error) throw error;
  return new Response("ok");
});"""),
    one("conflict on a column that is not there", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { error } = await asCaller(req).from("app_settings").upsert({ key: "a", value: true }, { onConflict: "name" }); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("routine of another name", "references", "missing routine", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const { error } = await asCaller(req).rpc("merge_soap_note_into_record", { p_soap_note_id: id }); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("argument of another name", "references", "missing argument", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const { error } = await asCaller(req).rpc("merge_soap_into_cumulative_record", {
    soap_note_id: id, //!
  });
  if (error) throw error;
  return new Response("ok");
});"""),
    Planted("table passed to a wrapper of another file", "references", "missing table", {
        "_shared/db.ts": """
type Filters = Record<string, string>;
export async function rows<T>(token: string, table: string, columns: readonly string[], filters: Filters = {}): Promise<T[]> {
  const query = new URLSearchParams({ select: columns.join(","), ...filters });
  const response = await fetch(`${Deno.env.get("SUPABASE_URL")}/rest/v1/${table}?${query}`, {
    headers: { authorization: `Bearer ${token}`, apikey: Deno.env.get("SUPABASE_ANON_KEY")! },
  });
  if (!response.ok) throw new Error(String(response.status));
  return await response.json();
}
""",
        "f/index.ts": """
import { rows as list } from "../_shared/db.ts";
Deno.serve(async (req) => {
  const token = req.headers.get("authorization")!;
  const found = await list(token, "provider_profiles", ["user_id"]); //!
  return Response.json(found);
});"""}),
    Planted("column passed to a wrapper of another file", "references", "missing column", {
        "_shared/db.ts": """
export const rows = async (token: string, table: string, columns: string[]) => {
  const response = await fetch(`${Deno.env.get("SUPABASE_URL")}/rest/v1/${table}?select=${columns.join(",")}`, {
    headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
};
""",
        "f/index.ts": """
import * as db from "../_shared/db.ts";
Deno.serve(async (req) => {
  const columns = [
    "id",
    "surname", //!
  ];
  return Response.json(await db.rows(req.headers.get("authorization")!, "users", columns));
});"""}),
    one("column in the address of the REST door", "references", "missing column", """
const url = Deno.env.get("SUPABASE_URL") + "/rest/v1";
Deno.serve(async (req) => {
  const { id } = await req.json();
  const response = await fetch(url + "/soap_notes?select=id,summary&doctor_id=eq." + id, { //!
    headers: { authorization: req.headers.get("authorization")! },
  });
  if (response.status !== 200) return new Response(null, { status: 502 });
  return Response.json(await response.json());
});"""),
    one("query in a class", "references", "missing column", AS_CALLER + """
class Notes {
  constructor(private readonly db: ReturnType<typeof asCaller>) {}
  async signed(patient: string) {
    const { data, error } = await this.db.from("soap_notes").select("id, signed_on").eq("patient_id", patient); //!
    if (error) throw error;
    return data;
  }
}
Deno.serve(async (req) => Response.json(await new Notes(asCaller(req)).signed((await req.json()).id)));"""),
]  # fmt: skip

VALUES = [
    one("status that the CHECK refuses", "references", "refused value", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const { error } = await asCaller(req).from("appointments").update({ status: "finished" }).eq("id", id); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("one of two values is refused", "references", "refused value", AS_CALLER + """
Deno.serve(async (req) => {
  const { id, done } = await req.json();
  const status = done
    ? "signed"
    : "pending"; //!
  const { error } = await asCaller(req).from("soap_notes").update({ status }).eq("id", id);
  if (error) throw error;
  return new Response("ok");
});"""),
    one("value of an enumeration of the source", "references", "refused value", AS_CALLER + """
enum Severity {
  Mild = "mild",
  Bad = "bad",
}
Deno.serve(async (req) => {
  const { note, allergen } = await req.json();
  const { error } = await asCaller(req).from("soap_subjective_allergies").insert({
    soap_note_id: note,
    allergen,
    severity: Severity.Bad, //!
  });
  if (error) throw error;
  return new Response("ok");
});"""),
    one("number out of a CHECK's range", "references", "refused value", AS_CALLER + """
Deno.serve(async (req) => {
  const { note } = await req.json();
  const { error } = await asCaller(req).from("soap_subjective_symptoms").insert({ soap_note_id: note, symptom: "cough", severity: 11 }); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("null for a column that takes none", "references", "refused value", AS_CALLER + """
Deno.serve(async (req) => {
  const { note } = await req.json();
  const { error } = await asCaller(req).from("soap_subjective_symptoms").insert({ soap_note_id: note, symptom: null }); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("two columns that do not go together", "references", "refused value", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const { error } = await asCaller(req).from("soap_notes").update({ status: "signed", signed_at: null }).eq("id", id); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("value that an enumerated type does not have", "references", "refused value", AS_CALLER + """
Deno.serve(async (req) => {
  const { error } = await asCaller(req).from("visits").insert({ kind: "telephone" as const }); //!
  if (error) throw error;
  return new Response("ok");
});"""),
    one("filter that no row can meet", "references", "impossible filter", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("soap_notes").select("id").eq("status", "final"); //!
  if (error) throw error;
  return Response.json(data);
});""", severity="warning"),
]  # fmt: skip

VARIABLES = [
    one("read, neither set nor listed", "variables", "not set", """
const key = Deno.env.get("TRANSCRIBE_API"); //!
Deno.serve(() => new Response(key ? "on" : "off"));""", listed=()),
    one("required and not set", "variables", "not set", """
const { PROJECT: project } = Deno.env.toObject(); //!
Deno.serve(() => new Response(project));""", listed=("PROJECT",)),
    one("set and not listed", "variables", "not listed", """
import process from "node:process";
Deno.serve(() => new Response(process.env["MODE"])); //!
""", listed=(), secrets=("MODE",), severity="warning"),
    one("listed and never read", "variables", "never read", """
// Deno.env.get("OLD_NAME") was read here once
Deno.serve(() => new Response("ok"));""", listed=("OLD_NAME",), secrets=("OLD_NAME",), line=-1, severity="warning"),
    one("literal in place of a secret", "variables", "literal fallback", """
const signing = Deno.env.get("JWT_SIGNING_SECRET") ?? "development"; //!
Deno.serve(() => new Response(String(signing.length)));""", listed=("JWT_SIGNING_SECRET",), secrets=("JWT_SIGNING_SECRET",)),
    one("literal in place of a region", "variables", "literal fallback", """
const region = Deno.env.get("AWS_REGION") || "eu-central-1"; //!
Deno.serve(() => new Response(region));""", listed=("AWS_REGION",), secrets=("AWS_REGION",), severity="warning"),
    Planted("literal given to a helper of another file", "variables", "literal fallback", {
        "_shared/env.ts": "export function env(name: string, otherwise?: string): string {\n"
                          "  const value = Deno.env.get(name) ?? otherwise;\n  if (!value) throw new Error(name);\n  return value;\n}\n",
        "f/index.ts": """
import { env } from "../_shared/env.ts";
const url = env("SERVICE_URL");
const token = env(
  "SERVICE_TOKEN",
  "letmein", //!
);
Deno.serve(() => new Response(url + token.length));"""},
        listed=("SERVICE_URL", "SERVICE_TOKEN"), secrets=("SERVICE_URL", "SERVICE_TOKEN")),
    one("literal assigned where the variable is missing", "variables", "literal fallback", """
let password = Deno.env.get("DB_PASSWORD");
if (!password) {
  password = "postgres"; //!
}
Deno.serve(() => new Response(String(password.length)));""", listed=("DB_PASSWORD",), secrets=("DB_PASSWORD",)),
    one("literal as a default while destructuring", "variables", "literal fallback", """
const { API_KEY = "none" } = process.env; //!
Deno.serve(() => new Response(String(API_KEY.length)));""", listed=("API_KEY",), secrets=("API_KEY",)),
    one("name through a loop", "variables", "not set", """
for (const name of [
  "FIRST_NAME",
  "SECOND_NAME", //!
]) {
  if (!Deno.env.get(name)) throw new Error(name);
}
Deno.serve(() => new Response("ok"));""", listed=("FIRST_NAME",), secrets=("FIRST_NAME",)),
]  # fmt: skip

IMPORTS = [
    one("file that is not there", "imports", "missing file", """
import { verify } from "../_shared/verify.ts"; //!
Deno.serve((req) => verify(req));"""),
    Planted("extension left out", "imports", "missing file", {
        "_shared/verify.ts": "export const verify = (req: Request) => new Response(req.url);",
        "f/index.ts": 'import { verify } from "../_shared/verify"; //!\nDeno.serve((req) => verify(req));'}),
    Planted("export that is not there", "imports", "missing export", {
        "_shared/verify.ts": "export const verifyCaller = (req: Request) => new Response(req.url);",
        "f/index.ts": 'import {\n  verifyCaller,\n  requireCaller, //!\n} from "../_shared/verify.ts";\n'
                      "Deno.serve((req) => verifyCaller(req) ?? requireCaller(req));"}),
    Planted("export that a star does not pass on", "imports", "missing export", {
        "_shared/a.ts": "export default 1;\nexport const b = 2;",
        "_shared/mod.ts": 'export * from "./a.ts";\nexport * as c from "./a.ts";',
        "f/index.ts": 'import { b, c } from "../_shared/mod.ts";\nimport whole from "../_shared/mod.ts"; //!\n'
                      "Deno.serve(() => new Response(String([b, c, whole])));"}),
    Planted("member of a whole module", "imports", "missing export", {
        "_shared/a.ts": "export const b = 2;",
        "f/index.ts": 'import * as a from "../_shared/a.ts";\nDeno.serve(() => new Response(String(a.b\n  + a.c))); //!'}),
    Planted("name in no import map", "imports", "unmapped import", {
        "deno.json": '{ // the functions\' own\n "imports": { "supabase": "npm:@supabase/supabase-js@2.45.4", }, }',
        "f/index.ts": 'import { createClient } from "supabase";\nimport { z } from "zod"; //!\n'
                      "Deno.serve(() => new Response(String([createClient, z])));"}),
    one("package without a version", "imports", "unpinned import", """
import { createClient } from "npm:@supabase/supabase-js"; //!
Deno.serve(() => new Response(typeof createClient));""", severity="warning"),
    one("address without a version", "imports", "unpinned import", """
import { serve } from "https://deno.land/std/http/server.ts"; //!
serve(() => new Response("ok"));""", severity="warning"),
    one("imported while it runs", "imports", "missing file", """
Deno.serve(async () => {
  const { draft } = await import("./draft.ts"); //!
  return new Response(draft());
});"""),
    one("does not parse", "imports", "unreadable file", """
Deno.serve((req) => {
  const x = { a: 1, b: }; //!
  return new Response("ok");
});"""),
]  # fmt: skip

AUTHORITY = [
    one("service role and nobody asks who calls", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const { patientId } = await req.json();
  const { data, error } = await admin.from("patient_profiles").select("cumulative_medical_record").eq("user_id", patientId).single(); //!
  if (error) return refuse(500);
  return Response.json(data);
});"""),
    one("only that there is a header", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const authorization = req.headers.get("Authorization");
  if (!authorization) return refuse(401);
  const { id } = await req.json();
  const { data, error } = await admin.from("soap_notes").select("summary").eq("id", id); //!
  if (error) return refuse(500);
  return Response.json(data);
});"""),
    one("token decoded and not verified", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const token = req.headers.get("Authorization")!.replace("Bearer ", "");
  const { sub } = JSON.parse(atob(token.split(".")[1]));
  if (!sub) return refuse(401);
  const { data, error } = await admin.from("users").select("id").eq("firebase_uid", sub); //!
  if (error) return refuse(500);
  return Response.json(data);
});"""),
    one("user asked for and never looked at", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const jwt = req.headers.get("Authorization")!.slice(7);
  const { data: { user } } = await admin.auth.getUser(jwt);
  const { data, error } = await admin.from("appointments").select("id").eq("patient_id", user?.id); //!
  if (error) return refuse(500);
  return Response.json(data);
});"""),
    one("session read, not verified", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const { data: { session } } = await admin.auth.getSession();
  if (!session) return refuse(401);
  const { error } = await admin.from("soap_notes").delete().eq("id", (await req.json()).id); //!
  return refuse(error ? 500 : 204);
});"""),
    one("verified on one way only", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const body = await req.json();
  if (!body.internal) {
    const { data: { user }, error } = await admin.auth.getUser(req.headers.get("x-token") ?? "");
    if (error || !user) return refuse(401);
  }
  const { error } = await admin.from("app_settings").update({ value: body.value }).eq("key", body.key); //!
  return refuse(error ? 500 : 204);
});"""),
    one("refusal caught and gone on", "authority", "unverified caller", HEAD + """
import { jwtVerify, createRemoteJWKSet } from "npm:jose@5.9.6";
const keys = createRemoteJWKSet(new URL("https://issuer.example.org/keys"));
const admin = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
Deno.serve(async (req) => {
  try {
    await jwtVerify(req.headers.get("authorization")!.slice(7), keys);
  } catch (problem) {
    console.warn("no valid token", problem);
  }
  const { data, error } = await admin.from("users").select("id, full_name"); //!
  if (error) throw error;
  return Response.json(data);
});"""),
    Planted("service role in a helper of another file", "authority", "unverified caller", {
        "_shared/admin.ts": HEAD + """
export const make = () => createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
export async function settings(key: string) {
  const { data, error } = await make().from("app_settings").select("value").eq("key", key); //!
  if (error) throw error;
  return data;
}""",
        "f/index.ts": """
import { settings } from "../_shared/admin.ts";
Deno.serve(async (req) => Response.json(await settings((await req.json()).key)));"""}, file="_shared/admin.ts"),
    one("service role in a plain request", "authority", "unverified caller", """
const key = Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!;
const headers = { apikey: key, Authorization: `Bearer ${key}` };
Deno.serve(async (req) => {
  const { id } = await req.json();
  const answer = await fetch(`${Deno.env.get("SUPABASE_URL")}/rest/v1/soap_notes?id=eq.${id}&select=summary`, { headers }); //!
  if (!answer.ok) return new Response(null, { status: 502 });
  return Response.json(await answer.json());
});"""),
    one("the database's own login", "authority", "unverified caller", """
import postgres from "npm:postgres@3.4.5";
const sql = postgres(Deno.env.get("SUPABASE_DB_URL")!);
Deno.serve(async (req) => {
  const { id } = await req.json();
  const rows = await sql`select summary from soap_notes where id = ${id}`; //!
  return Response.json(rows);
});"""),
    one("a pool of the database's own logins", "authority", "unverified caller", """
import * as postgres from "https://deno.land/x/postgres@v0.19.3/mod.ts";
const pool = new postgres.Pool(Deno.env.get("DATABASE_URL")!, 3, true);
Deno.serve(async (_req) => {
  const connection = await pool.connect();
  try {
    const result = await connection.queryObject`select * from users`; //!
    return Response.json(result.rows);
  } finally {
    connection.release();
  }
});"""),
    one("the platform's own wrapper lets anybody in", "authority", "unverified caller", """
import { withSupabase } from "npm:@supabase/server@1.1.0";
export default {
  fetch: withSupabase({ auth: ["publishable", "user"] }, async (req, ctx) => {
    const { data, error } = await ctx.supabaseAdmin.from("users").select("id").eq("email", (await req.json()).email); //!
    if (error) throw error;
    return Response.json(data);
  }),
};"""),
    one("wrong way round", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const { data: { user } } = await admin.auth.getUser(req.headers.get("authorization")!);
  if (user) return refuse(401);
  const { data, error } = await admin.from("users").select("id"); //!
  return error ? refuse(500) : Response.json(data);
});"""),
    one("either a user or a header", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const { data: { user } } = await admin.auth.getUser(req.headers.get("authorization")!);
  const trusted = req.headers.get("x-internal") === "true";
  if (!user && !trusted) return refuse(401);
  const { data, error } = await admin.from("users").select("id"); //!
  return error ? refuse(500) : Response.json(data);
});"""),
    one("validates what is sent, not who sends", "authority", "unverified caller", ADMIN + """
import { validateUserInput } from "npm:validators@1.0.0";
Deno.serve(async (req) => {
  const input = validateUserInput(await req.json());
  const { error } = await admin.from("users").update({ full_name: input.name }).eq("id", input.id); //!
  return refuse(error ? 500 : 204);
});"""),
    one("accounts of others", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  const { uid } = await req.json();
  const { error } = await admin.auth.admin.deleteUser(uid); //!
  return refuse(error ? 500 : 204);
});"""),
    one("verified, and any record handed out", "authority", "unrelated record", ADMIN + """
Deno.serve(async (req) => {
  const { data: { user }, error: wrong } = await admin.auth.getUser(req.headers.get("Authorization")?.replace("Bearer ", ""));
  if (wrong || !user) return refuse(401);
  const { patientId } = await req.json();
  const { data, error } = await admin.from("patient_profiles").select("cumulative_medical_record").eq("user_id", patientId).single(); //!
  if (error) return refuse(500);
  return Response.json(data);
});"""),
    one("verified by a helper that the record never meets", "authority", "unrelated record", ADMIN + """
async function requireUser(req: Request) {
  const { data, error } = await admin.auth.getUser(req.headers.get("authorization")?.slice(7));
  if (error) throw new Error("401");
  return data.user;
}
Deno.serve(async (req) => {
  const user = await requireUser(req);
  const body = await req.json();
  console.log("asked by", user.id);
  const { error } = await admin
    .from("soap_notes") //!
    .update({ summary: body.summary, updated_by: user.id } as never)
    .eq("id", body.noteId);
  return refuse(error ? 500 : 204);
});""", others=("references",)),
    one("one id is related and another is used", "authority", "unrelated record", ADMIN + """
Deno.serve(async (req) => {
  const { data: { user } } = await admin.auth.getUser(req.headers.get("authorization")!);
  if (!user) return refuse(401);
  const { appointmentId, patientId } = await req.json();
  const { data: appointment, error } = await admin.from("appointments").select("id, provider_id").eq("id", appointmentId).single();
  if (error) return refuse(404);
  if (appointment.provider_id !== user.id) return refuse(403);
  const { data: profile, error: wrong } = await admin.from("patient_profiles").select("blood_type").eq("user_id", patientId); //!
  if (wrong) return refuse(500);
  return Response.json(profile);
});"""),
    one("a role is no relation", "authority", "unrelated record", ADMIN + """
Deno.serve(async (req) => {
  const { data: { user } } = await admin.auth.getUser(req.headers.get("authorization")!);
  if (!user) return refuse(401);
  const { data: me, error: unknown } = await admin.from("users").select("role").eq("firebase_uid", user.id).single();
  if (unknown || me.role !== "provider") return refuse(403);
  const { data, error } = await admin.from("patient_profiles").select("blood_type").eq("user_id", (await req.json()).patientId); //!
  if (error) return refuse(500);
  return Response.json(data);
});"""),
]  # fmt: skip

ERRORS = [
    one("error left in the answer", "errors", "ignored error", AS_CALLER + """
Deno.serve(async (req) => {
  const { data } = await asCaller(req).from("soap_notes").select("id"); //!
  return Response.json({ hasHistory: (data ?? []).length > 0 });
});"""),
    one("error taken and never looked at", "errors", "ignored error", AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("soap_notes").select("id"); //!
  return Response.json(data);
});"""),
    one("answer of a write thrown away", "errors", "ignored error", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  await asCaller(req) //!
    .from("appointments")
    .update({ status: "completed" })
    .eq("id", id);
  return new Response("ok");
});"""),
    one("answer of a routine thrown away", "errors", "ignored error", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  const merged = (await asCaller(req).rpc("merge_soap_into_cumulative_record", { p_soap_note_id: id })).data; //!
  return Response.json({ merged });
});"""),
    one("query never sent", "errors", "query never sent", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  asCaller(req).from("appointments").update({ status: "completed" }).eq("id", id); //!
  return new Response("ok");
});"""),
    one("one of several answers", "errors", "ignored error", AS_CALLER + """
Deno.serve(async (req) => {
  const db = asCaller(req);
  const [{ data: notes, error }, { data: visits }] = await Promise.all([
    db.from("soap_notes").select("id"),
    db.from("appointments").select("id"), //!
  ]);
  if (error) throw error;
  return Response.json({ notes, visits });
});"""),
    one("then without error", "errors", "ignored error", AS_CALLER + """
Deno.serve((req) =>
  asCaller(req).from("soap_notes").select("id")
    .then(({ data }) => Response.json(data)) //!
);"""),
    Planted("answer of a helper of another file", "errors", "ignored error", {
        "_shared/db.ts": AS_CALLER + """
export const notes = (req: Request) => asCaller(req).from("soap_notes").select("id");
""",
        "f/index.ts": """
import { notes } from "../_shared/db.ts";
Deno.serve(async (req) => {
  const { data } = await notes(req); //!
  return Response.json(data);
});"""}),
    one("status of a request", "errors", "unchecked answer", """
Deno.serve(async (req) => {
  const answer = await fetch("https://api.example.org/v1/transcripts", { method: "POST", body: await req.text() }); //!
  const { text } = await answer.json();
  return Response.json({ text });
});"""),
    one("status of a request in one line", "errors", "unchecked answer", """
Deno.serve(async () => Response.json(await (await fetch("https://api.example.org/v1/status")).json())); //!
""", severity="warning"),
]  # fmt: skip

_RANDOM = "q8ZkT4nW1vB7xY2cD5fG9hJ3kL6mN0pQ"
_SERVICE_JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    + "eyJpc3MiOiJzdXBhYmFzZSIsInJlZiI6ImFiYyIsInJvbGUiOiJzZXJ2aWNlX3JvbGUiLCJpYXQiOjE3MDAwMDAwMDB9."
    + "c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJl"
)
SECRETS = [
    one(f"secret: {kind}", "secrets", "hard-coded secret",
        f"// what follows\nconst a = 1;\n{text} //!\nDeno.serve(() => new Response(String(a)));\n")
    for kind, text in {
        "access token": f'const token = "sbp_{"a1b2c3d4" * 5}";',
        "secret key": f"const key = `sb_secret_{_RANDOM}`;",
        "service-role key": f'const key: string = "{_SERVICE_JWT}" as const;',
        "private key": f'const pem = "-----BEGIN PRIVATE KEY-----\\nMII{_RANDOM}{_RANDOM}\\n-----END PRIVATE KEY-----";',
        "AWS key": 'const id = "AKIA' + 'Z7Q2M4N6P8R1T3V5";',
        "DSN": 'const dsn = "postgresql://postgres:' + 'h7Gk2mQx@db.abcdefgh.supabase.co:5432/postgres";',
        "password": 'const db = { user: "app", password: "' + 'tr0ub4dor-and-3" };',
        "in a comment": f"/* the old one was sbp_{'0f1e2d3c' * 5} */",
        "in pieces": 'const key = "sb_sec" + "ret_' + _RANDOM + '";',
        "random": f'const salted = "{_RANDOM}";',
    }.items()
]  # fmt: skip

NASTY = [
    one("client made when first asked for, under another name", "authority", "unverified caller", """
import { createClient as make, type SupabaseClient } from "npm:@supabase/supabase-js@2.45.4";
const env = Deno.env;
let kept: SupabaseClient | undefined;
function db(): SupabaseClient {
  kept ??= make(env.get("SUPABASE_URL")!, env.get("SUPABASE_SERVICE_ROLE_KEY")!);
  return kept;
}
const handler = async (req: Request) => {
  const id = new URL(req.url).searchParams.get("id");
  const found = await db().from("users").select("id").eq("id", id); //!
  return found.error ? new Response(null, { status: 500 }) : Response.json(found.data);
};
Deno.serve({ port: 8000, handler });"""),
    one("deleted in a loop of callbacks", "authority", "unverified caller", ADMIN + """
Deno.serve({ onListen() {} }, async (req) => {
  const { ids } = await req.json() as { ids: string[] };
  const done = await Promise.all(ids.map((id) =>
    admin.from("soap_notes").delete().eq("id", id) //!
  ));
  return refuse(done.some((each) => each.error) ? 500 : 204);
});"""),
    one("the public key is no secret", "authority", "unverified caller", ADMIN + """
Deno.serve(async (req) => {
  if (req.headers.get("authorization") !== "Bearer " + Deno.env.get("SUPABASE_ANON_KEY")) return refuse(401);
  const { data, error } = await admin.from("users").select("id"); //!
  return error ? refuse(500) : Response.json(data);
});"""),
    Planted("a guard that hands on without asking", "authority", "unverified caller", {
        "_shared/guard.ts": """
type Handler = (req: Request, user: { id: string } | null) => Promise<Response>;
export const withUser = (handler: Handler) => async (req: Request) => {
  const header = req.headers.get("authorization");
  return await handler(req, header ? { id: header } : null);
};""",
        "f/index.ts": ADMIN + """
import { withUser } from "../_shared/guard.ts";
Deno.serve(withUser(async (_req, user) => {
  const { data, error } = await admin.from("soap_notes").select("id").eq("patient_id", user?.id); //!
  return error ? refuse(500) : Response.json(data);
}));"""}),
    one("parsed body, any record", "authority", "unrelated record", ADMIN + """
import { z } from "npm:zod@3.23.8";
const Body = z.object({ patientId: z.string().uuid() });
export default {
  async fetch(req: Request) {
    const [{ data: { user } }, body] = await Promise.all([admin.auth.getUser(req.headers.get("authorization")!), req.json()]);
    if (!user) return refuse(401);
    const { patientId } = Body.parse(body);
    const { data, error } = await admin.from("patient_profiles").select("id").match({ user_id: patientId }); //!
    return error ? refuse(500) : Response.json(data);
  },
};"""),
    Planted("columns in a constant of another file", "references", "missing column", {
        "_shared/columns.ts": 'export const NOTE = "id, status, signature" as const; //!',
        "f/index.ts": 'import { NOTE as COLUMNS } from "../_shared/columns.ts";' + AS_CALLER + """
Deno.serve(async (req) => {
  const { data, error } = await asCaller(req).from("soap_notes").select(COLUMNS);
  if (error) throw error;
  return Response.json(data);
});"""}, file="_shared/columns.ts"),
    one("rows made by a callback", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const { note, names } = await req.json();
  const { error } = await asCaller(req).from("soap_subjective_allergies").insert(
    names.map((name: string) => ({
      soap_note_id: note,
      allergen: name,
      strength: "mild", //!
    })),
  );
  if (error) throw error;
  return new Response("ok");
});"""),
    one("filter whose arguments are spread", "references", "missing column", AS_CALLER + """
Deno.serve(async (req) => {
  const filter = ["state", "signed"] as const; //!
  const { data, error } = await asCaller(req).from("soap_notes").select("id").eq(...filter);
  if (error) throw error;
  return Response.json(data);
});"""),
    one("table one of two", "references", "missing table", AS_CALLER + """
Deno.serve(async (req) => {
  const { kind } = await req.json();
  const table = kind === "note"
    ? "soap_notes"
    : "soap_drafts"; //!
  const { data, error } = await asCaller(req).from(table).select("id");
  if (error) throw error;
  return Response.json(data);
});"""),
    one("in several tables, one after the other", "references", "missing table", AS_CALLER + """
Deno.serve(async (req) => {
  const { id } = await req.json();
  for (const table of ["soap_plan_medication", "soap_plan_medications"]) { //!
    const { error } = await asCaller(req).from(table).delete().eq("soap_note_id", id);
    if (error) throw error;
  }
  return new Response("ok");
});"""),
    one("variable through a function taken out of the environment", "variables", "not set", """
const { get } = Deno.env;
const read = (name: string) => get(name) ?? (() => { throw new Error(name); })();
export const where = read("TRANSCRIBE_WHERE"); //!
Deno.serve(() => new Response(where));""", listed=()),
    one("settled, and nobody looks", "errors", "ignored error", AS_CALLER + """
Deno.serve(async (req) => {
  const db = asCaller(req);
  await Promise.allSettled([
    db.from("appointments").update({ status: "completed" }).eq("id", "1"), //!
  ]);
  return new Response("ok");
});"""),
    one("request looked at by nobody, in steps", "errors", "unchecked answer", """
Deno.serve(async () => {
  const text = await fetch("https://api.example.org/v1/transcripts", { method: "POST" }) //!
    .then((answer) => answer.json())
    .then((json) => json.text);
  return new Response(text);
});"""),
]  # fmt: skip

PLANTED = [*NASTY, *REFERENCES, *VALUES, *VARIABLES, *IMPORTS, *AUTHORITY, *ERRORS, *SECRETS]
