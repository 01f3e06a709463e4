//! Constants of `linux/bpf.h` of Linux 6.18, spelled as there.
