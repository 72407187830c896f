import Foundation
import Testing
import WriteBehindCore

@Suite struct RowValueTests {
    @Test(
        arguments: [
            (.null, "NULL", "null"),
            (.integer(-42), "-42", "-42"),
            (.real(1.5), "1.5", "1.5"),
            (.real(.infinity), "inf", #"{"real":"inf"}"#),
            (.text("a \"b\" \\ é"), #""a \"b\" \\ é""#, #""a \"b\" \\ é""#),
            (.text("\u{1B}[2J\n\0"), #""\u{1b}[2J\n\u{0}""#, #""\u001b[2J\n\u0000""#),
            (.text("\u{9B}\u{202E}"), #""\u{9b}\u{202e}""#, #""\u009b\u202e""#),
            (.text("\u{E0001}"), #""\u{e0001}""#, #""\udb40\udc01""#),
            (.blob([0, 255]), "x'00ff'", #"{"blob":"00ff"}"#),
        ] as [(StoredValue, String, String)])
    func aValueReadsSafelyOnATerminalAndAsJSON(value: StoredValue, text: String, json: String)
        throws
    {
        #expect(value.description == text)
        #expect(value.json == json)
        let parsed = try JSONSerialization.jsonObject(
            with: Data(json.utf8), options: .fragmentsAllowed)
        if case .text(let text) = value { #expect(parsed as? String == text) }
    }

    @Test func valuesAreEqualWhereTheDatabaseSaysSo() {
        #expect(StoredValue.text("\u{E9}") != .text("e\u{301}"))
        #expect(StoredValue.real(-0.0) == .real(0))
        #expect(StoredValue.real(-0.0).hashValue == StoredValue.real(0).hashValue)
        #expect(StoredValue.integer(1) != .real(1))
    }
}
