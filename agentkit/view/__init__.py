"""A web page on loopback that shows what the database holds: runs, what was learnt, evolutions, knowledge bases.

`agentkit view` is its command; nothing is fetched from elsewhere, and nothing is written unless it is told to edit.
"""

from agentkit.view.app import create_view
from agentkit.view.site import ViewOptions

__all__ = ["ViewOptions", "create_view"]
