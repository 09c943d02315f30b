"""What trainers write: files of any kind become tables, tables become runs, runs become series of losses."""
