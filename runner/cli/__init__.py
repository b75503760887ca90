"""The only printer and the only exit codes; one small file a command."""
