"""An agent behind HTTP, with OpenAI's API: every request is a durable run that recalls and learns.

The command is `agentkit serve`; `create_app` is for those who run a server of their own.
"""

from agentkit.server.app import create_app
from agentkit.server.options import ServerOptions
from agentkit.server.process import serve

__all__ = ["ServerOptions", "create_app", "serve"]
