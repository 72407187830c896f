// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// The C interfaces of the peers. `setup` installs them. A peer that is not installed is left out,
/// and the bench says so.
let peers = [
    ("CRocksDB", "rocksdb/c.h"), ("CLevelDB", "leveldb/c.h"), ("CLMDB", "lmdb.h"),
    ("CHiredis", "hiredis/hiredis.h"), ("CLibPQ", "postgresql/libpq-fe.h"),
].filter { FileManager.default.fileExists(atPath: "/usr/include/" + $0.1) }.map(\.0)

/// The library's own database in PostgreSQL needs libpq too.
let postgreSQL: [Target.Dependency] =
    peers.contains("CLibPQ")
    ? [.product(name: "WriteBehindPostgreSQL", package: "WriteBehind")] : []

let package = Package(
    name: "bench",
    dependencies: [
        .package(name: "WriteBehind", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: peers.map { Target.systemLibrary(name: $0) } + [
        .systemLibrary(name: "CBase"),
        .target(name: "CAllocations"),
        .executableTarget(
            name: "bench",
            dependencies: peers.map { Target.Dependency(stringLiteral: $0) } + postgreSQL + [
                "CBase", "CAllocations",
                .product(name: "WriteBehind", package: "WriteBehind"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .treatAllWarnings(as: .error),
            ]),
    ]
)
