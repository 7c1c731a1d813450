"""From answers to text for a terminal of any width."""
