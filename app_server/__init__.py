"""The reference service: small, with metrics about itself, and with settings that make it slower."""
