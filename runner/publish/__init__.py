"""A run's results as a comment where the change is discussed: text in, a pull request's comment out."""
