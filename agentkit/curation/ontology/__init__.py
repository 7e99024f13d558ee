"""The schema of concepts and relations, and the files it is read from."""
