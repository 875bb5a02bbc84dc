"""The report's tables: what they hold (`model`), one file a table, and how they become text (`rendering`)."""
