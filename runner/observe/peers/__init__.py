"""Connections from the system under test to the programs that serve it, as the kernel's sockets show them."""
