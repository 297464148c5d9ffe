"""Checks of the chapter ``mac_setup``, and the sandbox in which its commands run."""
