extension Duration {
    /// How long a test waits before it counts something as hung. It does not measure speed: a loaded machine is slow, and
    /// under a sanitizer slower still.
    package static var hang: Duration { .seconds(300) }
}
