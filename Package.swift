// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

/// What every target is compiled with: Swift 6, explicit imports, and no warning let through.
let language: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// What ships also marks every unsafe expression.
let shipping = language + [.strictMemorySafety()]

/// What only the macro needs: without the trait, swift-syntax is neither fetched nor built.
let macros = TargetDependencyCondition.when(traits: ["Macros"])

func swiftSyntax(_ products: String...) -> [Target.Dependency] {
    products.map { .product(name: $0, package: "swift-syntax", condition: macros) }
}

/// The tool and the demo speak to PostgreSQL too; without the trait, they need no libpq.
let postgreSQL: [Target.Dependency] = [
    .target(name: "WriteBehindPostgreSQL", condition: .when(traits: ["PostgreSQL"]))
]

let package = Package(
    name: "WriteBehind",
    products: [
        .library(name: "WriteBehind", targets: ["WriteBehind"]),
        .library(name: "WriteBehindPostgreSQL", targets: ["WriteBehindPostgreSQL"]),
        .library(name: "WriteBehindTesting", targets: ["WriteBehindTesting"]),
        .executable(name: "writebehind", targets: ["writebehind"]),
    ],
    traits: [
        .default(enabledTraits: ["Macros", "PostgreSQL"]),
        .trait(
            name: "Macros",
            description: "The macro @Table. Without it, swift-syntax is neither fetched nor built."),
        .trait(
            name: "PostgreSQL",
            description: "The tool `writebehind` speaks PostgreSQL, for which it needs libpq."),
        .trait(
            name: "ServiceLifecycle",
            description: "A store is a Service of swift-service-lifecycle, which is fetched for it."
        ),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/onevcat/Rainbow", from: "4.2.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-syntax", "602.0.0"..<"604.0.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(
            name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        // Only who uses the product WriteBehindPostgreSQL needs it.
        .systemLibrary(
            name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        // statfs, which Swift's Glibc module leaves out, and prefetching, for which Swift has no word.
        .systemLibrary(name: "CLinux"),
        .target(
            name: "EventLog", dependencies: ["CZstd", "CXXHash", "CLinux"],
            swiftSettings: shipping),
        // `@Table`, as the compiler runs it.
        .macro(
            name: "WriteBehindMacros",
            dependencies: swiftSyntax(
                "SwiftSyntax", "SwiftSyntaxBuilder", "SwiftDiagnostics", "SwiftParser",
                "SwiftSyntaxMacros", "SwiftCompilerPlugin"),
            swiftSettings: language),
        // The store, whatever database it has: schemas, rows, view, materializer, history, public API.
        .target(
            name: "WriteBehindCore",
            dependencies: [
                "EventLog", "CLinux",
                .target(name: "WriteBehindMacros", condition: macros),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Metrics", package: "swift-metrics"),
            ],
            swiftSettings: shipping),
        .target(
            name: "WriteBehindSQLite",
            dependencies: [
                "WriteBehindCore", "EventLog",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: shipping),
        // What users import: the core, with its database in SQLite.
        .target(
            name: "WriteBehind",
            dependencies: [
                "WriteBehindCore", "WriteBehindSQLite",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(
                    name: "ServiceLifecycle", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
            ],
            swiftSettings: shipping),
        // The database in PostgreSQL, for those who want it.
        .target(
            name: "WriteBehindPostgreSQL",
            dependencies: ["WriteBehindCore", "EventLog", "CPostgreSQL"],
            swiftSettings: shipping),
        // What only the tool needs; no user of the library gets it.
        .target(
            name: "WriteBehindInspection",
            dependencies: [
                "WriteBehind", "WriteBehindCore", "WriteBehindSQLite", "EventLog",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: shipping),
        // A disk in memory that crashes and fails on demand.
        .target(
            name: "DiskSimulation", dependencies: ["EventLog", "CLinux"], swiftSettings: shipping),
        // For users' tests: a store without files and threads.
        .target(
            name: "WriteBehindTesting",
            dependencies: [
                "WriteBehind", "WriteBehindCore", "WriteBehindSQLite", "EventLog", "DiskSimulation",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: shipping),
        .executableTarget(
            name: "writebehind",
            dependencies: [
                "WriteBehind", "WriteBehindCore", "WriteBehindSQLite", "WriteBehindInspection",
                "EventLog",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Rainbow", package: "Rainbow"),
            ] + postgreSQL,
            path: "tools/writebehind", swiftSettings: shipping),
        .executableTarget(
            name: "flightboard",
            dependencies: [
                "WriteBehind", "WriteBehindCore", "WriteBehindSQLite", "WriteBehindInspection",
                "EventLog", "CZstd",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ] + postgreSQL,
            path: "tools/flightboard", resources: [.copy("Resources")],
            swiftSettings: shipping),
        .executableTarget(
            name: "crashtest",
            dependencies: [
                "WriteBehind", "WriteBehindSQLite", "WriteBehindInspection", "EventLog",
                "TestSupport", "StoreSimulation",
                .target(name: "PostgreSQLServer", condition: .when(traits: ["PostgreSQL"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ] + postgreSQL,
            path: "tools/crashtest", swiftSettings: language),
        .target(
            name: "TestSupport",
            dependencies: [
                "EventLog", "DiskSimulation",
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            path: "Tests/TestSupport", swiftSettings: language),
        // A server that tests and `crashtest counters` start, kill and stop.
        .target(
            name: "PostgreSQLServer", dependencies: ["EventLog", "CPostgreSQL"],
            path: "Tests/PostgreSQLServer", swiftSettings: language),
        // What tests and fuzzer feed to every decoder.
        .target(
            name: "Fuzzing", dependencies: ["WriteBehindCore", "EventLog", "TestSupport", "CZstd"],
            path: "Tests/Fuzzing", swiftSettings: language),
        // The store in a simulation, for the tests and for `crashtest simulate`.
        .target(
            name: "StoreSimulation",
            dependencies: [
                "WriteBehindCore", "WriteBehindInspection", "EventLog", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/StoreSimulation", swiftSettings: language),
        .testTarget(
            name: "EventLogTests", dependencies: ["EventLog", "TestSupport"],
            // Files of earlier format versions, read as files.
            exclude: ["Golden"], swiftSettings: language),
        .testTarget(
            name: "WriteBehindMacrosTests",
            dependencies: [.target(name: "WriteBehindMacros", condition: macros)]
                + swiftSyntax(
                    "SwiftSyntax", "SwiftSyntaxBuilder", "SwiftDiagnostics", "SwiftParser",
                    "SwiftSyntaxMacroExpansion", "SwiftSyntaxMacros",
                    "SwiftSyntaxMacrosGenericTestSupport"),
            swiftSettings: language),
        .testTarget(
            name: "WriteBehindCoreTests",
            dependencies: [
                "WriteBehindCore", "WriteBehindInspection", "EventLog", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: language),
        .testTarget(
            name: "WriteBehindSQLiteTests",
            dependencies: [
                "WriteBehindSQLite", "WriteBehindCore", "EventLog", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: language),
        .testTarget(
            name: "WriteBehindPostgreSQLTests",
            dependencies: [
                "WriteBehindPostgreSQL", "WriteBehind", "WriteBehindCore", "EventLog",
                "TestSupport", "PostgreSQLServer", "CPostgreSQL",
                // Run as processes.
                "writebehind", "crashtest",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: language),
        .testTarget(
            name: "WriteBehindTests",
            dependencies: [
                "WriteBehind", "WriteBehindSQLite", "WriteBehindInspection", "EventLog",
                "TestSupport", "Fuzzing", "StoreSimulation",
                "crashtest",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            // Bytes that a fuzzer found, read as files.
            exclude: ["Fuzzed"], swiftSettings: language),
        .testTarget(
            name: "WriteBehindTestingTests",
            dependencies: [
                "WriteBehindTesting", "WriteBehind", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: language),
        .testTarget(name: "TidyTests", swiftSettings: language),
        // Runs the built executable as a process, which it therefore depends on.
        .testTarget(
            name: "ToolTests",
            dependencies: [
                "writebehind", "WriteBehind", "WriteBehindInspection", "EventLog", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: language),
    ]
)

// A test of what the trait ServiceLifecycle adds. With the trait itself, all of the package would be built once more for it.
// Only `tools/test` asks for it, because a dependency of tests is fetched by users too.
if Context.environment["WRITEBEHIND_SERVICE_TESTS"] != nil {
    package.targets.append(
        .testTarget(
            name: "ServiceTests",
            dependencies: [
                "WriteBehind", "WriteBehindCore", "WriteBehindTesting",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: language + [.define("ServiceLifecycle")]))
}

// Linked with libFuzzer, which only `tools/fuzz/run` asks for.
if Context.environment["WRITEBEHIND_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzz", dependencies: ["Fuzzing"], path: "tools/fuzz", exclude: ["run"],
            swiftSettings: language))
}
