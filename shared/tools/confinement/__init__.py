"""What stands around a program that nobody read.

It runs in a process of its own that starts for each run, so it loads little: the standard library, and no pathlib.
"""
