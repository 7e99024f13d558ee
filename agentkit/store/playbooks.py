"""Tables of playbooks."""
