"""The libvirt resources: networks, storage and virtual machines. The only place where libvirt is imported."""
