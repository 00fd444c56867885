"""What a way back needs of PostgreSQL: its own client programs, a scratch server, and what a database holds at one moment."""

from opsnb.sources.backup.client import dump, dump_text, restore, restore_text
from opsnb.sources.backup.contents import Moment, moment
from opsnb.sources.backup.programs import Programs, find_programs
from opsnb.sources.backup.scratch import prepare, scratch_server

__all__ = ["Moment", "Programs", "dump", "dump_text", "find_programs", "moment", "prepare", "restore", "restore_text", "scratch_server"]
