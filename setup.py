"""A shim for tools that call setup.py. All metadata is in setup.cfg."""

from setuptools import setup

setup()
