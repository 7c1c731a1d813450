"""What the gateway middleware costs: `make bench-gateway`."""
