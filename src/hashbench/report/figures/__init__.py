"""The report's figures, one file a kind; `registry` lists them, `style` gives them one look."""
