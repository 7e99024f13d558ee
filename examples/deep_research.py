"""A deep-research agent over a local folder, as in AgentFly: plan, sub-tasks, tools over MCP, cases of earlier runs.

    python examples/deep_research.py QUESTION
    python examples/deep_research.py --right RUN        # a person confirms a run: its case may be shown from now on

A question is split into sub-tasks; each is carried out with the tools of an MCP server, which is this same file started
with --serve. The loop is limited by steps and by a budget of calls. The plan, together with how the run went, is a case
in the memory `research`: documents influenced it, so it waits in quarantine until a person vouches for it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from agentkit.errors import AgentKitError

LIBRARY = Path(__file__).parent / "library"
MEMORY = "research"


def serve(folder: Path) -> None:
    """Offer the folder's search, which returns whole passages, to any MCP client over stdio."""
    from mcp.server.mcpserver import MCPServer

    from agentkit.tools.folder_search import search_tool

    server, search = MCPServer("folder"), search_tool(folder)

    @server.tool(name="search", description=search.description)
    def _(query: str) -> str:
        return str(search.invoke({"query": query}))

    server.run()


async def research(question: str, *, model: str, folder: Path) -> None:
    """Answer a question from the folder, and print the run's id, by which the answer can be confirmed."""
    from agentkit import Agent
    from agentkit.models import Budget
    from agentkit.tools import connect_mcp

    command = [sys.executable, __file__, "--serve", str(folder)]
    async with connect_mcp({"folder": {"command": command}}) as tools:
        agent = Agent(
            model, tools=tools, planning=True, evaluate=False, max_steps=12, memory=MEMORY, budget=Budget(calls=30)
        )
        result = await agent.arun(question, on_event=lambda event: print(f"  {event}", file=sys.stderr))
    print(f"{result.answer}\n(run {result.run_id}; if that is right:  python {sys.argv[0]} --right {result.run_id})")


def confirm(run_id: str) -> None:
    """Grade a run's case as a success and allow it to be shown."""
    from agentkit.memory import CaseMemory
    from agentkit.memory.trust import release
    from agentkit.models import load_embedder
    from agentkit.settings import load_settings
    from agentkit.store import Store

    settings = load_settings()
    memory = CaseMemory.open(Store.open(settings.database_url), MEMORY, embedder=load_embedder(settings.embedder))
    case = memory.get(run_id)
    release(memory, [case.id], reward=1.0)
    print(f"released: {case.state}\n{case.plan}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="*")
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--folder", type=Path, default=LIBRARY)
    parser.add_argument("--serve", type=Path, help="run as the MCP server of this folder")
    parser.add_argument("--right", metavar="RUN", help="confirm that a run's answer is right")
    args = parser.parse_args()
    try:
        if args.serve:
            serve(args.serve)
        elif args.right:
            confirm(args.right)
        else:
            question = " ".join(args.question) or parser.error("ask a question")
            asyncio.run(research(question, model=args.model, folder=args.folder))
    except AgentKitError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
