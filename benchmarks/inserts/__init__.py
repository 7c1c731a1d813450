"""What one small INSERT costs, and what of it each thing that we ask of ClickHouse adds."""
