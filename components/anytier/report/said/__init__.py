"""What the code can say to a user when something is wrong: read from the source, and the page that lists it.

`sayings` reads the source and nothing else: no module that it reads is imported. `page` makes docs/errors.md of it.
"""
