"""The checks, a file a group. A check takes the trial, uses nothing else, and gives back its evidence in one line."""
