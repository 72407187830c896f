extension Duration {
    /// How long a test waits until it takes something for hung. No measure of speed: a loaded machine is slow, and
    /// under a sanitizer slower still.
    package static var hang: Duration { .seconds(300) }
}
