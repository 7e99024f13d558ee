"""Work that is killed and interrupted at random instants, and what must hold of what is left: one module a kind."""
