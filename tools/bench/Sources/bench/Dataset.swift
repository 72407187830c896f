import Foundation

/// The records of a run: the same for every contender, made before the clock starts.
///
/// Keys are 16 hexadecimal digits in random order, all distinct. `@unchecked Sendable`: the memory
/// is written in init only.
final class Dataset: @unchecked Sendable {
    enum Values: String, Codable {
        /// 100 bytes, of which zstd can save half.
        case halfCompressible
        /// About as long: JSON like that of services.
        case json
    }

    static let keyLength = 16
    static let hotKeys = 10_000

    /// After this many values, they repeat.
    private static let valueLimit = 1_000_000

    let count: Int
    private let keys: UnsafeMutablePointer<UInt8>
    private let values: UnsafeMutablePointer<UInt8>
    private let starts: [Int]

    init(count: Int, values kind: Values = .halfCompressible) {
        self.count = count
        keys = .allocate(capacity: count * Self.keyLength)
        let valueCount = min(count, Self.valueLimit)
        values = .allocate(capacity: valueCount * 128)
        var random = SplitMix(state: 42)
        var starts = [0]
        starts.reserveCapacity(valueCount + 1)
        let digits = Array("0123456789abcdef".utf8)
        for index in 0..<count {
            let name = SplitMix.mix(UInt64(index) &+ 1)
            for digit in 0..<16 {
                keys[index * 16 + digit] = digits[Int(name >> UInt64(4 * digit) & 15)]
            }
            guard index < valueCount else { continue }
            let target = values + (starts.last ?? 0)
            switch kind {
            case .halfCompressible: starts.append((starts.last ?? 0) + Self.half(target, &random))
            case .json: starts.append((starts.last ?? 0) + Self.json(target, index, &random))
            }
        }
        self.starts = starts
    }

    deinit {
        keys.deallocate()
        values.deallocate()
    }

    func key(_ index: Int) -> Bytes {
        Bytes(start: keys + index * Self.keyLength, count: Self.keyLength)
    }

    func value(_ index: Int) -> Bytes {
        let index = index % (starts.count - 1)
        return Bytes(start: values + starts[index], count: starts[index + 1] - starts[index])
    }

    /// Bytes of all keys and values.
    var byteCount: Int {
        count * Self.keyLength + count * (starts.last ?? 0) / (starts.count - 1)
    }

    /// The key of each operation: if `hot`, drawn from few keys by Zipf's law, otherwise each key once.
    func order(hot: Bool) -> [Int32] {
        hot ? Zipf(keys: min(Self.hotKeys, count)).draw(count) : (0..<Int32(count)).map { $0 }
    }

    private static func half(_ target: UnsafeMutablePointer<UInt8>, _ random: inout SplitMix) -> Int
    {
        for index in 0..<50 {
            target[index] = UInt8(truncatingIfNeeded: random.next())
            target[index + 50] = target[index]
        }
        return 100
    }

    private static func json(
        _ target: UnsafeMutablePointer<UInt8>, _ index: Int, _ random: inout SplitMix
    ) -> Int {
        let score = random.next() % 100_000
        let team = ["red", "blue", "green"][Int(random.next() % 3)]
        let text = """
            {"id":\(index),"name":"player\(index)","score":\(score),"team":"\(team)",\
            "active":\(score % 2 == 0),"level":\(score % 60)}
            """
        var length = 0
        for byte in text.utf8 {
            target[length] = byte
            length += 1
        }
        return length
    }
}

/// A small generator that gives the same numbers everywhere.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// A bijection, so distinct numbers stay distinct.
    static func mix(_ number: UInt64) -> UInt64 {
        var z = number &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Zipf's law with exponent 0.99, as in YCSB.
struct Zipf {
    private var cumulated: [Double] = []

    init(keys: Int) {
        var sum = 0.0
        for rank in 1...keys {
            sum += 1 / pow(Double(rank), 0.99)
            cumulated.append(sum)
        }
    }

    func draw(_ count: Int) -> [Int32] {
        var random = SplitMix(state: 7)
        let total = cumulated.last ?? 1
        return (0..<count).map { _ in
            let wanted = Double(random.next() >> 11) / Double(1 << 53) * total
            var (low, high) = (0, cumulated.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if cumulated[middle] < wanted { low = middle + 1 } else { high = middle }
            }
            // Scattered, so that hot keys are not neighbours.
            return Int32(SplitMix.mix(UInt64(low)) % UInt64(cumulated.count))
        }
    }
}
