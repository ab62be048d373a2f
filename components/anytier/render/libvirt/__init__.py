"""What libvirt is told: networks, pools, volumes and domains as XML, and a guest's first boot as cloud-init. Pure."""
