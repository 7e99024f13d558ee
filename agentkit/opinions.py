"""What people say about finished runs, and how disagreements are settled.

The rules: a label outweighs people. A person's newest opinion counts, and repeating it adds nothing. Among several
people the majority decides whether the answer was right; in a tie, the newest opinion does. If the answer was wrong,
the correction that most of them gave wins; in a tie, the newest. Opinions are never removed.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, select

from agentkit.errors import DataError
from agentkit.ledger import digest
from agentkit.redaction import redact
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.runs import OpinionRow
from agentkit.tasks import Channel

LABEL = "label"
"""The name under which a gold label speaks."""
_COLUMNS = ("key", "run_id", "by", "score", "answer", "text", "created_at")
RIGHT = 0.5
"""An answer with at least this score counts as right."""


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """One person's opinion on a run.

    Attributes:
        run_id: the run's full id.
        by: whose opinion it is; `label` stands for a gold label.
        score: 0 (wrong) to 1 (right); None leaves it open, or leaves it to `answer`.
        answer: the right answer, in their view.
        text: the reason, in their own words.
        key: identifies it in the store; see `named`.
    """

    run_id: str
    by: str = "user"
    score: float | None = None
    answer: str | None = None
    text: str = ""
    created_at: dt.datetime = field(default_factory=now)
    key: str = ""

    @property
    def said(self) -> tuple[float | None, str | None, str]:
        """The opinion's content, without its time."""
        return self.score, self.answer, self.text

    @property
    def channel(self) -> Channel:
        return "label" if self.by == LABEL else "user"

    def verdict(self, given: str | None) -> float | None:
        """The score that this opinion gives to the run's own answer."""
        if self.score is not None or self.answer is None:
            return self.score
        return float(same_answer(self.answer, given))


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The verdict of all opinions on a run.

    Attributes:
        score: of the run's own answer.
        correction: the right answer, where the run's was wrong and somebody gave one.
        by: who decided it; the newest if several did.
        text: the reason, in their words.
    """

    score: float
    correction: str | None
    by: str
    channel: Channel
    text: str = ""


def check_opinion(opinion: Opinion) -> Opinion:
    """Return the opinion if it says something and does not contradict itself.

    Raises:
        DataError: it is empty, its score is outside [0, 1], or it corrects an answer that it calls right.
    """
    if opinion.score is None and opinion.answer is None and not opinion.text.strip():
        raise DataError("feedback needs a score, a right answer or a text")
    if opinion.score is not None and not 0 <= opinion.score <= 1:
        raise DataError(f"a score lies between 0 (wrong) and 1 (right), not {opinion.score:g}")
    if opinion.answer is not None and (not opinion.answer.strip() or (opinion.score or 0.0) >= RIGHT):
        raise DataError(
            "the right answer is empty" if not opinion.answer.strip() else "a right answer takes no correction"
        )
    if not opinion.by.strip() or len(opinion.by) > 200:
        raise DataError("feedback needs the name of its author, of at most 200 characters")
    return opinion


def named(opinion: Opinion, earlier: Sequence[Opinion]) -> Opinion:
    """The opinion as it is stored: without recognisable secrets, and with its key. If it repeats the person's newest
    opinion it gets that one's key, otherwise a new one.

    Args:
        earlier: all opinions on the run, oldest first.
    """
    answer = None if opinion.answer is None else redact(opinion.answer)
    opinion = replace(opinion, answer=answer, text=redact(opinion.text))
    own = [known for known in earlier if known.by == opinion.by]
    if own and own[-1].said == opinion.said:
        return own[-1]
    return replace(opinion, key=digest([opinion.run_id, opinion.by, *opinion.said, len(own)]))


def save_opinion(store: Store, connection: Connection, opinion: Opinion) -> None:
    """Store an opinion in the caller's transaction; an existing one is left as it is."""
    row = {"channel": opinion.channel} | {name: getattr(opinion, name) for name in _COLUMNS}
    store.insert_new(connection, OpinionRow, [row])


def opinions_of(connection: Connection, run_id: str) -> list[Opinion]:
    """All opinions on a run, oldest first."""
    query = select(*(getattr(OpinionRow, name) for name in _COLUMNS)).where(OpinionRow.run_id == run_id)
    rows = connection.execute(query.order_by(OpinionRow.created_at, OpinionRow.id)).mappings()
    return [Opinion(**row) for row in rows]


def settle(opinions: Sequence[Opinion], given: str | None) -> Settled | None:
    """The verdict of the opinions by the rules above; None if nobody says whether the answer was right.

    Args:
        opinions: oldest first.
        given: the run's own answer.
    """
    spoken = [opinion for opinion in opinions if opinion.verdict(given) is not None]
    heard = [opinion for opinion in spoken if opinion.channel == "label"] or spoken
    newest = list({opinion.by: opinion for opinion in sorted(heard, key=lambda opinion: opinion.created_at)}.values())
    if not newest:
        return None
    newest.sort(key=lambda opinion: opinion.created_at)
    right = [(opinion.verdict(given) or 0.0) >= RIGHT for opinion in newest]
    agreed = right[-1] if 2 * sum(right) == len(right) else 2 * sum(right) > len(right)
    winners = [opinion for opinion, says in zip(newest, right, strict=True) if says == agreed]
    score = sum(opinion.verdict(given) or 0.0 for opinion in winners) / len(winners)
    correction, by = (None, winners[-1].by) if agreed else _correction(winners)
    text = next((opinion.text for opinion in reversed(winners) if opinion.text.strip()), "")
    return Settled(score=score, correction=correction, by=by, channel=winners[-1].channel, text=text)


def _correction(winners: Sequence[Opinion]) -> tuple[str | None, str]:
    """The most frequent correction (the newest in a tie), and who gave it last."""
    told = [opinion for opinion in winners if opinion.answer is not None]
    if not told:
        return None, winners[-1].by
    counts = Counter(_form(opinion.answer) for opinion in told)
    most = max(counts.values())
    chosen = [opinion for opinion in told if counts[_form(opinion.answer)] == most][-1]
    return chosen.answer, chosen.by


def same_answer(left: str | None, right: str | None) -> bool:
    """Whether two answers are equal apart from whitespace."""
    return left is not None and right is not None and _form(left) == _form(right)


def _form(answer: str | None) -> str:
    return " ".join((answer or "").split())
