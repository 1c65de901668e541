"""The engine: graph records, primitives and their rules, the reverse walk."""
