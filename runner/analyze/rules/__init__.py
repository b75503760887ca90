"""The rules that find the limit of a stage, one per limit."""
