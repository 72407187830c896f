import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

extension RecoverReport {
    /// Reports a lost store.json, and how to write it again.
    mutating func tell(_ lost: LostIdentity) {
        let step =
            "write store.json again, with the UUID that "
            + WriteBehindText.counted(lost.witnesses, "file") + " of log and snapshots name: "
            + lost.identity.uuid.uuidString.lowercased()
        head("found")
        item("store.json is \(lost.isDamaged ? "damaged" : "missing")")
        head("to do")
        if lost.isDamaged { item("keep the damaged store.json in aside/") }
        item(step)
        item("then check everything else: run recover again, or use --apply, which does both")
        fields.append(
            (
                "identity",
                .object([
                    ("uuid", .string(lost.identity.uuid.uuidString.lowercased())),
                    ("damaged", .bool(lost.isDamaged)), ("witnesses", .number(lost.witnesses)),
                ])
            ))
    }

    mutating func tellRestored(_ lost: LostIdentity, kept: String?) {
        head("done")
        if let kept { item("the damaged store.json is \(RowName.path(kept))") }
        item("store.json is there again")
    }
}
