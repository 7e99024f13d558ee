"""An agent behind HTTP, as clients of OpenAI's API speak it: every request is a durable run that recalls and learns.

`agentkit serve` is its command; `create_app` is for those who bring a server of their own.
"""

from agentkit.server.app import create_app
from agentkit.server.options import ServerOptions
from agentkit.server.process import serve

__all__ = ["ServerOptions", "create_app", "serve"]
