// create-context-snapshot: keeps what the provider knew about the patient when the call began.
//
// Body: { appointmentId, dryRun? }. The caller is the appointment's provider.
// Answer: { success, appointmentId, snapshotId, createdAt, entries, dryRun }; a dry run has null for both of the row's values.
import { countEntries, insert, requireHistory, requireOwnAppointment } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, requireId, serve } from "../_shared/http.ts";

interface Snapshot {
  id: string;
  created_at: string;
}

serve("create-context-snapshot", async (body, request) => {
  const appointmentId = requireId(body, "appointmentId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const appointment = await requireOwnAppointment(caller, appointmentId);
  const { record, lastUpdatedAt } = await requireHistory(caller, appointment.patient_id);
  const entries = countEntries(record);
  if (dryRun) return { appointmentId, snapshotId: null, createdAt: null, entries, dryRun };

  const snapshot = await insert<Snapshot>(caller, "context_snapshots", ["id", "created_at"], {
    appointment_id: appointment.id,
    patient_id: appointment.patient_id,
    provider_id: appointment.provider_id,
    context: { record, recordUpdatedAt: lastUpdatedAt, reason: appointment.reason, startsAt: appointment.starts_at },
  });
  return { appointmentId, snapshotId: snapshot.id, createdAt: snapshot.created_at, entries, dryRun };
});
