import Foundation
import WriteBehind
import WriteBehindInspection

/// Standard output, written in large pieces. If the reader of a pipe ends (`| head`), SIGPIPE ends the tool
/// quietly.
struct Output {
    private var buffer: [UInt8] = []
    /// Whether the output is a terminal.
    let isTerminal = isatty(STDOUT_FILENO) == 1

    mutating func line(_ text: String) {
        buffer.append(contentsOf: text.utf8)
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count >= 1 << 16 { flush() }
    }

    /// Writes text unchanged, for control sequences of a terminal.
    mutating func raw(_ text: String) { buffer.append(contentsOf: text.utf8) }

    mutating func flush() {
        guard !buffer.isEmpty else { return }
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(buffer))
        } catch {
            // The disk is full, or the descriptor is closed, so the result cannot be written.
            note("error: cannot write the output: \(FileProblem(error)?.description ?? "\(error)")")
            exit(ExitStatus.error.rawValue)
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Columns of the terminal; 80 if there is none.
    var width: Int { size.map { Int($0.ws_col) } ?? 80 }

    /// Lines of the terminal; 24 if there is none.
    var height: Int { size.map { Int($0.ws_row) } ?? 24 }

    private var size: winsize? {
        var size = winsize()
        guard isTerminal, unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0,
            size.ws_col > 0, size.ws_row > 0
        else { return nil }
        return size
    }
}

/// Prints a message on stderr, where it does not mix with output that is piped to another program.
func note(_ text: String) {
    ProgressBar.clear()
    FileHandle.standardError.write(Data((escapingControls(text) + "\n").utf8))
}

/// A name in a form that is safe in a line.
func plain(_ name: String) -> String { RowName.plain(name) }

/// Pads with blanks; counts characters, which is what a terminal shows.
func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - text.count))
    return right ? blanks + text : text + blanks
}
