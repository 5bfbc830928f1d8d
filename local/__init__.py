"""One machine: embedded servers, the supervisor that keeps the parts running, seed data, the demo."""
