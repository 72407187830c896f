/// Why bytes are not a header of this format. Foreign, newer and damaged are three different faults.
package enum FormatFault: Error, Equatable, Sendable {
    case truncated(byteCount: Int)
    case unknownMagic(UInt32)
    case unsupportedVersion(UInt32)
    case unsupportedFeatures(UInt32)
    case checksumMismatch
    case outOfRange(field: String)

    /// Whether a newer library wrote the file. That is not damage, and the file must not be touched.
    package var isNewer: Bool {
        switch self {
        case .unsupportedVersion, .unsupportedFeatures: true
        default: false
        }
    }
}

extension FormatFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let count): "only \(count) bytes are left where a header belongs"
        case .unknownMagic: "there is no header"
        case .unsupportedVersion(let version):
            "format version \(version >> 16).\(version & 0xFFFF) is newer than this program"
        case .unsupportedFeatures(let bits):
            "it needs features that this program does not have (0x\(String(bits, radix: 16)))"
        case .checksumMismatch: "the header does not match its checksum"
        case .outOfRange(let field): "the header's \(field) is out of range"
        }
    }
}
