"""The knowledge base: claims with their history, the papers' work, reviews and what is learned from them."""
