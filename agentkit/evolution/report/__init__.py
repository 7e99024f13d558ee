"""The report of an evolution: JSON, one picture and one HTML page that needs nothing else."""
