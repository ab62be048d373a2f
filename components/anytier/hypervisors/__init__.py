"""Hypervisors that libvirt drives: which one a URI names, and what each can do, as data. Pure."""
