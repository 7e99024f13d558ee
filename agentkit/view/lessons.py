"""Decisions made on the page teach the knowledge base once the reviewer pauses."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from agentkit.curation.kb.knowledge_base import open_kb
from agentkit.curation.learning.reviews import learn_reviews
from agentkit.errors import AgentKitError

if TYPE_CHECKING:
    from agentkit.settings import Settings
    from agentkit.store import Store

PAUSE = 5.0
"""Seconds without a decision before the decisions are learnt; fitting after every key press would slow the keys."""
_log = logging.getLogger(__name__)


class LearningQueue:
    """Knowledge bases with something to learn; they learn one at a time, in the background.

    What a killed process did not learn, the next review learns: decisions are in the ledger, and each teaches once.
    """

    def __init__(self, store: Store, settings: Settings, *, pause: float = PAUSE) -> None:
        self.store, self.settings, self.pause = store, settings, pause
        self._names: set[str] = set()
        self._timer: threading.Timer | None = None
        self._lock, self._learning = threading.Lock(), threading.Lock()

    def of(self, kb: str) -> None:
        """Note that there is something to learn for a knowledge base."""
        with self._lock:
            self._names.add(kb)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self.pause, self.learn)
            self._timer.daemon = True
            self._timer.start()

    def learn(self) -> None:
        """Learn everything that is due, now."""
        with self._learning:
            with self._lock:
                names, self._names = self._names, set()
                if self._timer is not None:
                    self._timer.cancel()
            for name in sorted(names):
                try:
                    learnt = learn_reviews(open_kb(self.store, name), settings=self.settings)
                except AgentKitError as error:
                    _log.warning("nothing learnt for %s: %s", name, error)
                    continue
                if learnt.problem:
                    _log.warning("no cases learnt for %s: %s", name, learnt.problem)
