import EventLog
import TestSupport
import WriteBehindCore

// Other processes at a store that is in use: they try to open it for writing as well, or move its files away.

/// Files that are moved away from a running store, and put back when it has ended.
package enum Displacement: String, CaseIterable, Sendable {
    case moved = "the directory is moved"
    case restored = "the directory is moved, and a copy of it is restored in its place"
    case lock = "LOCK is replaced"
    case staging = "staging is moved"
    case log = "log/ is moved"

    private static let aside = "/elsewhere"

    fileprivate func perform(on disk: SimulatedDisk) throws(SystemError) {
        switch self {
        case .moved: try disk.move("/store", to: Self.aside)
        case .restored:
            try disk.move("/store", to: Self.aside)
            try disk.copyAll(Self.aside, to: "/store")
        case .lock:
            try disk.move("/store/LOCK", to: Self.aside)
            try disk.overwrite("/store/LOCK", [])
        case .staging: try disk.move("/store/staging", to: Self.aside)
        case .log: try disk.move("/store/log", to: Self.aside)
        }
    }

    fileprivate func undo(on disk: SimulatedDisk) throws(SystemError) {
        switch self {
        case .moved: try disk.move(Self.aside, to: "/store")
        case .restored:
            try disk.eraseAll("/store")
            try disk.move(Self.aside, to: "/store")
        case .lock:
            try disk.erase("/store/LOCK")
            try disk.move(Self.aside, to: "/store/LOCK")
        case .staging: try disk.move(Self.aside, to: "/store/staging")
        case .log: try disk.move(Self.aside, to: "/store/log")
        }
    }

    /// Whether a file belongs to what took this store's place.
    fileprivate func isOfOthers(_ path: String) -> Bool {
        switch self {
        case .moved, .restored: path.hasPrefix("store/")
        case .lock: path == "store/LOCK"
        case .staging: path == "store/staging"
        case .log: path.hasPrefix("store/log/")
        }
    }
}

extension SimulatedStore {
    /// Opening a store that is in use is refused, and changes nothing.
    func openASecondTime() {
        guard store != nil, pendingEnd == nil else { return }
        let before = files { _ in true }
        let content = database.content?.watermark
        do {
            _ = try OpenStore(
                path: "/store", configuration: configuration(End(kind: .kill, salt: 0)),
                environment: environment(1))
            fail("second writer", "it opened the store")
        } catch StoreError.alreadyOpen {
            note("a second writer is refused")
        } catch {
            judge(error)
        }
        if files({ _ in true }) != before || database.content?.watermark != content {
            fail("second writer", "it changed something")
        }
    }

    /// R21: a store that is no longer in its place acknowledges nothing more as durable, and touches neither the database
    /// nor what is in its place. What it had acknowledged is found once the files are back.
    func displace(_ what: Displacement, _ steps: [Step], _ end: End) {
        guard let engine, pendingEnd == nil else { return }
        noteDurable()
        let before = engine.log.durable
        let content = database.content
        isTroubled = true
        do {
            // A planned disk failure must hit the store's operations, not those of this method.
            disk.stopFailing()
            try what.perform(on: disk)
            let others = files(what.isOfOthers)
            for step in steps where fault == nil { playInside(step) }
            guard fault == nil else { return }
            if engine.log.durable != before {
                fail("fenced", "durable went on from \(before) to \(engine.log.durable)")
            }
            if database.content?.watermark != content?.watermark
                || database.content?.rows != content?.rows
            {
                fail("fenced", "the database was changed")
            }
            if files(what.isOfOthers) != others { fail("fenced", "others' files were changed") }
            disk.stopFailing()
            try what.undo(on: disk)
        } catch {
            fail("displacement", "\(error)")
        }
        if fault == nil { finish(end) }
    }

    private func files(_ isMeant: (String) -> Bool) -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for path in disk.allFiles where isMeant(path) { found[path] = disk.readAll("/" + path) }
        return found
    }
}
