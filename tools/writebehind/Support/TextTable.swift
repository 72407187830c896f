import Foundation
import Rainbow

/// Rows of text in aligned columns.
struct TextTable {
    struct Column {
        var title: String
        var isNumber = true
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) {
        self.columns = columns
    }

    mutating func append(_ row: [String]) { rows.append(row) }

    /// Titles first. The last column is not padded.
    var lines: [String] {
        let widths = columns.indices.map { index in
            max(columns[index].title.count, rows.map { $0[index].count }.max() ?? 0)
        }
        func line(_ cells: [String]) -> String {
            let padded = columns.indices.map { index in
                !columns[index].isNumber && index == columns.count - 1
                    ? cells[index]
                    : writebehind.padded(
                        cells[index], widths[index], right: columns[index].isNumber)
            }
            return padded.joined(separator: "  ")
        }
        return [line(columns.map(\.title)).lightBlack] + rows.map(line)
    }
}
