"""Questions of a notebook that need more than one source, a file of the release, or the archive."""

from opsnb.questions.archive import ArchiveQuestions
from opsnb.questions.capacity import CapacityQuestions
from opsnb.questions.cleaning import CleanupQuestions
from opsnb.questions.clock import ClockQuestions
from opsnb.questions.database import DatabaseQuestions
from opsnb.questions.functions import FunctionQuestions
from opsnb.questions.outside import OutsideQuestions
from opsnb.questions.periods import PeriodQuestions
from opsnb.questions.rollback import RollbackQuestions
from opsnb.questions.slots import SlotQuestions


class Questions(
    FunctionQuestions,
    DatabaseQuestions,
    ArchiveQuestions,
    CapacityQuestions,
    CleanupQuestions,
    PeriodQuestions,
    RollbackQuestions,
    ClockQuestions,
    OutsideQuestions,
    SlotQuestions,
):
    """What a phase can be asked beside its sources. Mixed into `Phase`, which sets what `Base` declares."""
