"""Sources of configuration: each reads one kind of cloud and offers `base.Provider`.

Called by the controller. A provider must not decide anything; nothing below this package knows
which cloud it serves.
"""
