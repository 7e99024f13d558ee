"""The pages, one file per kind; `routes` in each lists its addresses."""
