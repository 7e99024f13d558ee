"""AgentKit: agents that get better with use, and show the proof."""

from pathlib import Path

_here = Path(__file__).parent
if not (_here / "memory").exists():  # a source checkout: the sub-packages are siblings
    __path__.append(str(_here.parent))
