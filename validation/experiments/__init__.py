"""The papers' experiments and those that go beyond them, a folder each; `registry` lists them all."""
