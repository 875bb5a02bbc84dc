"""Do committed results say what this code, these parameters and this data give? Each check is a file."""
