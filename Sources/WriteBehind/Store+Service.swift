#if ServiceLifecycle
    public import ServiceLifecycle
    public import WriteBehindCore

    extension Store: Service {
        /// Keeps the store open until its service group shuts down, and closes it then.
        ///
        /// A group shuts its services down in reverse order. So list the store before the services that use it: it is closed
        /// when they have ended.
        ///
        /// ```swift
        /// let group = ServiceGroup(
        ///     services: [store, server], gracefulShutdownSignals: [.sigterm], logger: logger)
        /// try await group.run()
        /// ```
        ///
        /// Bringing the database up to date takes at most ``StoreConfiguration/closeDeadline``. The rest is in the log, and
        /// is applied after the next opening. If the group is cancelled, all its services end at once: the store is closed
        /// as well, and later writes throw ``StoreError/closed(_:)``.
        ///
        /// - Throws: as ``close(deadline:)``.
        public func run() async throws {
            // It throws if the task is cancelled. The store is closed then, too.
            try? await gracefulShutdown()
            try await close()
        }
    }
#endif
