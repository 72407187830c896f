import DequeModule

extension Deque {
    /// Merges each two neighbours into one element, and so halves an account that would grow with the backlog.
    mutating func mergePairs(_ merge: (Element, Element) -> Element) {
        let pairs = count / 2
        for index in 0..<pairs { self[index] = merge(self[2 * index], self[2 * index + 1]) }
        if count % 2 == 1 { self[pairs] = self[count - 1] }
        removeLast(pairs)
    }
}
