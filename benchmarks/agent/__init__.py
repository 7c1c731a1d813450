"""What the node agent costs: energy's attribution alone, and the whole program under load."""
