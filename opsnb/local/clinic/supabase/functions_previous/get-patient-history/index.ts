// get-patient-history, version 2: the answer is the history alone; no counts, no time of the last update, no dry run.
import { countEntries, requireAppointment, requireHistory } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { Refusal, requireId, serve } from "../_shared/http.ts";

serve("get-patient-history", async (body, request) => {
  const patientId = requireId(body, "patientId");
  const appointmentId = requireId(body, "appointmentId");
  const caller = await requireCaller(request);

  const appointment = await requireAppointment(caller, appointmentId);
  if (appointment.patient_id !== patientId) throw new Refusal(403, "The appointment is not this patient's.");
  const { record } = await requireHistory(caller, patientId);
  const hasHistory = Object.values(countEntries(record)).some((count) => count > 0);
  return { hasHistory, history: hasHistory ? record : null };
});
