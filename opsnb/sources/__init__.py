"""One door per system. A door answers Facts: a table, or the reason why there is none."""

from opsnb.sources.absent import Absent
from opsnb.sources.doors import Doors
from opsnb.sources.firebase import Firebase
from opsnb.sources.gateway import Gateway
from opsnb.sources.logs import Logs
from opsnb.sources.metrics import Metrics
from opsnb.sources.postgres import Postgres
from opsnb.sources.supabase import Supabase

__all__ = ["Absent", "Doors", "Firebase", "Gateway", "Logs", "Metrics", "Postgres", "Supabase"]
