// update-patient-medical-record: merges a signed SOAP note into its patient's cumulative record.
//
// Body: { soapNoteId, dryRun? }. The caller is the author of the note. Merging a note twice changes nothing.
// Answer: { success, soapNoteId, merged, entries, dryRun }; `merged` is false in a dry run and while the switch is off.
import { callRoutine, countEntries, find, readRecord, requireHistory, requireUserId } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, Refusal, requireId, serve } from "../_shared/http.ts";

interface Note {
  patient_id: string;
  provider_id: string;
  status: string;
}

interface Setting {
  value: unknown;
}

serve("update-patient-medical-record", async (body, request) => {
  const soapNoteId = requireId(body, "soapNoteId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const [userId, [note], [setting]] = await Promise.all([
    requireUserId(caller),
    find<Note>(caller, "soap_notes", ["patient_id", "provider_id", "status"], { id: `eq.${soapNoteId}` }),
    find<Setting>(caller, "app_settings", ["value"], { key: "eq.enable_cumulative_record_updates" }),
  ]);
  if (!note) throw new Refusal(404, "There is no such SOAP note.");
  if (note.provider_id !== userId) throw new Refusal(403, "Only the author of a SOAP note may merge it.");
  if (note.status !== "signed") throw new Refusal(409, "A SOAP note is merged once it is signed.");

  if (dryRun || setting?.value === false) {
    if (!dryRun) console.warn("merge_soap skipped: enable_cumulative_record_updates is off");
    const { record } = await requireHistory(caller, note.patient_id);
    return { soapNoteId, merged: false, entries: countEntries(record), dryRun };
  }
  const record = await callRoutine(caller, "merge_soap_into_cumulative_record", { p_soap_note_id: soapNoteId });
  console.info("merge_soap completed");
  return { soapNoteId, merged: true, entries: countEntries(readRecord(record)), dryRun };
});
