"""The Kubernetes API as the source of configuration, and as the place where the outcome is told.

`provider` is what the controller uses; `watch` runs kopf as a source of events, `cache` holds what
was read, `api` makes the requests, `publisher` writes labels, Events and the Interconnection's
status, which `status` and `events` decide (pure).
"""
