// update-patient-medical-record, version 3: merges whatever the switch says, and answers with the id of the note alone.
import { callRoutine, find, requireUserId } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, Refusal, requireId, serve } from "../_shared/http.ts";

interface Note {
  provider_id: string;
  status: string;
}

serve("update-patient-medical-record", async (body, request) => {
  const soapNoteId = requireId(body, "soapNoteId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const [userId, [note]] = await Promise.all([
    requireUserId(caller),
    find<Note>(caller, "soap_notes", ["provider_id", "status"], { id: `eq.${soapNoteId}` }),
  ]);
  if (!note) throw new Refusal(404, "There is no such SOAP note.");
  if (note.provider_id !== userId) throw new Refusal(403, "Only the author of a SOAP note may merge it.");
  if (note.status !== "signed") throw new Refusal(409, "A SOAP note is merged once it is signed.");
  if (!dryRun) {
    await callRoutine(caller, "merge_soap_into_cumulative_record", { p_soap_note_id: soapNoteId });
    console.info("merge_soap completed");
  }
  return { soapNoteId };
});
