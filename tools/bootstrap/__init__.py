"""What `tools/setup.py` does, step by step. Standard library only, and nothing of anytier: it runs before either is there."""
