"""Forms of recall: the ways in which solved tasks can help with a new one."""

from agentkit.memory.forms.base import Form, Help, RecallQuestion
from agentkit.memory.forms.demonstrations import Demonstrations
from agentkit.memory.forms.nothing import Nothing
from agentkit.memory.forms.options import OptionsForm
from agentkit.memory.forms.plan import PlanForm
from agentkit.memory.forms.prior import PriorForm
from agentkit.memory.forms.shortlist import ShortlistForm
from agentkit.memory.forms.vote import VoteForm

FORMS: tuple[Form, ...] = (
    Nothing(),
    Demonstrations(),
    PlanForm(),
    ShortlistForm(),
    PriorForm(),
    OptionsForm(),
    VoteForm(),
)

__all__ = [
    "FORMS",
    "Demonstrations",
    "Form",
    "Help",
    "Nothing",
    "OptionsForm",
    "PlanForm",
    "PriorForm",
    "RecallQuestion",
    "ShortlistForm",
    "VoteForm",
]
