"""Measurements of ovnmesh, side by side with the documents' manual steps and with OVN alone.

Run with ``python -m benchmarks.run``; what was found is in docs/benchmarks.md. Nothing here is a
test: a slow machine fails no build.
"""
