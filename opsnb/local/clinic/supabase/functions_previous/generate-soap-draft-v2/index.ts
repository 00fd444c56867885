// generate-soap-draft-v2, version 12: the draft is one text, not four sections.
import { type Entry, requireHistory, requireOwnAppointment } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, requireId, serve } from "../_shared/http.ts";

serve("generate-soap-draft-v2", async (body, request) => {
  const appointmentId = requireId(body, "appointmentId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const appointment = await requireOwnAppointment(caller, appointmentId);
  const { record } = await requireHistory(caller, appointment.patient_id);
  const names = (entries: Entry[]) => entries.map((entry) => String(entry.name)).join(", ") || "none on record";
  return { draft: dryRun ? null : `Conditions: ${names(record.conditions)}. Medication: ${names(record.medications)}.` };
});
