"""Results people cite: tables, figures and one page to open, made from run records alone.

`build.render_report` makes them all. The same records give the same bytes, in whatever order they come.
"""
