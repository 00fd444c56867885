// create-context-snapshot, version 10: keeps conditions and medication only, and answers with the id of the row alone.
import { insert, requireHistory, requireOwnAppointment } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, requireId, serve } from "../_shared/http.ts";

serve("create-context-snapshot", async (body, request) => {
  const appointmentId = requireId(body, "appointmentId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const appointment = await requireOwnAppointment(caller, appointmentId);
  const { record } = await requireHistory(caller, appointment.patient_id);
  if (dryRun) return { snapshotId: null };
  const snapshot = await insert<{ id: string }>(caller, "context_snapshots", ["id"], {
    appointment_id: appointment.id,
    patient_id: appointment.patient_id,
    provider_id: appointment.provider_id,
    context: { conditions: record.conditions, medications: record.medications },
  });
  return { snapshotId: snapshot.id };
});
