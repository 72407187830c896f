import Testing

/// The rules of the house that no compiler knows. Each failure names the file.
@Suite struct TidyTests {
    @Test func thereIsTextToLookAt() {
        #expect(SourceTree.under("Sources/EventLog").count > 10)
        #expect(SourceTree.under("Sources/WriteBehindCore").count > 10)
    }

    @Test(arguments: SourceTree.swift)
    func aFileHasAtMost400Lines(_ file: SourceTree.File) {
        // The last line ends in a newline, after which there is an empty one.
        #expect(file.lines.count <= 401, "\(file.path) is too long to be one idea")
    }

    @Test(arguments: SourceTree.under("Sources/EventLog"))
    func theLogKnowsNoFoundationNoDatabaseAndNoTables(_ file: SourceTree.File) {
        for module in ["Foundation", "GRDB", "GRDBSQLite", "WriteBehindCore"] {
            #expect(!file.imports(module), "\(file.path) imports \(module)")
        }
    }

    @Test(arguments: SourceTree.under("Sources"))
    func onlyTheSQLiteSinkAndTheDoorKnowGRDB(_ file: SourceTree.File) {
        let mayImport =
            file.path.hasPrefix("Sources/WriteBehindSQLite/")
            // It hands the database out.
            || file.path == "Sources/WriteBehind/Store+SQLite.swift"
            // Its closures are given a database.
            || file.path == "Sources/WriteBehind/Store+Projections.swift"
            || file.path == "Sources/WriteBehindTesting/MemoryDatabase.swift"
        #expect(mayImport || !(file.imports("GRDB") || file.imports("GRDBSQLite")))
    }

    @Test func errnoIsReadInOnePlace() {
        // The simulated disk has a fault of that name.
        let files = SourceTree.under("Sources").filter { !$0.path.contains("/DiskSimulation/") }
        let readers = files.filter { file in
            file.lines.contains { line in
                let code = line.split(separator: "//", omittingEmptySubsequences: false)[0]
                return code.split { !($0.isLetter || $0 == "_") }.contains("errno")
            }
        }
        #expect(readers.map(\.path) == ["Sources/EventLog/System/SystemCall.swift"])
    }

    @Test(arguments: SourceTree.under("Sources"))
    func theLibraryPrintsNothing(_ file: SourceTree.File) {
        for line in file.lines where !line.contains("//") {
            #expect(!line.contains("print("), "\(file.path): a library throws, reports or logs")
        }
    }

    @Test(arguments: SourceTree.text)
    func nothingIsLeftForLaterAndNoMachineIsNamed(_ file: SourceTree.File) {
        // Put together here, so that this file passes its own test.
        let later = ["TO" + "DO", "FIX" + "ME"]
        let machines = ["/ho" + "me/", "/wo" + "rk/", "/Us" + "ers/"]
        for (number, line) in file.lines.enumerated() {
            for word in later + machines where line.contains(word) {
                Issue.record("\(file.path):\(number + 1) has \(word)")
            }
        }
    }
}
