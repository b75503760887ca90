"""Results into text for people. Everything here follows from results.json alone."""
