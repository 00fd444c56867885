"""A clinic that never was: people, appointments, notes and their parts, the same from the same seed.

Every name says that it is synthetic and every mailbox is under example.org. Times are counted back from *now*, so
that the clinic looks alive whenever it is built: some notes were signed within the last hour.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

SEED = 20260117
PATIENTS = 3_000
PROVIDERS = 60
APPOINTMENTS = 9_000
RECENT = 240  # appointments of the last day
LAST_HOUR = 18  # of these, signed within the last hour

# Known to everyone: what a probe asks about.
PROBE_PATIENT = uuid.UUID("5e000000-0000-4000-8000-000000000001")
PROBE_PROVIDER = uuid.UUID("5e000000-0000-4000-8000-000000000002")
PROBE_APPOINTMENT = uuid.UUID("5e000000-0000-4000-8000-000000000003")
PROBE_NOTE = uuid.UUID("5e000000-0000-4000-8000-000000000004")
PROBE_PATIENT_SUBJECT = "SyntheticPatient000000000001"
PROBE_PROVIDER_SUBJECT = "SyntheticProvider00000000002"

COLUMNS: dict[str, tuple[str, ...]] = {
    "users": ("id", "firebase_uid", "email", "full_name", "role", "created_at", "updated_at"),
    "patient_profiles": (
        "id", "user_id", "medical_record_number", "date_of_birth", "sex", "blood_type", "phone", "preferred_language",
        "created_at", "updated_at",
    ),
    "medical_provider_profiles": (
        "id", "user_id", "display_name", "specialty", "licence_number", "languages", "biography", "created_at", "updated_at",
    ),
    "appointments": ("id", "patient_id", "provider_id", "status", "reason", "starts_at", "ends_at", "created_at", "updated_at"),
    "video_call_sessions": ("id", "appointment_id", "status", "room_name", "started_at", "ended_at", "created_at", "updated_at"),
    "soap_notes": (
        "id", "appointment_id", "patient_id", "provider_id", "status", "chief_complaint", "summary", "signed_at",
        "created_at", "updated_at",
    ),
    "soap_subjective_symptoms": ("id", "soap_note_id", "symptom", "severity", "duration_days", "created_at"),
    "soap_subjective_allergies": ("id", "soap_note_id", "allergen", "reaction", "severity", "status", "created_at"),
    "soap_subjective_medical_history": ("id", "soap_note_id", "event", "kind", "event_year", "created_at"),
    "soap_subjective_social_history": ("id", "soap_note_id", "tobacco_use", "alcohol_units_per_week", "occupation", "created_at"),
    "soap_objective_vital_signs": (
        "id", "soap_note_id", "systolic_mmhg", "diastolic_mmhg", "heart_rate_bpm", "respiratory_rate_bpm", "temperature_c",
        "oxygen_saturation_pct", "weight_kg", "created_at",
    ),
    "soap_objective_physical_exam": ("id", "soap_note_id", "body_system", "finding", "is_abnormal", "created_at"),
    "soap_objective_lab_results": ("id", "soap_note_id", "test_name", "loinc_code", "value", "unit", "is_abnormal", "created_at"),
    "soap_assessment_problem_list": ("id", "soap_note_id", "problem", "icd10_code", "status", "onset_on", "created_at"),
    "soap_assessment_differential_diagnosis": ("id", "soap_note_id", "diagnosis", "icd10_code", "likelihood", "created_at"),
    "soap_plan_medication": ("id", "soap_note_id", "name", "dose", "route", "frequency", "status", "created_at"),
    "soap_plan_investigation": ("id", "soap_note_id", "investigation", "urgency", "created_at"),
    "soap_plan_follow_up": ("id", "soap_note_id", "instruction", "due_in_days", "created_at"),
    "context_snapshots": ("id", "appointment_id", "patient_id", "provider_id", "context", "created_at"),
}  # fmt: skip
"""Table → columns filled, tables in an order that satisfies their foreign keys."""

Row = tuple[Any, ...]

SPECIALTIES = ("General practice", "Cardiology", "Endocrinology", "Dermatology", "Paediatrics", "Psychiatry", "Pulmonology", "Neurology")
BLOOD_TYPES = ("O+", "A+", "B+", "AB+", "O-", "A-", "B-", "AB-")
LANGUAGES = ("en", "de", "fr", "es")
COMPLAINTS = ("Headache", "Cough", "Chest tightness", "Fatigue", "Back pain", "Rash", "Dizziness", "Heartburn", "Joint pain")
CONDITIONS = (
    ("Essential hypertension", "I10"), ("Type 2 diabetes mellitus", "E11.9"), ("Asthma", "J45.909"), ("Migraine", "G43.909"),
    ("Hyperlipidaemia", "E78.5"), ("Hypothyroidism", "E03.9"), ("Gastro-oesophageal reflux disease", "K21.9"), ("Low back pain", "M54.50"),
    ("Generalised anxiety disorder", "F41.1"), ("Atopic dermatitis", "L20.9"), ("Osteoarthritis of knee", "M17.9"),
    ("Iron deficiency anaemia", "D50.9"),
)  # fmt: skip
MEDICATIONS = (
    ("Lisinopril", "10 mg"), ("Metformin", "500 mg"), ("Salbutamol", "100 µg"), ("Sumatriptan", "50 mg"), ("Atorvastatin", "20 mg"),
    ("Levothyroxine", "75 µg"), ("Omeprazole", "20 mg"), ("Ibuprofen", "400 mg"), ("Sertraline", "50 mg"), ("Hydrocortisone", "1 %"),
    ("Paracetamol", "500 mg"), ("Ferrous sulphate", "200 mg"),
)  # fmt: skip
ROUTES = {"Salbutamol": "inhaled", "Hydrocortisone": "topical"}
ALLERGENS = (
    ("Penicillin", "rash"), ("Peanut", "swelling"), ("Latex", "itching"), ("Pollen", "sneezing"), ("Sulphonamides", "rash"),
    ("Egg", "hives"),
)  # fmt: skip
LABORATORY = (("Haemoglobin A1c", "4548-4", 5.6, "%"), ("Creatinine", "2160-0", 0.9, "mg/dL"), ("Haemoglobin", "718-7", 13.8, "g/dL"))
EXAMINED = ("Cardiovascular", "Respiratory", "Abdomen", "Skin", "Neurological", "Musculoskeletal")
HISTORY = (
    ("Appendectomy", "surgery"), ("Influenza vaccination", "immunisation"), ("Pneumonia", "illness"), ("Diabetes in the family", "family"),
)  # fmt: skip
OCCUPATIONS = ("teacher", "baker", "driver", "engineer", "gardener", "retired", "student")


@dataclass
class Clinic:
    """Rows by table, each in the order of COLUMNS; `merged` says when each signed note reached its patient's record."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in COLUMNS})
    merged: list[tuple[uuid.UUID, datetime]] = field(default_factory=list)


def clinic(
    now: datetime, seed: int = SEED, *, patients: int = PATIENTS, providers: int = PROVIDERS, appointments: int = APPOINTMENTS
) -> Clinic:
    """The whole clinic as seen at *now* (aware). The same arguments give the same rows; the probe records come on top."""
    return _Author(now, seed).write(patients, providers, appointments)


def fill(connection: psycopg.Connection[Any], made: Clinic) -> None:
    """Copies *made* into the empty tables of a freshly migrated database and merges its notes, in the caller's transaction."""
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            with cursor.copy(sql.SQL("copy public.{} ({}) from stdin").format(sql.Identifier(table), names)) as copy:
                for row in made.rows[table]:
                    copy.write_row(row)
        cursor.execute("analyze")
        cursor.execute("create temporary table merged (soap_note_id uuid primary key, merged_at timestamptz not null) on commit drop")
        with cursor.copy("copy merged from stdin") as copy:
            for merged in made.merged:
                copy.write_row(merged)
        # What merge_soap_into_cumulative_record does, for every note at once; only the time of the merge lies in the past.
        cursor.execute(
            """
            update public.patient_profiles p
            set cumulative_medical_record = r.record, medical_record_last_soap_note_id = r.soap_note_id,
                medical_record_last_updated_at = m.merged_at
            from private.merged_records((select array_agg(soap_note_id) from merged)) r
            join merged m using (soap_note_id)
            where p.user_id = r.patient_id
            """
        )


class _Author:
    """Draws everything from one generator, in one order."""

    def __init__(self, now: datetime, seed: int) -> None:
        self.now = now.astimezone(UTC)
        self.random = random.Random(seed)  # noqa: S311 (repeatable on purpose)
        self.clinic = Clinic()

    def write(self, patients: int, providers: int, appointments: int) -> Clinic:
        self._probes()
        everyone = [self._patient(number) for number in range(1, patients + 1)]
        staff = [self._provider(number) for number in range(1, providers + 1)]
        usual = {patient: self.random.choice(staff) for patient in everyone}
        recent = min(RECENT, appointments // 3)
        for number in range(appointments):
            # Everyone has been here once, before some come again.
            patient = everyone[number] if number < len(everyone) else self.random.choice(everyone)
            provider = usual[patient] if self.random.random() < 0.8 else self.random.choice(staff)
            starts_at = self._recent_start(number) if number < recent else self._start(number)
            self._appointment(self._id(), patient, provider, starts_at)
        return self.clinic

    # Small tools

    def _id(self) -> uuid.UUID:
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    def _ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    def _some(self, choices: Sequence[Row], weights: Iterable[float]) -> list[Row]:
        """As many different *choices* as a draw from *weights* (of 0, 1, 2 ...) says."""
        chances = tuple(weights)
        return self.random.sample(choices, self.random.choices(range(len(chances)), chances)[0])

    def _add(self, table: str, *values: Any) -> None:
        self.clinic.rows[table].append(values)

    # People

    def _user(self, user: uuid.UUID, subject: str, name: str, mailbox: str, role: str) -> datetime:
        joined = self._ago(days=self.random.uniform(400, 900))
        self._add("users", user, subject, f"{mailbox}@example.org", name, role, joined, joined)
        return joined

    def _subject(self) -> str:
        return "".join(self.random.choices(string.ascii_letters + string.digits, k=28))

    def _patient(self, number: int) -> uuid.UUID:
        patient = self._id()
        joined = self._user(patient, self._subject(), f"Synthetic Patient {number:04}", f"patient-{number:04}", "patient")
        self._patient_profile(patient, f"SYN-{number:06}", joined)
        return patient

    def _patient_profile(self, patient: uuid.UUID, record_number: str, joined: datetime) -> None:
        draw = self.random
        born = self._ago(days=draw.uniform(18 * 365, 90 * 365)).date()
        sex = draw.choices(("female", "male", "other", "unknown"), (49, 48, 2, 1))[0]
        blood = draw.choices(BLOOD_TYPES, (37, 34, 10, 4, 6, 6, 2, 1))[0]
        phone = f"+1-555-01{draw.randrange(100):02}"  # a range set aside for fiction
        self._add("patient_profiles", self._id(), patient, record_number, born, sex, blood, phone, draw.choice(LANGUAGES), joined, joined)

    def _provider(self, number: int) -> uuid.UUID:
        provider = self._id()
        joined = self._user(provider, self._subject(), f"Synthetic Provider {number:02}", f"provider-{number:02}", "provider")
        self._provider_profile(provider, f"Dr Synthetic {number:02}", f"SYN-LIC-{number:04}", joined)
        return provider

    def _provider_profile(self, provider: uuid.UUID, name: str, licence: str, joined: datetime) -> None:
        languages = ["en", *(language for language in LANGUAGES[1:] if self.random.random() < 0.3)]
        specialty = self.random.choice(SPECIALTIES)
        self._add(
            "medical_provider_profiles", self._id(), provider, name, specialty, licence, languages, "A synthetic provider.", joined, joined
        )

    def _probes(self) -> None:
        joined = self._user(PROBE_PATIENT, PROBE_PATIENT_SUBJECT, "Synthetic Probe Patient", "probe-patient", "patient")
        self._patient_profile(PROBE_PATIENT, "SYN-PROBE", joined)
        joined = self._user(PROBE_PROVIDER, PROBE_PROVIDER_SUBJECT, "Synthetic Probe Provider", "probe-provider", "provider")
        self._provider_profile(PROBE_PROVIDER, "Dr Synthetic Probe", "SYN-LIC-PROBE", joined)
        starts_at = self._ago(minutes=75)
        self._add(
            "appointments", PROBE_APPOINTMENT, PROBE_PATIENT, PROBE_PROVIDER, "completed", "Headache", starts_at,
            starts_at + timedelta(minutes=20), self._ago(days=6), starts_at + timedelta(minutes=20),
        )  # fmt: skip
        self._session(PROBE_APPOINTMENT, starts_at, starts_at + timedelta(minutes=20))
        self._note(PROBE_NOTE, PROBE_APPOINTMENT, PROBE_PATIENT, PROBE_PROVIDER, "Headache", self._ago(minutes=45), signed=True, full=True)

    # What happens between them

    def _start(self, number: int) -> datetime:
        """A weekday between eight and six o'clock: mostly in the last year, some in the next four weeks."""
        days = self.random.uniform(-28, -1) if number % 12 == 0 else self.random.uniform(2, 380)
        day = self._ago(days=days)
        if day.weekday() >= 5:
            day -= timedelta(days=2) if days > 0 else timedelta(days=-2)
        return day.replace(hour=self.random.randrange(8, 18), minute=self.random.choice((0, 20, 40)), second=0, microsecond=0)

    def _recent_start(self, number: int) -> datetime:
        """Within the last day; the first ones so that their notes were signed within the last hour."""
        if number < LAST_HOUR:
            return self._ago(minutes=25 + 40 * (number + self.random.random()) / LAST_HOUR)
        return self._ago(minutes=self.random.uniform(0, 24 * 60))

    def _appointment(self, appointment: uuid.UUID, patient: uuid.UUID, provider: uuid.UUID, starts_at: datetime) -> None:
        draw = self.random
        ends_at = starts_at + timedelta(minutes=20)
        complaint = draw.choice(COMPLAINTS)
        booked_at = min(starts_at, self.now) - timedelta(days=draw.uniform(0.1, 20))
        if starts_at > self.now:
            status = "scheduled"
        elif ends_at > self.now:
            status = "in_progress"
        else:
            status = draw.choices(("completed", "cancelled", "no_show"), (88, 8, 4))[0]
        changed_at = booked_at if status == "scheduled" else min(ends_at, self.now)
        self._add("appointments", appointment, patient, provider, status, complaint, starts_at, ends_at, booked_at, changed_at)
        if status == "in_progress":
            self._session(appointment, starts_at, None)
        if status != "completed":
            return
        self._session(appointment, starts_at + timedelta(minutes=1), ends_at)
        if draw.random() < 0.1:
            seen = {"appointment_id": str(appointment), "complaint": complaint, "sections": ["conditions", "medications", "allergies"]}
            self._add("context_snapshots", self._id(), appointment, patient, provider, Jsonb(seen), starts_at)
        signed_at = ends_at + timedelta(minutes=draw.uniform(1, 4))
        if draw.random() < 0.95:
            note_is_signed = signed_at < self.now - timedelta(seconds=10) and draw.random() < 0.97
            self._note(self._id(), appointment, patient, provider, complaint, signed_at, signed=note_is_signed)

    def _session(self, appointment: uuid.UUID, started_at: datetime, ended_at: datetime | None) -> None:
        call = self._id()
        status = "active" if ended_at is None else "ended"
        self._add(
            "video_call_sessions", call, appointment, status, f"room-{call}", started_at, ended_at, started_at, ended_at or started_at
        )

    def _note(
        self, note: uuid.UUID, appointment: uuid.UUID, patient: uuid.UUID, provider: uuid.UUID, complaint: str, signed_at: datetime,
        *, signed: bool, full: bool = False,
    ) -> None:  # fmt: skip
        written_at = min(signed_at - timedelta(minutes=1), self.now)
        status, when = ("signed", signed_at) if signed else ("draft", None)
        summary = f"Synthetic note about {complaint.lower()}."
        self._add("soap_notes", note, appointment, patient, provider, status, complaint, summary, when, written_at, when or written_at)
        if signed:
            self.clinic.merged.append((note, signed_at + timedelta(seconds=self.random.uniform(1, 5))))
        self._parts(lambda table, *values: self._add(table, self._id(), note, *values, written_at), complaint, full=full)

    def _parts(self, add: Callable[..., None], complaint: str, *, full: bool) -> None:
        """The normalised parts of one note; *full* leaves none of those out that a record is made of."""
        draw = self.random
        add("soap_subjective_symptoms", complaint, draw.randrange(1, 9), draw.randrange(1, 30))
        for allergen, reaction in self._some(ALLERGENS, (0 if full else 80, 16, 4)):
            add("soap_subjective_allergies", allergen, reaction, draw.choice(("mild", "moderate", "severe")), "active")
        for event, kind in self._some(HISTORY, (70, 25, 5)):
            add("soap_subjective_medical_history", event, kind, self.now.year - draw.randrange(1, 30))
        if draw.random() < 0.3:
            add("soap_subjective_social_history", draw.choice(("never", "former", "current")), draw.randrange(15), draw.choice(OCCUPATIONS))
        add(
            "soap_objective_vital_signs", draw.randrange(105, 150), draw.randrange(65, 95), draw.randrange(55, 100), draw.randrange(12, 20),
            round(draw.uniform(36.1, 37.9), 1), draw.randrange(94, 100), round(draw.uniform(48, 110), 1),
        )  # fmt: skip
        for (system,) in self._some([(system,) for system in EXAMINED], (40, 40, 20)):
            abnormal = draw.random() < 0.2
            add("soap_objective_physical_exam", system, "Abnormal finding noted" if abnormal else "Unremarkable", abnormal)
        for test, code, usual, unit in self._some(LABORATORY, (70, 20, 10)):
            value = round(usual * draw.uniform(0.8, 1.3), 1)
            add("soap_objective_lab_results", test, code, value, unit, value > usual * 1.2)
        for problem, code in self._some(CONDITIONS, (0 if full else 20, 60, 20)):
            onset = self._ago(days=draw.uniform(30, 4000)).date()
            add("soap_assessment_problem_list", problem, code, draw.choice(("active", "chronic", "resolved")), onset)
        for diagnosis, code in self._some(CONDITIONS, (70, 25, 5)):
            add("soap_assessment_differential_diagnosis", diagnosis, code, draw.choice(("likely", "possible", "unlikely")))
        for name, dose in self._some(MEDICATIONS, (0 if full else 35, 45, 20)):
            status = draw.choices(("active", "paused", "stopped"), (85, 5, 10))[0]
            frequency = draw.choice(("once daily", "twice daily", "as needed"))
            add("soap_plan_medication", name, dose, ROUTES.get(name, "oral"), frequency, status)
        if draw.random() < 0.25:
            add("soap_plan_investigation", draw.choice(("Full blood count", "Chest X-ray", "Electrocardiogram")), "routine")
        if draw.random() < 0.5:
            add("soap_plan_follow_up", "Return if symptoms persist.", draw.choice((7, 14, 28, 90)))
