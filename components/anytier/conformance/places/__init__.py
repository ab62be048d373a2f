"""How the suite looks at and harms each kind of place: processes, containers, what is left. A file each."""
