// generate-soap-draft-v2: the SOAP note a provider starts from after a call, filled in from the patient's history.
//
// Body: { appointmentId, dryRun? }. The caller is the appointment's provider. Nothing is stored.
// Answer: { success, appointmentId, draft: { subjective, objective, assessment, plan }, basedOn, transcription, dryRun };
// a dry run leaves the draft out (null). The same history always gives the same draft.
import { countEntries, type Entry, type MedicalRecord, requireHistory, requireOwnAppointment } from "../_shared/clinic.ts";
import { requireCaller } from "../_shared/firebase.ts";
import { isDryRun, requireId, serve } from "../_shared/http.ts";

interface Draft {
  subjective: string;
  objective: string;
  assessment: string;
  plan: string;
}

serve("generate-soap-draft-v2", async (body, request) => {
  const appointmentId = requireId(body, "appointmentId");
  const dryRun = isDryRun(body);
  const caller = await requireCaller(request);

  const appointment = await requireOwnAppointment(caller, appointmentId);
  const { record } = await requireHistory(caller, appointment.patient_id);
  const draft = dryRun ? null : writeDraft(record, appointment.reason);
  return { appointmentId, draft, basedOn: countEntries(record), transcription: transcription(), dryRun };
});

function writeDraft(record: MedicalRecord, reason: string | null): Draft {
  const [latest] = record.vital_signs;
  return {
    subjective: `Reason for the visit: ${reason ?? "to be asked"}. Known allergies: ${list(record.allergies)}.`,
    objective: latest ? `Last vital signs: ${vitalSigns(latest)}.` : "No vital signs on record.",
    assessment: `Known conditions: ${list(record.conditions)}.`,
    plan: `Current medication: ${list(record.medications)}. To be reviewed with the patient.`,
  };
}

function list(entries: Entry[]): string {
  const names = entries.filter((entry) => entry.status !== "resolved" && entry.status !== "stopped").map((entry) => String(entry.name));
  return names.length ? names.join(", ") : "none on record";
}

function vitalSigns(entry: Entry): string {
  const shown = [
    ["blood pressure", entry.systolic_mmhg && entry.diastolic_mmhg && `${entry.systolic_mmhg}/${entry.diastolic_mmhg} mmHg`],
    ["heart rate", entry.heart_rate_bpm && `${entry.heart_rate_bpm} bpm`],
    ["temperature", entry.temperature_c && `${entry.temperature_c} °C`],
  ];
  return shown.filter(([, value]) => value).map(([name, value]) => `${name} ${value}`).join(", ") || "not measured";
}

/** Transcripts need Amazon Transcribe; a draft does not. */
function transcription(): "available" | "unavailable" {
  return Deno.env.get("AWS_REGION") && Deno.env.get("TRANSCRIBE_ROLE_ARN") ? "available" : "unavailable";
}
