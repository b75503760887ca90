"""The questions: what is offered to the system under test, and what came back.

Kept empty of imports, because the workers start through this package.
"""
