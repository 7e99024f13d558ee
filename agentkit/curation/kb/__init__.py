"""The knowledge base: claims with their history, the work on papers, reviews, and what is learned from them."""
