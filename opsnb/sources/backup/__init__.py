"""What a way back needs of PostgreSQL: its own client programs, a scratch server, and what a database holds at one moment."""

from opsnb.sources.backup.client import Entry, dump, dump_text, listed, restore, restore_entries, restore_text
from opsnb.sources.backup.contents import Moment, moment, timeline
from opsnb.sources.backup.private import private_folder
from opsnb.sources.backup.programs import Programs, find_programs
from opsnb.sources.backup.rewinding import Difference, rewinding, write_row
from opsnb.sources.backup.scratch import prepare, scratch_server

__all__ = [
    "Difference",
    "Entry",
    "Moment",
    "Programs",
    "dump",
    "dump_text",
    "find_programs",
    "listed",
    "moment",
    "prepare",
    "private_folder",
    "restore",
    "restore_entries",
    "restore_text",
    "rewinding",
    "scratch_server",
    "timeline",
    "write_row",
]
