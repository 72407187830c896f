import Foundation

/// Numbers as people read them, and columns.
enum Text {
    /// 1234567 as `1,234,567`.
    static func count(_ number: some BinaryInteger) -> String {
        let digits = Array(String(number))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0, digits[index - 1] != "-" { text += "," }
            text.append(digit)
        }
        return text
    }

    /// Seconds with three digits: `1.83 µs`, `51.2 ms`, `2.40 s`.
    static func time(_ seconds: Double) -> String {
        switch seconds {
        case ..<1e-3: threeDigits(seconds * 1e6) + " µs"
        case ..<1: threeDigits(seconds * 1e3) + " ms"
        default: threeDigits(seconds) + " s"
        }
    }

    /// `4.13 MB`
    static func bytes(_ count: Int) -> String { threeDigits(Double(count) / 1e6) + " MB" }

    static func threeDigits(_ number: Double) -> String {
        let decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0
        return String(format: "%.\(decimals)f", number)
    }

    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// A label on the left, then figures, each flush right in a column of its own.
    static func row(_ label: String, _ figures: [String]) -> String {
        left("  " + label, 34) + figures.map { right($0, 11) }.joined()
    }
}
