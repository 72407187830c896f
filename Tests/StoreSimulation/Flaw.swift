/// A mistake that is planted on purpose. It must be found, and the shortened steps must be few.
package enum Flaw: Sendable, CaseIterable {
    /// The disk reports that a segment was synced, but did nothing.
    case segmentsAreNotSynced
    /// The database leaves out patches if their batch also clears a table.
    case patchesBesideClearsAreLost
}
