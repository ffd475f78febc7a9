"""What is recorded; every function is a scenario, its first line says what it shows."""
