/// An SQL identifier for a name, or with `'` a text literal. Neither may hold a NUL.
package func quoted(_ text: String, _ quote: Unicode.Scalar = "\"") -> String {
    // Goes by scalars, because a quote and an accent behind it are one Character.
    var quoted = String.UnicodeScalarView([quote])
    for scalar in text.unicodeScalars {
        if scalar == quote { quoted.append(quote) }
        quoted.append(scalar)
    }
    quoted.append(quote)
    return String(quoted)
}
