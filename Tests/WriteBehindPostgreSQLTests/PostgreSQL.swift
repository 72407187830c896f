import Testing

/// All tests of PostgreSQL: one after the other, since they share a server that some of them kill.
@Suite(.serialized) struct PostgreSQL {}
