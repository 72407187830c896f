import EventLog
import TestSupport

/// Damage of the kinds that decoders trip over.
package struct Mutation {
    private var random: SeededRandom

    package init(seed: UInt64) {
        random = SeededRandom(seed: seed)
    }

    /// Numbers at the ends of what fields can hold.
    private static let numbers: [UInt64] = [
        0, 1, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF,
        0x8000_0000_0000_0000, .max - 1, .max,
    ]

    /// One of the seeds, changed in one to four places.
    package mutating func mutant(of seeds: [[UInt8]]) -> [UInt8] {
        var bytes = seeds[below(seeds.count)]
        for _ in 0...below(4) where !bytes.isEmpty { change(&bytes, seeds) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8], _ seeds: [[UInt8]]) {
        let place = below(bytes.count)
        let length = min(bytes.count - place, 1 + below(32))
        switch below(10) {
        case 0, 1: bytes[place] ^= 1 << UInt8(below(8))
        case 2: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 3, 4: store(&bytes, width: 8, alignment: 8)
        case 5: store(&bytes, width: 4, alignment: 4)
        case 6: bytes.removeSubrange(place..<place + length)
        case 7: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
        case 8: bytes.removeLast(bytes.count - place)
        default:
            let other = seeds[below(seeds.count)]
            let start = below(other.count)
            let part = other[start..<min(other.count, start + length)]
            bytes.replaceSubrange(place..<min(bytes.count, place + part.count), with: part)
        }
    }

    private mutating func store(_ bytes: inout [UInt8], width: Int, alignment: Int) {
        guard bytes.count >= width else { return }
        let offset = below((bytes.count - width) / alignment + 1) * alignment
        let number = Self.numbers[below(Self.numbers.count)]
        for index in 0..<width {
            bytes[offset + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index))
        }
    }

    private mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
}
