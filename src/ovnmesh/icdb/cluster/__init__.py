"""The RAFT cluster: founded, joined, kept whole."""
