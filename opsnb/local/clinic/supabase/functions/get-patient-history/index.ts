// get-patient-history: what the pre-call dialog shows.
//
// Body: { patientId, appointmentId, dryRun? }. The caller is the appointment's provider or the patient.
// Answer: { success, hasHistory, history, entries, lastUpdatedAt, dryRun }; a dry run leaves the history itself out.
import { countEntries, requireAppointment, requireHistory } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, Refusal, requireId, serve } from "../_shared/http.ts";

serve("get-patient-history", async (body, request) => {
  const patientId = requireId(body, "patientId");
  const appointmentId = requireId(body, "appointmentId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const appointment = await requireAppointment(caller, appointmentId);
  if (appointment.patient_id !== patientId) throw new Refusal(403, "The appointment is not this patient's.");
  const { record, lastUpdatedAt } = await requireHistory(caller, patientId);

  const entries = countEntries(record);
  const hasHistory = Object.values(entries).some((count) => count > 0);
  return { hasHistory, history: hasHistory && !dryRun ? record : null, entries, lastUpdatedAt, dryRun };
});
