"""What a knowledge base learns from its reviewers: how likely a claim is to be accepted, and context for runs."""
