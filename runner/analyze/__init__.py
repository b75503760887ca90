"""The meaning: from facts to numbers, validity, verdicts. Pure; a report can always be made again."""
