"""The Kubernetes API as the source of configuration, and as the place where the outcome is told.

`provider` is what the controller uses; `watch` keeps up with every kind, by the open watches of
`stream`; `cache` holds what was read, `api` makes the requests, `publisher` writes labels, Events
and the Interconnection's status, which `status` and `events` decide (pure).
"""
