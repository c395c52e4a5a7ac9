"""How far a restoration can be trusted: maps, figures and sentences beside every result."""
