"""The report of an evolution: JSON, one picture, and one self-contained HTML page."""
