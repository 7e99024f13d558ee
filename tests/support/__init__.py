"""What tests and benchmarks share: worlds whose truth is known, edits that poison, servers, work that is killed."""
