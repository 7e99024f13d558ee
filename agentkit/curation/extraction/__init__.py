"""What a paper is asked, what is answered, and which of it stands: the questions of an ontology, put to two agents."""
