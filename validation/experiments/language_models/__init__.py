"""Small language models trained here, and their loss curves."""
