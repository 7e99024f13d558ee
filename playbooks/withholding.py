"""Which bullets a run does without, at random, so that their effect can be estimated.

Most runs see everything. A share of them explores: such a run gets one of a few fixed masks, and a mask leaves out the
bullets whose pattern includes it. So there are only `masks + 1` different prefixes, and each stays in the cache; and
any two bullets are rarely left out by the same masks, which keeps their effects separable.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from agentkit.playbooks.bullets import Bullet


@dataclass(frozen=True, kw_only=True)
class Withholding:
    """How bullets are withheld.

    Attributes:
        share: the share of runs that explore.
        masks: how many different prompts the exploring runs share.
        depth: in how many masks each bullet is left out.
        seed: gives another experiment different masks.
    """

    share: float = 0.2
    masks: int = 8
    depth: int = 2
    seed: int = 0

    @property
    def probability(self) -> float:
        """The probability with which each bullet is shown in a run."""
        return 1 - self.share * self.depth / self.masks

    def mask(self, run_id: str) -> int | None:
        """The run's mask, which is always the same; None if it sees everything."""
        draw = _number("run", self.seed, run_id) / 2**64
        return int(draw / self.share * self.masks) if draw < self.share else None

    def withheld(self, run_id: str, bullets: Iterable[Bullet]) -> frozenset[str]:
        """The ids of the bullets that the run does without."""
        mask = self.mask(run_id)
        return frozenset() if mask is None else frozenset(b.id for b in bullets if mask in self.pattern(b.id))

    def pattern(self, bullet_id: str) -> frozenset[int]:
        """The masks that leave a bullet out: the n-th subset of that size, where n is derived from the bullet's id."""
        rank = _number("bullet", self.seed, bullet_id) % math.comb(self.masks, self.depth)
        chosen, wanted = [], self.depth
        for mask in range(self.masks):
            with_it = math.comb(self.masks - mask - 1, wanted - 1) if wanted else 0
            if rank < with_it:
                chosen.append(mask)
                wanted -= 1
            else:
                rank -= with_it
        return frozenset(chosen)


def _number(*parts: object) -> int:
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
