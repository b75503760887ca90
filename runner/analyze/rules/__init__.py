"""What may limit a stage: one small pure function a limit, from a stage's numbers to a finding."""
