import CXXHash

/// XXH3-64, the one checksum of the format.
///
/// Nearly every use is seeded with the salt of the file that the bytes are in, so that bytes of another
/// file, or of an earlier file with the same name, never look valid.
package enum Checksum {
    /// The checksum of `bytes`.
    package static func of(_ bytes: Span<UInt8>, seed: UInt64) -> UInt64 {
        unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe XXH3_64bits_withSeed(buffer.baseAddress, buffer.count, seed)
        }
    }

    /// The checksum of `bytes`, for callers that already hold a pointer.
    @unsafe package static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        unsafe XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, seed)
    }

    /// The low half, for fields that are 32 bits wide.
    package static func low(_ bytes: Span<UInt8>, seed: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: of(bytes, seed: seed))
    }
}
