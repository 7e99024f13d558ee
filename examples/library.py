"""AgentKit as a library: an agent with a tool of its own, its steps as they happen, and what the run cost."""

from __future__ import annotations

import sys

from agentkit import Agent, AgentKitError, tool


@tool
def days_until_due(plant: str) -> int:
    """Say for how many days a loan of seed lasts.

    Args:
        plant: "annual" or "biennial".
    """
    return {"annual": 426, "biennial": 791}[plant]


def main() -> None:
    question = "I borrowed carrots, a biennial. In how many whole weeks are they due? Use the tools."
    with Agent(tools=[days_until_due, "calculator"]) as agent:
        for event in agent.stream(question):
            print(event.to_json()["type"])
            run_id = event.run_id
        result = agent.result(run_id)
    print(result.status, result.answer)
    print(f"{result.usage.calls} calls, {result.usage.input_tokens + result.usage.output_tokens} tokens")


if __name__ == "__main__":
    try:
        main()
    except AgentKitError as error:
        sys.exit(f"error: {error}")
