"""Rules for reading a quote, which never guess: spelling, sentences, numbers, names, negation and direction."""
