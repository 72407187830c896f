import Foundation
import TestSupport
import Testing

/// A killed store on a file system with little room: it is read as ever, and opened, or says what that needs.
@Suite struct FullDiskTests {
    /// `$1` is the tool, `$2` a store, `$3` the room in KiB. Prints each command's code, and what is free after it.
    private static let script = """
        mount -t tmpfs -o size=128M tmpfs /mnt && cp -a "$2" /mnt/store && cd /mnt
        free() { stat -f -c %f /mnt; }
        count=$(( $(free) - $3 / 4 ))
        dd if=/dev/zero of=filler bs=4096 count=$count status=none
        for command in "status" "log" "verify" "recover --apply" "recover --apply" "recover --apply"
        do
          "$1" $command store >output 2>&1
          echo "$command: $? $(free) $(tr '\\n' ' ' <output)"
          : >output
        done
        rm filler
        "$1" recover --apply store >output 2>&1
        echo "at last: $? $(free) $(tr '\\n' ' ' <output)"
        """

    @Test(
        .enabled(if: PrivateMounts.areUsable, "mounting needs root"),
        arguments: [8, 64, 300, 2_000, 20_000, 60_000])
    func aKilledStoreIsReadAndOpenedOrSaysWhatItNeeds(room: Int) async throws {
        let fixture = try await Fixture.killed()
        try FileManager.default.removeItem(atPath: fixture.path + "/database.sqlite")
        let result = try PrivateMounts.run(
            Self.script, Tool.executable.path, fixture.path, "\(room)")
        let lines = result.output.split(separator: "\n").map(String.init)
        func said(by command: String) -> [String] {
            lines.filter { $0.hasPrefix(command + ":") }
        }
        for command in ["status", "log", "verify"] {
            #expect(
                said(by: command).first?.hasPrefix("\(command): 0 ") == true, "\(result.output)")
        }
        let tries = said(by: "recover --apply")
        try #require(tries.count == 3, "\(result.output)")
        var free: [Int] = []
        for line in tries {
            let words = line.split(separator: " ")
            free.append(Int(words[3]) ?? 0)
            guard words[2] != "0" else { continue }
            #expect(words[2] == "1", "\(line)")
            #expect(line.contains("free space") || line.contains("full"), "\(line)")
        }
        #expect(free[1] == free[2], "each try takes room: \(result.output)")
        #expect(said(by: "at last").first?.hasPrefix("at last: 0 ") == true, "\(result.output)")
    }
}
