"""Loadproof's runner: specifications in, evidence out.

Kept empty of imports, because the generator's workers start through this package
and must not pay for trio, pydantic or docker.
"""
