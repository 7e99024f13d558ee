"""What a quote says, by rules that never guess: spelling, sentences, numbers, names, negation and direction."""
