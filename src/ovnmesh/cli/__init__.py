"""The `ovnmesh` command: one file per group of commands. Formats; decides nothing."""
