// The clinic's data, asked with the caller's own token: row-level security decides what exists for whom.
import type { Caller } from "./firebase.ts";
import { Refusal, requireVariable } from "./http.ts";

export interface Appointment {
  id: string;
  patient_id: string;
  provider_id: string;
  status: string;
  reason: string | null;
  starts_at: string;
}

export type Entry = Record<string, unknown>;
export type Section = "conditions" | "medications" | "allergies" | "vital_signs";
export type MedicalRecord = Record<Section, Entry[]>;

export interface History {
  record: MedicalRecord;
  lastUpdatedAt: string | null;
}

const SECTIONS: Section[] = ["conditions", "medications", "allergies", "vital_signs"];

/** One request to the project's REST door; throws on every status that is not a success. */
async function ask(caller: Caller, path: string, init: RequestInit = {}): Promise<unknown> {
  const response = await fetch(`${requireVariable("SUPABASE_URL")}/rest/v1/${path}`, {
    ...init,
    headers: {
      apikey: requireVariable("SUPABASE_ANON_KEY"),
      authorization: `Bearer ${caller.token}`,
      "content-type": "application/json",
      ...init.headers,
    },
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (answer?.code === "42501") throw new Refusal(403, "The caller is not allowed to do this.");
  if (response.status === 503 || response.status === 504) throw new Refusal(503, `The database is busy (${answer?.code ?? response.status}).`);
  // the message of a database error may hold a value: its code is enough
  throw new Error(`the database answered ${response.status} (${answer?.code ?? "no code"})`);
}

/** The rows of `table` that the caller may see; `filters` are PostgREST's, such as `{ id: "eq.1" }`. */
export async function find<Row>(caller: Caller, table: string, columns: (keyof Row & string)[], filters: Record<string, string>): Promise<Row[]> {
  const query = new URLSearchParams({ select: columns.join(","), ...filters });
  return await ask(caller, `${table}?${query}`) as Row[];
}

/** The row as it was stored. */
export async function insert<Row>(caller: Caller, table: string, columns: (keyof Row & string)[], row: Record<string, unknown>): Promise<Row> {
  const query = new URLSearchParams({ select: columns.join(",") });
  const headers = { prefer: "return=representation" };
  const [stored] = await ask(caller, `${table}?${query}`, { method: "POST", headers, body: JSON.stringify(row) }) as Row[];
  return stored;
}

export async function callRoutine(caller: Caller, name: string, parameters: Record<string, unknown>): Promise<unknown> {
  return await ask(caller, `rpc/${name}`, { method: "POST", body: JSON.stringify(parameters) });
}

/** The caller's id in the clinic; 403 for a Firebase user the clinic does not know. */
export async function requireUserId(caller: Caller): Promise<string> {
  const [user] = await find<{ id: string }>(caller, "users", ["id"], { firebase_uid: `eq.${caller.uid}` });
  if (!user) throw new Refusal(403, "The caller is not a user of the clinic.");
  return user.id;
}

/** The appointment; 404 also where it is somebody else's, so that a stranger cannot tell which ids exist. */
export async function requireAppointment(caller: Caller, id: string): Promise<Appointment> {
  const columns: (keyof Appointment)[] = ["id", "patient_id", "provider_id", "status", "reason", "starts_at"];
  const [appointment] = await find<Appointment>(caller, "appointments", columns, { id: `eq.${id}` });
  if (!appointment) throw new Refusal(404, "There is no such appointment.");
  return appointment;
}

/** The appointment, which the caller must hold as its provider. */
export async function requireOwnAppointment(caller: Caller, id: string): Promise<Appointment> {
  const [userId, appointment] = await Promise.all([requireUserId(caller), requireAppointment(caller, id)]);
  if (appointment.provider_id !== userId) throw new Refusal(403, "Only the provider of the appointment may do this.");
  return appointment;
}

/** What is known about a patient; 403 where the caller may not see their profile. */
export async function requireHistory(caller: Caller, patientId: string): Promise<History> {
  interface Profile {
    cumulative_medical_record: unknown;
    medical_record_last_updated_at: string | null;
  }
  const columns: (keyof Profile)[] = ["cumulative_medical_record", "medical_record_last_updated_at"];
  const [profile] = await find<Profile>(caller, "patient_profiles", columns, { user_id: `eq.${patientId}` });
  if (!profile) throw new Refusal(403, "The caller may not see this patient's record.");
  return { record: readRecord(profile.cumulative_medical_record), lastUpdatedAt: profile.medical_record_last_updated_at };
}

/** A stored record, each section as an array; a malformed one is an error, never an empty history. */
export function readRecord(stored: unknown): MedicalRecord {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) throw new Error("a cumulative record is not an object");
  const record = stored as Partial<Record<Section, unknown>>;
  const read = (section: Section): Entry[] => {
    const entries = record[section] ?? [];
    if (!Array.isArray(entries)) throw new Error(`the section ${section} of a cumulative record is not an array`);
    return entries;
  };
  return Object.fromEntries(SECTIONS.map((section) => [section, read(section)])) as MedicalRecord;
}

/** How many entries each section has. */
export function countEntries(record: MedicalRecord): Record<Section, number> {
  return Object.fromEntries(SECTIONS.map((section) => [section, record[section].length])) as Record<Section, number>;
}
