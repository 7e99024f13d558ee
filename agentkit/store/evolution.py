"""Tables of evolution."""
