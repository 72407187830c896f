// The simulated disk is a module of its own, which users get with `WriteBehindTesting`.
@_exported public import DiskSimulation
