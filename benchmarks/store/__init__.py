"""How fast a large store answers, and how large it is."""
