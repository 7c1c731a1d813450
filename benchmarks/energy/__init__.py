"""How well energy per request is told: a simulated GPU whose truth is known."""
