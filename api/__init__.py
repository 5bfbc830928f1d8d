"""The HTTP door: routes over the core, problem details, metrics. Knows nothing of calls or texts on the wire."""
