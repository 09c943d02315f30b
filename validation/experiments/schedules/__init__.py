"""Tuned losses under schedules against the number of steps."""
