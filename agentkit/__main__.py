"""`python -m agentkit` is the `agentkit` command."""

from agentkit.cli.main import main

main()
