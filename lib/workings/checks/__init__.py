"""The checks behind the equation ledger: one module a chapter, each joining a topic with ``workings.book``."""
