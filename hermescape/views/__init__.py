"""How is a result shown? JSON for programs, tables for people."""
