"""What a knowledge base learns from its reviewers: how likely a claim is to be accepted."""
