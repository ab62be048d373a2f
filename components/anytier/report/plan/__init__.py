"""What a stack would register, as a graph: its model, what differs between two, and how either is shown. Pure."""
