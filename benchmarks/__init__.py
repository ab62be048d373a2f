"""What anytier costs, beside what a user would pick instead: measured, never asserted in a timed test.

A benchmark is one file in `cases`, one line in `registry`; everything else here is measuring and telling.
"""
