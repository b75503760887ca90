"""The reference service: small, honest about itself, and with knobs for what hurts services."""
