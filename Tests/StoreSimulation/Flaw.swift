/// A mistake that is planted on purpose: it must be found, and what is left of its seed must be short.
package enum Flaw: Sendable, CaseIterable {
    /// The disk says that a segment was synced, and did nothing.
    case segmentsAreNotSynced
    /// The database leaves out patches where their batch also clears a table.
    case patchesBesideClearsAreLost
}
