"""Resources on machines: native processes under systemd or supervisord, their volumes, jobs and proxy."""
