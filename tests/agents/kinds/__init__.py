"""Kinds of jobs that tests need."""
