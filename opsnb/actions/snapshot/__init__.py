"""A snapshot to come back to, and the rehearsal that proves it can be restored."""

from opsnb.actions.snapshot.kept import Kept, all_kept, check_files, newest_kept
from opsnb.actions.snapshot.rehearsing import Rehearsal, newest_rehearsal
from opsnb.actions.snapshot.taking import Snapshot

__all__ = ["Kept", "Rehearsal", "Snapshot", "all_kept", "check_files", "newest_kept", "newest_rehearsal"]
