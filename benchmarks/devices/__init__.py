"""What reading devices costs, without the driver's time."""
