"""What `tools/setup.py` does, step by step. Standard library only, nothing of anytier: it runs before that is there."""
