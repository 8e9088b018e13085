"""Measuring: metrics, test suites, methods side by side, and the report.  Only a checkout has it."""
